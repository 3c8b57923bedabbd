"""Looking after the corporate tunnel: mended when it is gone, proved on a schedule, told to whom it concerns.

Safe to be late with any of it: without its tunnel the corporate namespace has no way out (R21), and whatever
is not as it has to be there pulls the guest's link without this process.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable

import msgspec
from twinhull_policy.api.types import VpnInfo, VpnProof
from twinhull_policy.errors import TwinhullError
from twinhull_policy.report import TunnelProof

from ..fetch.client import Outside
from .gateways import usable
from .network import Networks
from .state import State

logger = logging.getLogger(__name__)

WATCH_SECONDS = 3.0
"""How often the corporate tunnel is looked after while its partition runs."""
FIRST_PROOF_SECONDS = 20.0
"""After the partition came up; its start is not to wait for a proof."""
PROOF_SECONDS = 900.0
FAILED_PROOF_SECONDS = 30.0
"""After a proof that failed: the partition is cut off until one passes."""
PORTAL_SECONDS = 10.0
"""How often a network without an answering gateway is looked at."""
ELSEWHERE_SECONDS = 30.0
"""After so long without an answer the gateways' names are asked for again."""
SIGN_IN = "This network wants somebody to sign in first: open a web page in the personal partition."
PERSONAL = "personal-"
"""Canaries whose names begin so tell of the personal side, and are nobody's but the owner's (P6)."""


def reported(proof: VpnProof) -> TunnelProof:
    """The corporate results of a proof."""
    failed = [c.name for c in proof.canaries if not c.passed and not c.name.startswith(PERSONAL)]
    return TunnelProof(proved_at=int(proof.at), passed=not failed, failed=failed)


def fit_to_show(untrusted_location: str) -> bool:
    """Whether it is a web address in plain characters, short enough for a line."""
    return re.fullmatch(r"https?://[!-~]{1,300}", untrusted_location) is not None


class VpnCare:
    """The tunnel while the corporate partition runs.

    Args:
        networks: both sides, through netd.
        state: for the owner's log.
        is_up: whether the corporate partition is meant to be up, and may have a network; cheap.
        repair: builds the network around the running machine again.
        report: tells the fleet server of a proof, if the policy says so.
        outside: asks what the laptop's network is like; None where the policy names no page to ask for.
        on_change: told "vpn" whenever a status shows something else.
    """

    def __init__(
        self,
        *,
        networks: Networks,
        state: State,
        is_up: Callable[[], bool],
        repair: Callable[[], Awaitable[None]],
        report: Callable[[TunnelProof], None],
        outside: Callable[[], Awaitable[Outside | None]],
        on_change: Callable[[str], object],
    ) -> None:
        self._networks = networks
        self._state = state
        self._is_up = is_up
        self._repair = repair
        self._report = report
        self._outside = outside
        self._on_change = on_change
        self._portal = ""
        self._waiting_since: float | None = None
        self._asked_at = -math.inf
        self._proof: VpnProof | None = None
        self._prove_at: float | None = None
        self._proving = asyncio.Lock()

    async def run(self) -> None:
        """Look after it until cancelled."""
        last = ""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if not self._is_up():
                last, self._prove_at = "", None
                continue
            try:
                vpn = await self._look(time.monotonic())
            except TwinhullError as error:
                logger.warning("the tunnel could not be looked after: %s", error.message)
                continue
            if vpn.state != last:
                last = vpn.state
                self._on_change("vpn")

    async def _look(self, now: float) -> VpnInfo:
        if self._prove_at is None:
            self._prove_at = now + FIRST_PROOF_SECONDS
        elif now >= self._prove_at:
            await self.prove()
        vpn = await self._networks.vpn()
        if vpn.state in ("down", "blocked", "error"):
            logger.warning("the tunnel is %s: %s", vpn.state, vpn.reason)
            await self._repair()
        await self._unanswered(vpn.state == "connecting", now)
        return vpn

    async def _unanswered(self, waiting: bool, now: float) -> None:
        """While no gateway answers: a portal may be in between, or the gateway be somewhere else by now."""
        if not waiting:
            self._waiting_since = None
            await self._see_portal(Outside("open"))
            return
        if self._waiting_since is None:
            self._waiting_since = now
        elif now - self._waiting_since >= ELSEWHERE_SECONDS:
            self._waiting_since = now
            await self._repair()
        if now - self._asked_at >= PORTAL_SECONDS:
            self._asked_at = now
            found = await self._outside()
            if found is not None:
                await self._see_portal(found)

    async def _see_portal(self, untrusted: Outside) -> None:
        """Show where to sign in, and let the personal side, and nothing else, get there."""
        place, addresses, resolvers = "", list[str](), list[str]()
        if untrusted.reach == "portal" and fit_to_show(untrusted.location):
            place = untrusted.location
            addresses = usable(untrusted.addresses, only_public=False)
            resolvers = usable(untrusted.resolvers, only_public=False)
        await self._networks.open_portal(addresses, resolvers)
        if place == self._portal:
            return
        self._portal = place
        if place:
            self._state.log("decided", f"This network wants somebody to sign in at {place}")
        self._on_change("vpn")

    async def info(self) -> VpnInfo:
        """The tunnel as it is this moment, and what the last proof in this process's life found."""
        vpn = await self._networks.vpn()
        if self._portal and vpn.state == "connecting":
            vpn = msgspec.structs.replace(vpn, portal=self._portal, reason=SIGN_IN)
        if self._proof is None:
            return vpn
        failed = [canary.name for canary in self._proof.canaries if not canary.passed]
        return msgspec.structs.replace(vpn, proved_at=self._proof.at, proof_failed=failed)

    async def prove(self) -> VpnProof:
        """Run the canaries; what they found goes into the owner's log, and the corporate part to the server.

        A failed one has netd pull the guest's link until all pass.
        """
        async with self._proving:
            before = self._proof
            proof = await self._networks.prove()
            self._proof = proof
            wait = PROOF_SECONDS if proof.passed else FAILED_PROOF_SECONDS
            self._prove_at = time.monotonic() + wait
        failed = [canary for canary in proof.canaries if not canary.passed]
        summary = f"Leak canaries: {len(proof.canaries) - len(failed)} of {len(proof.canaries)} passed"
        if failed:
            names = ", ".join(canary.name for canary in failed)
            summary = f"{summary}; failed: {names}"
            logger.error("%s", summary)
        self._state.log("done", summary, msgspec.json.encode(proof).decode())
        if before is None or reported(before) != msgspec.structs.replace(
            reported(proof), proved_at=int(before.at)
        ):
            self._report(reported(proof))
        self._on_change("vpn")
        return proof

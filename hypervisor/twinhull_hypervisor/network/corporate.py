"""The corporate side: a namespace with exactly lo, the tap and the tunnel in it."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import msgspec

from . import clearing, confinement, hardening, links, namespaces, rules, taps
from .arguments import CorporateArguments, CorporatePlan, corporate_plan
from .confinement import ALLOWED, NAMESPACE
from .errors import NetworkDown, NotConfined
from .filters import Filter
from .memory import Memory
from .plan import CORPORATE, TUNNEL
from .results import SideStatus, TunnelStatus
from .states import HANDSHAKE_STALE_SECONDS, Facts, Row, decide
from .tunnel import Tunnel
from .watch import DriftWatch

NOT_BUILT = decide(Facts(False, False, False, False, False, False))


class Built(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is remembered of the network: what was asked for, and how its packet filter read."""

    arguments: CorporateArguments
    filter: str


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The canaries that failed in the last proof; remembered only while one has."""

    canaries: list[str]


class CorporateSide:
    """Builds, checks, describes and empties ``th-corporate``.

    Everything is read from the kernel each time; what is remembered is the last plan, for status and proofs,
    and with it that the network was built.
    """

    def __init__(self, underlay: str, state_dir: Path, lock: threading.RLock) -> None:
        self.underlay = underlay
        self.tunnel = Tunnel(underlay, NAMESPACE, state_dir, lock)
        self._memory = Memory(state_dir / "corporate.json", Built, NAMESPACE)
        self._failed = Memory(state_dir / "canaries.json", Failed, NAMESPACE)
        self._filter = Filter(NAMESPACE)
        self._watch: DriftWatch | None = None
        self._turn = threading.RLock()
        """Held while the guest's link is checked and raised or pulled."""
        self._next: CorporatePlan | None = None
        """What is being put in force at the moment; until that is done the old and the new are both right."""

    def up(self, arguments: CorporateArguments) -> None:
        """Build it, or bring it to these arguments, or mend it under a running guest. Idempotent."""
        plan = corporate_plan(arguments)
        if self._memory.recall() is None:
            self._empty()
            namespaces.create(NAMESPACE)
        self._next = plan
        try:
            self.resume()
            self._put_in_force(plan, arguments)
        finally:
            self._next = None
        if CORPORATE.tap in links.links(NAMESPACE):
            self.adopt()

    def _put_in_force(self, plan: CorporatePlan, arguments: CorporateArguments) -> None:
        rightful = self._rightful(self._memory.recall())
        if rightful is not None:
            confinement.mend(rightful)
        namespaces.sysctl(NAMESPACE, {"ipv4/ip_forward": 1})
        if Path("/proc/sys/net/ipv6").exists():
            namespaces.sysctl(NAMESPACE, {"ipv6/conf/all/forwarding": int(plan.ipv6)})
        hardening.harden(NAMESPACE, ipv6=plan.ipv6)
        with self._turn:
            self._memory.remember(Built(arguments, self._filter.load(rules.corporate(plan))))
        self.tunnel.up(plan)

    def plan(self) -> CorporatePlan | None:
        """The plan last put in force; None unless the network was built."""
        built = self._memory.recall()
        return None if built is None else corporate_plan(built.arguments)

    def built(self) -> bool:
        """Whether there is more than an empty namespace, or should be."""
        return self._memory.recall() is not None or not clearing.is_empty(NAMESPACE)

    def adopt(self) -> None:
        """Connect the guest, if and only if the namespace is confined."""
        if not self.built():
            raise NetworkDown(partition=CORPORATE.partition)
        plan = self.plan()
        with self._turn:
            taps.adopt(CORPORATE, self._check, ipv6=plan is not None and plan.ipv6)
        self.resume()

    def resume(self) -> None:
        """Watch for drift if there is a guest link to pull, and keep the tunnel; also after a restart."""
        plan = self.plan()
        if plan is not None and namespaces.exists(self.underlay):
            self.tunnel.keep(plan)
        if self._watch is not None and not self._watch.alive():
            self._watch.stop()
            self._watch = None
        if self._watch is None and CORPORATE.tap in links.links(NAMESPACE):
            self._watch = DriftWatch(NAMESPACE, CORPORATE.tap, self._why_pulled, self._turn)

    def status(self, *, afresh: bool = False) -> tuple[Row, SideStatus, TunnelStatus]:
        """State and reason, the namespace, and the tunnel; ``afresh`` as if no canary had failed yet."""
        if not self.built():
            return NOT_BUILT, SideStatus(built=False, why_not="it is not built"), TunnelStatus()
        tunnel = self.tunnel.status()
        row, detail = self._row(tunnel, None if afresh else self._failed.recall())
        why_not = detail or confinement.missing(ALLOWED) or ("" if row.guest_link else row.reason)
        plan = self.plan()
        routes = [
            route
            for route in links.routes(NAMESPACE)
            if route.interface != CORPORATE.tap and not (plan and confinement.is_own(route, plan))
        ]
        side = SideStatus(
            built=True,
            interfaces=sorted(links.links(NAMESPACE)),
            routes=[str(route) for route in routes],
            addresses=[str(address) for address in links.addresses(NAMESPACE, TUNNEL)],
            guest_link=taps.is_up(CORPORATE),
            confined=not why_not,
            why_not=why_not,
        )
        return row, side, tunnel

    def proved(self, failed: list[str]) -> None:
        """What a run of the canaries found. A failure pulls the guest's link until a run passes."""
        with self._turn:
            if not failed:
                self._failed.forget()
                return
            if self._memory.recall() is None:
                return  # nothing was built that could have leaked
            self._failed.remember(Failed(failed))
            if CORPORATE.tap in links.links(NAMESPACE):
                links.set_state(NAMESPACE, CORPORATE.tap, up=False)

    def cut(self) -> None:
        """Take the tunnel away and leave the guest an unplugged cable; ``up`` gives both back. Idempotent."""
        if CORPORATE.tap in links.links(NAMESPACE):
            links.set_state(NAMESPACE, CORPORATE.tap, up=False)
        self.tunnel.remove()

    def down(self) -> None:
        """Empty the namespace: the guest's link first, then the tunnel, then all else. Idempotent."""
        taps.remove(CORPORATE)
        self._memory.forget()
        self._failed.forget()
        self._empty()

    def _empty(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        links.delete(NAMESPACE, CORPORATE.tap)
        self.tunnel.remove()
        clearing.empty(NAMESPACE)

    def _check(self, besides: frozenset[str]) -> None:
        """Raises NotConfined unless the namespace holds what it may, in a state that allows a guest."""
        row, detail = self._row(self.tunnel.status(), self._failed.recall())
        reason = detail or confinement.missing(frozenset({"lo", TUNNEL}) | besides)
        if not row.guest_link:
            reason = reason or row.reason.rstrip(".")
        if reason:
            raise NotConfined(partition=CORPORATE.partition, reason=reason)

    def _why_pulled(self) -> str:
        """For the drift watch. Whether the gateway answers is no matter of the link's."""
        row, detail = self._row(TunnelStatus(kind=self.tunnel.kind()), self._failed.recall())
        return detail or ("" if row.guest_link else row.reason)

    def _row(self, tunnel: TunnelStatus, failed: Failed | None) -> tuple[Row, str]:
        """The row that fits what is seen now, and what is wrong with the confinement in words."""
        built = self._memory.recall()
        breach = confinement.breach(self._rightful(built))
        link = links.links(NAMESPACE).get(TUNNEL)
        age = time.time() - tunnel.last_handshake
        row = decide(
            Facts(
                built=built is not None or not clearing.is_empty(NAMESPACE),
                confined=not breach,
                firewall=built is not None and self._filter.intact(built.filter),
                proven=failed is None,
                tunnel=bool(tunnel.kind) and link is not None and link.up,
                answered=tunnel.last_handshake > 0 and age < HANDSHAKE_STALE_SECONDS,
            )
        )
        if failed is not None and row.state == "blocked":
            breach = breach or f"the canary {', '.join(failed.canaries)} failed"
        return row, breach

    def _rightful(self, built: Built | None) -> CorporatePlan | None:
        """What the namespace may hold now: the plan in force, and the one that is being put in force."""
        if built is None:
            return self._next
        plan = corporate_plan(built.arguments)
        if self._next is None:
            return plan
        return dataclasses.replace(
            self._next,
            addresses=(*plan.addresses, *self._next.addresses),
            routes=(*plan.routes, *self._next.routes),
        )

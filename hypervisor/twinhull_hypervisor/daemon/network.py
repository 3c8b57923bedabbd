"""The core's side of the network: what netd is asked for, and when.

Addresses, routes and DNS come from the signed policy and statement alone (P2). The corporate machine runs
only between a successful ``adopt`` and ``down``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Sequence

import msgspec
from twinhull_policy.api.types import VpnInfo, VpnProof
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..ipc import HelperUnreachable
from ..network.client import NetdClient
from ..network.plan import OWN_NETWORKS
from ..settings import HostSettings
from .gateways import Gateways, literal
from .inbox import InForce

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
PATIENCE = 10
"""How often netd is asked before it counts as gone."""


class NoVpnInPolicy(TwinhullError):
    """The company's policy names no VPN for this laptop, so the corporate partition has no network."""

    code = "TH-NET-201"
    next_step = "Ask your administrator to publish a policy with a vpn section."


class Networks:
    """Both partitions' networks, through netd.

    Args:
        allowed: whether a partition may have a network now (the corporate one has a lease).
        gateways: finds the policy's gateways; None where all of them are given by address.
    """

    def __init__(
        self,
        client: NetdClient,
        settings: HostSettings,
        allowed: Callable[[Partition], bool],
        gateways: Gateways | None = None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._allowed = allowed
        self._gateways = gateways
        self._portal: tuple[str, ...] = ()
        self._resolvers: tuple[str, ...] = ()
        self._cut = False
        self._lock = asyncio.Lock()

    async def public_key(self) -> str:
        """The laptop's WireGuard public key; made on first use."""
        return await asyncio.to_thread(self._client.identity)

    async def next_public_key(self) -> str:
        """The public half of the tunnel's next key, made unless there is one.

        The tunnel goes on with the key it has; once the gateway knows the next one, netd changes to it by
        itself, and the one before is gone.
        """
        return await asyncio.to_thread(lambda: self._client.identity(next=True))

    async def bring_up(self, partition: Partition, in_force: InForce | None) -> None:
        """Build a partition's namespace, or bring it to what the policy and the lease say now. Idempotent."""
        async with self._lock:
            if partition is Partition.PERSONAL:
                names = self._resolvers or self._settings.personal_dns
                await asyncio.to_thread(self._client.personal_up, names, self._portal)
                return
            if not self._allowed(partition):
                await self._take_away()
                return
            self._cut = False
            if in_force is None or not in_force.statement.vpn_addresses:
                raise NoVpnInPolicy
            vpn = in_force.policy.vpn
            places = literal(vpn) if self._gateways is None else await self._gateways.find(vpn)
            await asyncio.to_thread(
                self._client.corporate_up,
                addresses=in_force.statement.vpn_addresses,
                gateways=places,
                routes=vpn.routes,
                dns=vpn.dns,
                mtu=vpn.mtu,
            )

    async def _take_away(self) -> None:
        """Cut the corporate guest off; once is enough, as nobody but this process gives it a network."""
        if not self._cut:
            await asyncio.to_thread(self._client.corporate_cut)
            self._cut = True

    async def tap(self, partition: Partition) -> str:
        """A fresh tap for QEMU to open, still outside every namespace and down."""
        return await asyncio.to_thread(self._client.tap, partition)

    async def adopt(self, partition: Partition) -> None:
        """Move the tap into its namespace; raises unless the namespace then holds what it may hold.

        A partition that may have no network now keeps an unplugged cable.
        """
        if not self._allowed(partition):
            await self.bring_up(partition, None)
            return
        await asyncio.to_thread(self._client.adopt, partition)

    async def connect(self, partition: Partition, in_force: InForce | None, *, build: bool = False) -> None:
        """Connect a machine that is there; where its network does not pass, build it again first.

        Args:
            partition: whose machine.
            in_force: what the corporate network is built from.
            build: build in any case, also to bring it to what the policy says now.

        Raises:
            TwinhullError: it did not pass, or nobody was there to check it; the machine must not run.
        """
        for _ in range(PATIENCE):
            try:
                if build:
                    await self.bring_up(partition, in_force)
                await self.adopt(partition)
                return
            except HelperUnreachable:
                await asyncio.sleep(RETRY_SECONDS)  # it is being restarted; a guest is not stopped for that
            except TwinhullError:
                if build:
                    raise
                build = True
        await self.adopt(partition)

    async def open_portal(self, addresses: Sequence[str], resolvers: Sequence[str] = ()) -> None:
        """Let the personal side reach the page on which this network wants a sign-in; none to close it again.

        Nothing is opened for the corporate side.

        Args:
            addresses: of the page.
            resolvers: the network's own name servers, which the personal side asks instead of the owner's as
                long as the page is open: others cannot be reached there, and do not know the page's name.
        """
        pages = _elsewhere(addresses)
        wanted = (pages, _elsewhere(resolvers) if pages else ())
        if wanted == (self._portal, self._resolvers):
            return
        self._portal, self._resolvers = wanted
        if (await asyncio.to_thread(self._client.status)).personal.built:
            await self.bring_up(Partition.PERSONAL, None)

    async def down(self, partition: Partition) -> None:
        """Remove a partition's namespace and all in it."""
        async with self._lock:
            await asyncio.to_thread(self._client.down, partition)

    async def vpn(self) -> VpnInfo:
        """The corporate tunnel as it is this moment."""
        try:
            info = await asyncio.to_thread(self._client.vpn_info)
        except TwinhullError as error:
            return VpnInfo(state="error", reason=error.message)
        if info.state in ("down", "blocked") and not self._allowed(Partition.CORPORATE):
            reason = "It was taken away because the company's server was not heard of for too long."
            return msgspec.structs.replace(info, state="down", reason=reason)
        return info

    async def prove(self) -> VpnProof:
        """Run the canaries."""
        return await asyncio.to_thread(self._client.prove)


def _elsewhere(addresses: Sequence[str]) -> tuple[str, ...]:
    """Without those that Twinhull has for itself, which netd takes for nobody's."""
    known = [ipaddress.ip_address(address) for address in addresses]
    return tuple(str(one) for one in known if not any(one in network for network in OWN_NETWORKS))

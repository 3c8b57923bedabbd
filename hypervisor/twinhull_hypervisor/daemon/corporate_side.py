"""What the employer's commands do, by the parts that do it anyway; nothing here names the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from twinhull_policy.names import Partition

from ..fetch.client import FetchClient
from .commands import Removed
from .inbox import Inbox
from .network import Networks
from .partitions import Partitions


class CorporateCommands:
    """Implements :class:`twinhull_hypervisor.daemon.commands.CorporateSide`.

    Args:
        destroy: ends the corporate partition for good (``erase.erase``).
    """

    def __init__(
        self,
        partitions: Partitions,
        networks: Networks,
        inbox: Inbox,
        client: FetchClient,
        destroy: Callable[[], Awaitable[None]],
        on_change: Callable[[str], object],
    ) -> None:
        self._partitions = partitions
        self._networks = networks
        self._destroy = destroy
        self._on_change = on_change
        self._inbox = inbox
        self._client = client

    async def enforce(self) -> None:
        """End the corporate machine and close its volume if it is locked."""
        await self._partitions.enforce_lease()

    async def erase(self) -> Sequence[Removed]:
        """Destroy the corporate partition."""
        async with self._partitions.lock_of(Partition.CORPORATE):
            await self._destroy()
        self._on_change("partitions")
        return ["keys", "contents", "firmware-variables"]

    async def leave(self) -> None:
        """Have fetch drop the device key and the server's address, and forget what the server said."""
        await asyncio.to_thread(self._client.forget)
        await asyncio.to_thread(self._inbox.forget)

    async def rotate_vpn_key(self) -> str:
        """Have netd make the next key. It changes to it by itself, once the gateway knows it."""
        return await self._networks.next_public_key()

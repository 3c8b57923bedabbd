"""A partition's end for good, asked for by its owner: written down first, then done, then answered for.

What is written down is finished at the next start (P9). The receipt is signed with the device's key, given to
the owner, and kept in the owner's log; the company's server gets none of it (P6).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping

import msgspec
from twinhull_policy.api.types import WipeDone
from twinhull_policy.canonical import encode
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.trust.documents import WipeReceipt

from ..domain.connection import Hypervisor
from ..domain.machine import Machine
from ..fetch.client import FetchClient
from ..storage.base import PartitionVolume
from .commands import seal
from .erase import destroy
from .network import Networks
from .partitions import Partitions
from .state import PARTITION_DOCUMENTS, WIPE_DOCUMENTS, Identity, State

logger = logging.getLogger(__name__)


class Wipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The owner asked for one at ``at``."""

    at: float


class Wipes:
    """Wipes of either partition.

    Args:
        on_change: told "partitions".
    """

    def __init__(
        self,
        *,
        state: State,
        hypervisor: Hypervisor,
        networks: Networks,
        partitions: Partitions,
        volumes: Mapping[Partition, PartitionVolume],
        client: FetchClient,
        on_change: Callable[[str], object],
    ) -> None:
        self._state = state
        self._hypervisor = hypervisor
        self._networks = networks
        self._partitions = partitions
        self._volumes = volumes
        self._client = client
        self._on_change = on_change

    async def wipe(self, name: Partition) -> WipeDone:
        """Destroy a partition, running or not; its receipt.

        Raises:
            NotCreated: there is nothing to wipe.
            TwinhullError: its machine could not be ended; its keys are gone, and the rest follows.
        """
        async with self._partitions.lock_of(name):
            self._partitions.existing(name)
            self._state.put(WIPE_DOCUMENTS[name], Wipe(time.time()))
            return await self._carry_out(name)

    async def finish(self) -> None:
        """Go on with what was begun before this start; what cannot be finished now is tried at the next."""
        for name in Partition:
            async with self._partitions.lock_of(name):
                if self._state.get(WIPE_DOCUMENTS[name], Wipe) is None:
                    continue
                try:
                    await self._carry_out(name)
                except TwinhullError as error:
                    logger.warning("the wipe of %s is not finished: %s", name, error.message)

    async def _carry_out(self, name: Partition) -> WipeDone:
        other = next(one for one in Partition if one is not name)
        elsewhere = self._volumes[other].paths.directory
        key = secrets.token_bytes(32)
        before = await asyncio.to_thread(seal, elsewhere, key)
        survived = await destroy(name, self._hypervisor, Machine(self._hypervisor, name), self._volumes[name])
        after = await asyncio.to_thread(seal, elsewhere, key)
        identity = self._state.get("identity", Identity)
        receipt = WipeReceipt(
            tenant=identity.tenant if identity else "none",
            device_id=identity.device_id if identity else "none",
            enrol_epoch=identity.enrol_epoch if identity else 1,
            partition=name.value,
            at=int(time.time()),
            removed=["keys", "headers", "header-backups", "snapshots", "contents", "firmware-variables"],
            survived=survived,
            other_before=before,
            other_after=after,
        )
        body = encode(receipt).decode()
        envelope, unsigned = "", "this laptop is not enrolled"
        if identity is not None:
            try:
                envelope, unsigned = await asyncio.to_thread(self._client.sign_wipe, body), ""
            except TwinhullError as error:
                unsigned = error.message
        with self._state.transaction():
            self._state.forget(PARTITION_DOCUMENTS[name], WIPE_DOCUMENTS[name])
            self._state.log("done", f"You wiped the {name} partition; this is its receipt", envelope or body)
        with contextlib.suppress(TwinhullError):  # netd empties what it finds at its own start, too
            await self._networks.down(name)
        self._on_change("partitions")
        return WipeDone(
            partition=name.value,
            at=float(receipt.at),
            survived=survived,
            other_untouched=before == after,
            receipt=body,
            envelope=envelope,
            unsigned=unsigned,
        )

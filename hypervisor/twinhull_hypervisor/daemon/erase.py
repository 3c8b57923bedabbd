"""The end of a partition for good."""

from __future__ import annotations

import asyncio
import contextlib

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..domain.connection import Hypervisor
from ..domain.machine import Machine, forget_secret
from ..storage.volume import QemuLuksVolume
from .network import Networks
from .state import PARTITION_DOCUMENTS, State


async def erase(
    name: Partition,
    state: State,
    hypervisor: Hypervisor,
    machine: Machine,
    volume: QemuLuksVolume,
    networks: Networks,
) -> None:
    """Destroy a partition for good: its machine, its keys, its contents, its record. Idempotent.

    The keys go even when libvirt cannot end the machine, which then has nothing to come back to; that it
    could not is raised afterwards, so that it is tried again. The caller holds ``Partitions.lock_of``.
    """
    problem: TwinhullError | None = None
    try:
        await asyncio.to_thread(machine.destroy)
    except TwinhullError as error:
        problem = error
    await asyncio.to_thread(volume.destroy)
    with contextlib.suppress(TwinhullError):  # libvirt forgets it after each start already
        await asyncio.to_thread(forget_secret, hypervisor, volume.secret_uuid)
    if problem is not None:
        raise problem
    state.forget(PARTITION_DOCUMENTS[name])
    with contextlib.suppress(TwinhullError):  # netd empties what it finds at its own start, too
        await networks.down(name)

"""The end of a partition for good."""

from __future__ import annotations

import asyncio
import contextlib

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..domain.connection import Hypervisor
from ..domain.machine import Machine, forget_secret
from ..storage.base import PartitionVolume
from ..storage.errors import VolumeFailed
from ..storage.remains import Remains
from .network import Networks
from .state import PARTITION_DOCUMENTS, WIPE_DOCUMENTS, State


async def erase(
    name: Partition,
    state: State,
    hypervisor: Hypervisor,
    machine: Machine,
    volume: PartitionVolume,
    networks: Networks,
) -> None:
    """Destroy a partition for good: its machine, its keys, its contents, its record. Idempotent.

    The caller holds ``Partitions.lock_of``. Raises as :func:`destroy`.
    """
    await destroy(name, hypervisor, machine, volume)
    # A wipe that its owner had begun is over as well: nothing made later may be taken for what it is to end.
    state.forget(PARTITION_DOCUMENTS[name], WIPE_DOCUMENTS[name])
    with contextlib.suppress(TwinhullError):  # netd empties what it finds at its own start, too
        await networks.down(name)


async def destroy(
    name: Partition, hypervisor: Hypervisor, machine: Machine, volume: PartitionVolume
) -> list[str]:
    """Destroy a machine and a volume; what of the volume could still be read, which is nothing. Idempotent.

    The keys go even when libvirt cannot end the machine, which then has nothing to come back to; that it
    could not is raised afterwards, so that it is tried again.
    """
    problem: TwinhullError | None = None
    try:
        await asyncio.to_thread(machine.destroy)
    except TwinhullError as error:
        problem = error
    survived = await asyncio.to_thread(_destroyed, name, volume)
    with contextlib.suppress(TwinhullError):  # libvirt forgets it after each start already
        await asyncio.to_thread(forget_secret, hypervisor, volume.secret_uuid)
    if problem is not None:
        raise problem
    return survived


def _destroyed(name: Partition, volume: PartitionVolume) -> list[str]:
    try:
        with Remains(volume.paths) as remains:
            volume.destroy()
            return remains.survivors()
    except OSError as error:
        raise VolumeFailed(partition=name.value, reason=error.strerror or "") from error

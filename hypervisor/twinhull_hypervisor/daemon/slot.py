"""What is being done with one partition, the start of its machine and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from twinhull_policy.api.types import PartitionState
from twinhull_policy.names import Partition

from ..domain.connection import Hypervisor
from ..domain.machine import Machine, MachineState, forget_secret, volume_secret
from ..storage.base import PartitionVolume
from .partition_errors import StillRunning
from .state import PartitionRecord, State

PciFor = Callable[[Partition], Awaitable[tuple[list[str], dict[str, list[str]]]]]
"""The PCI functions a partition starts with, and those it may not have and why."""
MakeRoom = Callable[[Partition, int], Awaitable[None]]
"""Told who is about to start, and with how many MiB."""
Prepare = Callable[[Partition], PartitionRecord]
"""Done with an open volume before its machine is there; blocks. The record to start by."""
LOCKING_SECONDS = 60.0
"""How long a guest may take to shut down, without a network, once its partition is locked."""


class Slot:
    """One partition's turn: whoever changes it holds the lock.

    Attributes:
        doing: the state to show meanwhile.
        note: what is being done, in words.
        stopped: set when libvirt says that the machine is gone.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.doing: PartitionState | None = None
        self.note = ""
        self.stopped = asyncio.Event()


async def granted_pci(name: Partition, pci_for: PciFor, state: State) -> list[str]:
    """The PCI functions to start with; what is refused is logged, and the start goes on without it."""
    granted, refused = await pci_for(name)
    for address, reasons in refused.items():
        state.log("refused", f"The {name} partition starts without {address}: {'; '.join(reasons)}")
    return granted


def start_paused(hypervisor: Hypervisor, machine: Machine, volume: PartitionVolume, xml: str) -> None:
    """Create a machine, its processors stopped; its disk's key is with libvirt for so long only."""
    volume.make_ready()
    forget_secret(hypervisor, volume.secret_uuid)
    secret = volume.secret_value()
    if secret is None:
        machine.start_paused(xml)
        return
    with volume_secret(hypervisor, volume.secret_uuid, str(volume.paths.overlay), secret):
        machine.start_paused(xml)


async def shut_down(name: Partition, machine: Machine, slot: Slot, seconds: float) -> None:
    """Ask a running guest to shut down, and wait until it has. Raises StillRunning: not within so long."""
    slot.stopped.clear()
    await asyncio.to_thread(machine.shutdown)
    try:
        async with asyncio.timeout(seconds):
            while await asyncio.to_thread(machine.state) is not MachineState.ABSENT:
                # The event can be lost with libvirtd, so the state is looked at now and then too.
                try:
                    async with asyncio.timeout(5):
                        await slot.stopped.wait()
                except TimeoutError:
                    continue
                slot.stopped.clear()
    except TimeoutError as error:
        raise StillRunning(partition=name, seconds=int(seconds)) from error

"""What is being done with one partition, and the start of its machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from twinhull_policy.api.types import PartitionState
from twinhull_policy.names import Partition

from ..domain.connection import Hypervisor
from ..domain.machine import Machine, forget_secret, volume_secret
from ..storage.volume import QemuLuksVolume

PciFor = Callable[[Partition], Awaitable[tuple[list[str], dict[str, list[str]]]]]
"""The PCI functions a partition starts with, and those it may not have and why."""


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


def start_paused(hypervisor: Hypervisor, machine: Machine, volume: QemuLuksVolume, xml: str) -> None:
    """Create a machine, its processors stopped; its disk's key is with libvirt for so long only."""
    volume.make_ready()
    forget_secret(hypervisor, volume.secret_uuid)
    overlay = str(volume.paths.overlay)
    with volume_secret(hypervisor, volume.secret_uuid, overlay, volume.secret_value()):
        machine.start_paused(xml)

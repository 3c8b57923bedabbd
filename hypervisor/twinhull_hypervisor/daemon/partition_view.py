"""A partition as a person sees it: what libvirt says now decides, not what was last known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twinhull_policy.api.types import PartitionInfo, PartitionState, UnlockInfo
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.trust.documents import ImageReference

from ..domain.machine import MachineState
from ..storage.base import PartitionVolume
from ..storage.errors import HeaderDamaged
from ..storage.interface import VolumeState
from .specs import Resources
from .state import PartitionRecord

_UP: dict[MachineState, PartitionState] = {
    MachineState.RUNNING: "running",
    MachineState.PAUSED: "paused",
    MachineState.STOPPING: "stopping",
}


@dataclass(frozen=True, slots=True)
class VolumeView:
    """What is shown of a volume.

    Attributes:
        unlocked: whether its key is held.
        problem: why nobody need be asked for a secret, in words; empty when there is no reason.
        unlock: what whoever is asked may know; None where it cannot be read.
    """

    encryption: Literal["", "luks2-dm-crypt", "qemu-luks"]
    unlocked: bool
    problem: str = ""
    unlock: UnlockInfo | None = None


def volume_view(volume: PartitionVolume) -> VolumeView:
    """Look at a volume; while it is locked at its header too, which takes reading 2 MiB."""
    if volume.state() is VolumeState.UNLOCKED:
        return VolumeView(volume.kind, unlocked=True)
    try:
        volume.check_header()
        return VolumeView(volume.kind, unlocked=False, unlock=volume.keys.unlock_info())
    except HeaderDamaged as error:
        return VolumeView(volume.kind, unlocked=False, problem=f"{error.message} {error.next_step}")
    except (TwinhullError, OSError):  # unlocking it will say so
        return VolumeView(volume.kind, unlocked=False)


def partition_info(
    name: Partition,
    record: PartitionRecord,
    machine: MachineState,
    *,
    doing: PartitionState | None,
    volume: VolumeView,
    resources: Resources,
    barred: str,
    wanted: ImageReference | None,
) -> PartitionInfo:
    """Put together what is known of a partition that exists.

    Args:
        doing: what is being done with it just now.
        volume: its encrypted store.
        barred: why it may not run, in words; empty when it may.
        wanted: the golden image that the server names, once it is here.
    """
    up = machine in _UP
    if doing is not None:
        state = doing
    elif up:
        state = _UP[machine]
    elif record.failure or volume.problem:
        state = "failed"
    else:
        state = "stopped" if volume.unlocked else "locked"
    return PartitionInfo(
        name=name,
        state=state,
        reason=barred or (_tried(record) if up else volume.problem or record.failure),
        image=record.image,
        image_sha256=record.image_sha256,
        newer_image=wanted.target if wanted is not None and wanted.sha256 != record.image_sha256 else "",
        trying=up and record.update is not None,
        accelerator=record.accelerator if up else "",
        encryption=volume.encryption,
        unlocked=volume.unlocked or up,
        memory_mib=resources.memory_mib,
        vcpus=resources.vcpus,
        disk_gib=record.disk_gib,
        started_at=record.started_at if up else 0.0,
        unlock=None if up else volume.unlock,
    )


def _tried(record: PartitionRecord) -> str:
    return "" if record.update is None else f"It is being seen whether {record.image} comes up."

"""A partition as a person sees it: what libvirt says now decides, not what was last known. Pure."""

from __future__ import annotations

from typing import Literal

from twinhull_policy.api.types import PartitionInfo, PartitionState
from twinhull_policy.names import Partition

from ..domain.machine import MachineState
from .specs import Resources
from .state import PartitionRecord

_UP: dict[MachineState, PartitionState] = {
    MachineState.RUNNING: "running",
    MachineState.PAUSED: "paused",
    MachineState.STOPPING: "stopping",
}


def partition_info(
    name: Partition,
    record: PartitionRecord,
    machine: MachineState,
    *,
    doing: PartitionState | None,
    encryption: Literal["", "luks2-dm-crypt", "qemu-luks"],
    unlocked: bool,
    resources: Resources,
    barred: str,
) -> PartitionInfo:
    """Put together what is known of a partition that exists.

    Args:
        doing: what is being done with it just now.
        unlocked: whether its key is held.
        barred: why it may not run, in words; empty when it may.
    """
    up = machine in _UP
    if doing is not None:
        state = doing
    elif up:
        state = _UP[machine]
    elif record.failure:
        state = "failed"
    else:
        state = "stopped" if unlocked else "locked"
    return PartitionInfo(
        name=name,
        state=state,
        reason=barred or ("" if up else record.failure),
        image=record.image,
        image_sha256=record.image_sha256,
        accelerator=record.accelerator if up else "",
        encryption=encryption,
        unlocked=unlocked or up,
        memory_mib=resources.memory_mib,
        vcpus=resources.vcpus,
        disk_gib=record.disk_gib,
        started_at=record.started_at if up else 0.0,
    )

"""The key slots of disks' own headers, of which one is in use unless the volume's key is being changed."""

from __future__ import annotations

from pathlib import Path

import msgspec
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_hypervisor.run import Completed, last_line
from twinhull_hypervisor.storage import qemu_luks
from twinhull_hypervisor.storage.errors import DiskFull, SnapshotDamaged, VolumeFailed
from twinhull_hypervisor.storage.files import sync_file


class DiskKeys:
    """Changes them, on the present disk and on snapshots alike; each change is durable when it returns.

    What is raised names the snapshot, if it is one: a person can remove it.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition

    def in_use(self, disk: Path) -> list[int]:
        """The slots that hold a key; at least one. Raises VolumeFailed, SnapshotDamaged."""
        try:
            used = qemu_luks.keys_in_use(disk)
        except (TwinhullError, msgspec.DecodeError) as error:
            raise self._unusable(disk, str(error)) from error
        if not any(used):
            raise self._unusable(disk, "its header holds no key at all")
        return [slot for slot, active in enumerate(used) if active]

    def add(self, disk: Path, key: bytes, new: bytes, slot: int) -> None:
        """Have ``new`` open a disk too, by a free slot. Raises DiskFull, VolumeFailed, SnapshotDamaged."""
        completed = qemu_luks.add_key(disk, key, new, slot)
        if completed.status != 0 and qemu_luks.NO_ROOM not in completed.stderr:
            raise self._unusable(disk, last_line(completed.stderr))
        judge(self._partition, completed)
        sync_file(disk)

    def keep_only(self, disk: Path, key: bytes, ours: int) -> None:
        """Erase every slot but ours; a slot that is alone is ours, wherever it is. Raises VolumeFailed."""
        used = self.in_use(disk)
        if len(used) > 1:
            for slot in (slot for slot in used if slot != ours):
                judge(self._partition, qemu_luks.erase_key(disk, key, slot))
            sync_file(disk)

    def move(self, disk: Path, key: bytes, to: int) -> None:
        """Have a disk hold its key in slot ``to`` alone. May be cut short and done again. Raises as add."""
        if to not in self.in_use(disk):
            self.add(disk, key, key, to)
        self.keep_only(disk, key, to)

    def _unusable(self, disk: Path, reason: str) -> TwinhullError:
        if disk.name == "disk.qcow2":
            return SnapshotDamaged(snapshot=disk.parent.name, partition=self._partition.value)
        return VolumeFailed(partition=self._partition.value, reason=reason)


def judge(partition: Partition, completed: Completed) -> None:
    """Raises DiskFull, VolumeFailed: qemu-img has failed."""
    if completed.status != 0:
        if qemu_luks.NO_ROOM in completed.stderr:
            raise DiskFull(what=f"the volume of {partition.value}")
        raise VolumeFailed(partition=partition.value, reason=last_line(completed.stderr))

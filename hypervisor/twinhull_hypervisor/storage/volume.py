"""A partition's encrypted store, for kernels without device-mapper.

The overlay itself is QEMU-LUKS, its key slot holds our random key, and how that is come by is
``keys``' part.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Literal

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_hypervisor.run import last_line
from twinhull_hypervisor.storage import header, qemu_luks
from twinhull_hypervisor.storage.base import OVMF_VARIABLES, PartitionVolume
from twinhull_hypervisor.storage.disk_keys import DiskKeys, judge
from twinhull_hypervisor.storage.errors import (
    HeaderDamaged,
    HeaderLost,
    NotGrown,
    SnapshotDamaged,
    VolumeExists,
    VolumeFailed,
    VolumeLocked,
)
from twinhull_hypervisor.storage.files import overwrite_head, publish, sync_directory
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.server_share import Shares
from twinhull_hypervisor.storage.slots import Argon2Cost, Passphrase, RecoveryCode, wipe
from twinhull_hypervisor.storage.snapshots import LIMITS, Snapshot
from twinhull_hypervisor.storage.standing import stands_on_one
from twinhull_hypervisor.storage.told import told
from twinhull_hypervisor.tpm.chip import Tpm

logger = logging.getLogger(__name__)

HEAD_BYTES = LIMITS.head_bytes
"""Of an overlay, overwritten when it is destroyed. QEMU writes its LUKS header, 2 MiB (crypto/block-luks.c:
eight slots of 4000 stripes), right behind the qcow2 header's first clusters."""


class QemuLuksVolume(PartitionVolume):
    """A volume that is a QEMU-LUKS qcow2 overlay. Its key stays in this process while it is open.

    Args:
        directory: existing, ours, 0711; QEMU's user must be able to pass through it.
        Also what :class:`PartitionVolume` takes.
    """

    def __init__(
        self,
        partition: Partition,
        directory: Path,
        cost: Argon2Cost | None = None,
        variables: Path = OVMF_VARIABLES,
        tpm: Tpm | None = None,
        shares: Shares | None = None,
    ) -> None:
        super().__init__(partition, VolumePaths(directory), header.same, cost, variables, tpm, shares)
        self._key: bytearray | None = None
        self._disk_keys = DiskKeys(partition)

    @property
    def kind(self) -> Literal["luks2-dm-crypt", "qemu-luks"]:
        """How it is encrypted."""
        return "qemu-luks"

    def secret_value(self) -> bytes:
        """What QEMU opens the overlay with: the key in hexadecimal, as QEMU wants UTF-8.

        Raises:
            VolumeLocked: it is not open.
        """
        if self._key is None:
            raise VolumeLocked(partition=self._partition.value)
        return self._key.hex().encode()

    def state(self) -> VolumeState:
        """Whether it exists and is open."""
        if not self._paths.overlay.exists():
            return VolumeState.ABSENT
        return VolumeState.LOCKED if self._key is None else VolumeState.UNLOCKED

    @told
    def create(self, base: Path, disk_gib: int, passphrase: bytes) -> None:
        """Make it, empty over ``base``, and leave it unlocked.

        The overlay gets its name last, so an interrupted creation leaves no overlay, hence no data, and the
        next creation replaces what it left.

        Args:
            base: the verified golden image, absolute.
            disk_gib: size the guest sees, 1 to 16384, not less than the base's.
            passphrase: 8 to 1024 bytes.

        Raises:
            VolumeExists: there is one.
            BadPassphrase, DiskFull, VolumeFailed: nothing was made.
        """
        if self.state() is not VolumeState.ABSENT:
            raise VolumeExists(partition=self._partition.value)
        self.snapshots.destroy()  # what an interrupted end of the volume before has left; no key opens it
        self._key = self.keys.create(passphrase)
        try:
            self._write_disk(base, disk_gib)
        except BaseException:
            self.lock()
            self.keys.destroy()
            header.forget(self._paths.directory)
            raise
        self.on_key(self._key)

    @told
    def rotate(self, passphrase: bytes) -> RecoveryCode:
        """Give it a new volume key, wrapped for this passphrase, a new code and the escrow; the new code.

        The headers of the disk and of each snapshot open with both keys while the slots change, so being
        killed at any step leaves the old slots or the new ones, and either opens all of them; what was left
        over goes at the next unlock.

        Raises:
            NoVolume, WrongPassphrase, TooManyTries, BadKeyFile: nothing was changed.
            DiskFull, VolumeFailed, SnapshotDamaged: the old slots still open it.
        """
        self.unlock(passphrase)
        self.snapshots.settle()
        self._forget_other_keys()
        old = self.secret_value()
        ours = self._disk_keys.in_use(self._paths.overlay)[0]
        for disk in self.snapshots.disks():
            self._disk_keys.move(disk, old, ours)
        rotation = self.keys.begin_rotation(ours)
        new = rotation.key.hex().encode()
        for disk in self._disks():
            self._disk_keys.add(disk, old, new, rotation.luks_slot)
        fresh = self.keys.rotated(Passphrase.of(passphrase), rotation)
        self.lock()
        self._key = rotation.key
        self._forget_other_keys()
        return fresh

    def lock(self) -> None:
        """Close it; the key is wiped from memory."""
        if self._key is not None:
            wipe(self._key)
            self._key = None

    def _fit_to_go_back_to(self, target: Snapshot, disk: Path, bases: Collection[str]) -> Path:
        """The backup of a disk's header, once it is sure that it opens and fits what is here."""
        damaged = SnapshotDamaged(snapshot=target.id, partition=self._partition.value)
        try:
            found = header.read_header(disk)
            if not found.fits(header.read_header(self._paths.overlay)) and not stands_on_one(disk, bases):
                raise damaged
        except header.BadHeader as error:
            raise damaged from error
        if qemu_luks.open_once(disk, self.secret_value()).status != 0:
            raise damaged
        return self._back_up_header(disk)

    def _disks(self) -> list[Path]:
        """All that the volume's key opens."""
        return [self._paths.overlay, *self.snapshots.disks()]

    @told
    def destroy(self) -> None:
        """Remove it and its keys for good.

        The overlay loses its name first: interrupted after that, the volume is absent and the next creation
        or removal finishes the work.
        """
        self.lock()
        if self._paths.overlay.exists():
            publish(self._paths.overlay, self._discarded)
        self.keys.destroy()
        # The disk's own header holds its master key under ours; so no backup of keys.json helps either.
        header.forget(self._paths.directory)
        self.snapshots.destroy()
        for path in (self._discarded, *self._paths.directory.glob(".*.new")):
            overwrite_head(path, HEAD_BYTES)
            path.unlink(missing_ok=True)
        self._paths.nvram.unlink(missing_ok=True)
        sync_directory(self._paths.directory)

    def check_header(self) -> None:
        """Before anybody is asked for a secret: whether the disk's own header is the one that was backed up.

        A libvirtd that was killed may leave the disk to its machine's user when the machine stops. Then only
        QEMU can read it, which opens nothing by a wrong header either.

        Raises:
            NoVolume: there is none.
            HeaderDamaged: it was zeroed, swapped or otherwise changed.
            VolumeFailed: it cannot be read.
        """
        self.require()
        try:
            if self._in_flux() or header.is_whole(self._paths.overlay, self._paths.directory):
                return
        except PermissionError:  # whoever opens it is told in the log, once and not at each look
            return
        except OSError as error:
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        raise HeaderDamaged(partition=self._partition.value)

    def restore_header(self) -> None:
        """Put the verified backup of the disk's own header back; nothing to do while it is whole.

        Raises:
            NoVolume, HeaderLost: nothing was changed.
        """
        self.require()
        try:
            if self._in_flux() or header.is_whole(self._paths.overlay, self._paths.directory):
                return
            found = header.backups(self._paths.directory)
            if len(found) != 1:
                detail = f"there are {len(found)} whole backups, and one is needed"
                raise HeaderLost(partition=self._partition.value, detail=detail)
            header.put_back(found[0], self._paths.overlay)
        except (header.BadHeader, OSError) as error:
            raise HeaderLost(partition=self._partition.value, detail=error) from error

    def grow(self) -> int:
        """Raises NotGrown."""
        raise NotGrown(partition=self._partition.value)

    def let_go(self) -> None:
        """Forget the key; libvirt has what the machine needs."""
        self.lock()

    def _require_open(self) -> None:
        if self._key is None:
            raise VolumeLocked(partition=self._partition.value)

    def _accept(self, disk: Path) -> Path | None:
        """Before the first byte of data: an overlay that has its name has a backup of its header."""
        return self._back_up_header(disk)

    def _accepted(self, backup: Path | None) -> None:
        with suppress(OSError):  # the next unlock does it
            header.forget(self._paths.directory, keep=backup)

    def _back_up_header(self, overlay: Path) -> Path:
        """A backup of an overlay's header that reads back as it was written and opens with our key."""
        try:
            backup = header.back_up(overlay, self._paths.directory)
        except header.BadHeader as error:
            raise VolumeFailed(partition=self._partition.value, reason=str(error)) from error
        try:
            completed = qemu_luks.open_once(backup, self.secret_value())
            if completed.status != 0:
                raise VolumeFailed(partition=self._partition.value, reason=last_line(completed.stderr))
        except BaseException:  # also one that takes too long: what was not opened is no backup
            backup.unlink()
            raise
        return backup

    def _keep_one_backup(self) -> None:
        """Have exactly one backup, of the header as it is; volumes of earlier releases come without."""
        found = header.backups(self._paths.directory)
        if len(found) != 1 or not header.is_whole(self._paths.overlay, self._paths.directory):
            header.forget(self._paths.directory, keep=self._back_up_header(self._paths.overlay))

    def _opened(self, key: bytearray) -> None:
        self.lock()
        self._key = key
        try:
            self._forget_other_keys()
            self._keep_one_backup()
        except (TwinhullError, OSError) as error:  # a machine has it open, or the disk is full: next time
            logger.warning("the header of %s was not put in order: %s", self._partition, error)
        self.on_key(key)

    def _forget_other_keys(self) -> None:
        """Have the headers of the disk and of the snapshots hold no key but ours."""
        ours = self.keys.unsettled()
        if ours is None:
            return
        for disk in self._disks():
            self._disk_keys.keep_only(disk, self.secret_value(), ours)
        header.forget(self._paths.directory, keep=self._back_up_header(self._paths.overlay))
        self.keys.settle()

    def _format(self, path: Path, base: Path, disk_gib: int) -> None:
        judge(self._partition, qemu_luks.make(path, base, disk_gib, self.secret_value()))

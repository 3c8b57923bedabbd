"""A partition's encrypted store.

:class:`Volume` is what the daemon knows. :class:`QemuLuksVolume` is the back end for kernels without
device-mapper: the overlay itself is QEMU-LUKS, its key slot holds our random key, and how that is come by is
``keys``' part.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID, uuid5

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_hypervisor.run import last_line
from twinhull_hypervisor.storage import header, qemu_luks
from twinhull_hypervisor.storage.copies import Progress, copy, readable_when_lent
from twinhull_hypervisor.storage.disk_keys import DiskKeys, judge
from twinhull_hypervisor.storage.errors import (
    DiskFull,
    HeaderDamaged,
    HeaderLost,
    NoVolume,
    SnapshotDamaged,
    VolumeExists,
    VolumeFailed,
    VolumeLocked,
)
from twinhull_hypervisor.storage.files import overwrite_head, publish, sync_directory, sync_file
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.slots import Argon2Cost, Passphrase, RecoveryCode, wipe
from twinhull_hypervisor.storage.snapshots import LIMITS, Snapshot, Snapshots
from twinhull_hypervisor.storage.tuning import for_this_machine

logger = logging.getLogger(__name__)

DISK_GIB = range(1, 16 * 1024 + 1)
HEAD_BYTES = LIMITS.head_bytes
"""Of an overlay, overwritten when it is destroyed. QEMU writes its LUKS header, 2 MiB (crypto/block-luks.c:
eight slots of 4000 stripes), right behind the qcow2 header's first clusters."""
KEY_NAMESPACE = UUID("6b0f5c0e-6d6c-5b1b-9d0e-4f1a3a2c7d51")
"""Of our own making: names libvirt's secret for a volume's path, the same after each crash."""
OVMF_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


class VolumeState(StrEnum):
    """ABSENT also after an interrupted creation, which holds no data and is begun again.

    An overlay whose key file is missing counts as LOCKED: a backup of the key file may open it yet.
    """

    ABSENT = "absent"
    LOCKED = "locked"
    UNLOCKED = "unlocked"


class Volume(Protocol):
    """What every back end does. Calls block, seconds at most; none is for two threads at once."""

    @property
    def kind(self) -> Literal["luks2-dm-crypt", "qemu-luks"]:
        """How it is encrypted."""

    @property
    def paths(self) -> VolumePaths:
        """Where its files are."""

    def state(self) -> VolumeState:
        """Whether it exists and is open."""

    def create(self, base: Path, disk_gib: int, passphrase: bytes) -> None:
        """Make it, empty over ``base``, and leave it unlocked."""

    def unlock(self, passphrase: bytes) -> None:
        """Open it."""

    def lock(self) -> None:
        """Close it; the key is wiped from memory."""

    def check_header(self) -> None:
        """Before anybody is asked for a secret; raises HeaderDamaged."""

    def restore_header(self) -> None:
        """Put its verified backup back; raises HeaderLost."""

    def recover(self, code: RecoveryCode, new: bytes) -> RecoveryCode:
        """Open it by a recovery code and begin anew with a new passphrase; the next code."""

    def rotate(self, passphrase: bytes) -> RecoveryCode:
        """Give it a new volume key; the next recovery code. Its machine must have stopped."""

    def reset(self, base: Path, disk_gib: int) -> None:
        """Throw away what the guest wrote; passphrases stay. It must be unlocked and its machine stopped."""

    def destroy(self) -> None:
        """Remove it and its keys for good."""


class QemuLuksVolume:
    """A volume that is a QEMU-LUKS qcow2 overlay.

    Args:
        partition: whose.
        directory: existing, ours, 0711; QEMU's user must be able to pass through it.
        cost: Argon2id work of new slots; None for what suits this machine.
        variables: the template of the UEFI variables.

    Attributes:
        keys: its key slots.
        snapshots: what is kept beside the present disk; made and gone back to by methods of the volume.
        on_key: called with the volume key whenever it was opened or made; it keeps no copy.
    """

    def __init__(
        self,
        partition: Partition,
        directory: Path,
        cost: Argon2Cost | None = None,
        variables: Path = OVMF_VARIABLES,
    ) -> None:
        self._partition = partition
        self._paths = VolumePaths(directory)
        self._variables = variables
        self._key: bytearray | None = None
        self.keys = KeyFile(
            self._paths.keys, partition, cost=for_this_machine if cost is None else lambda: cost
        )
        self.snapshots = Snapshots(partition, self._paths)
        self._disk_keys = DiskKeys(partition)
        self.on_key: Callable[[bytearray], None] = lambda _: None

    @property
    def kind(self) -> Literal["luks2-dm-crypt", "qemu-luks"]:
        """How it is encrypted."""
        return "qemu-luks"

    @property
    def paths(self) -> VolumePaths:
        """Where its files are."""
        return self._paths

    @property
    def secret_uuid(self) -> UUID:
        """The libvirt secret a machine names for it."""
        return uuid5(KEY_NAMESPACE, str(self._paths.overlay))

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

    def unlock(self, passphrase: bytes) -> None:
        """Open it.

        Raises:
            NoVolume: there is none.
            WrongPassphrase, TooManyTries, BadKeyFile: it stays closed.
        """
        self.check_header()
        self._opened(self.keys.unlock(passphrase))

    def recover(self, code: RecoveryCode, new: bytes) -> RecoveryCode:
        """Open it by a recovery code and begin anew with a new passphrase; the next code.

        Raises:
            NoVolume, WrongRecoveryCode, TooManyTries, BadKeyFile, BadPassphrase: nothing was changed.
        """
        self.check_header()
        key, fresh = self.keys.recover(code, new)
        self._opened(key)
        return fresh

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

    def reset(self, base: Path, disk_gib: int) -> None:
        """Throw away what the guest wrote; passphrases stay. Its machine must have stopped.

        Raises:
            VolumeLocked: the new overlay needs the key.
            DiskFull, VolumeFailed: the old contents are still there.
        """
        if self._key is None:
            raise VolumeLocked(partition=self._partition.value)
        self.snapshots.settle()
        self._write_disk(base, disk_gib)

    def make_ready(self) -> None:
        """Before a machine gets it: finish or undo what was cut short, and see that it can be read meanwhile.

        Raises:
            VolumeFailed: it must not start.
        """
        self.snapshots.settle()
        files = (self._paths.overlay, self._paths.nvram)
        if not all(list(map(readable_when_lent, files))):
            logger.info("%s: no access control lists here; no snapshots while it runs", self._partition)

    def snapshot(self, name: str, progress: Progress = lambda *_: None) -> Snapshot:
        """Keep the present disk and variables; needs no key. Its machine stands still, or has stopped.

        Args:
            name: for a person; at most SNAPSHOT_NAME_LIMIT characters, or empty.
            progress: told the bytes copied, and of how many; a copy by reference tells nothing.

        Raises:
            NoVolume, HeaderDamaged: there is nothing worth keeping.
            VolumeLocked: its keys were being changed; opening it finishes that.
            SnapshotsFull, DiskFull, SnapshotUnreadable, SnapshotDamaged, VolumeFailed: there is no new one.
        """
        self.check_header()
        if self._in_flux():
            raise VolumeLocked(partition=self._partition.value)
        return self.snapshots.make(name, progress)

    def roll_back(self, snapshot_id: str, progress: Progress = lambda *_: None) -> str:
        """Put a snapshot in the place of the present disk, which becomes a snapshot; the new one's id.

        What a rollback kept is put back itself, any other as a copy. Passphrases stay as they are now.

        Raises:
            VolumeLocked: the snapshot has to be opened once before it is trusted.
            NoSnapshot, SnapshotsFull, SnapshotDamaged, DiskFull, VolumeFailed: all is as it was.
        """
        if self._key is None:
            raise VolumeLocked(partition=self._partition.value)
        self.snapshots.settle()
        target = self.snapshots.get(snapshot_id)
        moved = target.kind == "rollback"
        if not moved:
            self.snapshots.require_room()
        new_overlay, new_nvram = self._new_files()
        try:
            for source, new in ((target.nvram, new_nvram), (target.disk, new_overlay)):
                if moved:
                    os.link(source, new)
                else:
                    what = f"going back to a snapshot of {self._partition.value}"
                    copy(source, new, what, LIMITS.spare_bytes, progress)
            backup = self._fit_to_go_back_to(target, new_overlay)
            kept = self.snapshots.keep_present(target)
            publish(new_nvram, self._paths.nvram)
            publish(new_overlay, self._paths.overlay)  # from here on it is done
            with suppress(OSError):  # the next unlock does it
                header.forget(self._paths.directory, keep=backup)
        except OSError as error:
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        finally:
            for path in (new_overlay, new_nvram):
                path.unlink(missing_ok=True)
            self.snapshots.settle()
        return kept

    def _fit_to_go_back_to(self, target: Snapshot, disk: Path) -> Path:
        """The backup of a disk's header, once it is sure that it opens and fits what is here."""
        damaged = SnapshotDamaged(snapshot=target.id, partition=self._partition.value)
        try:
            if not header.read_header(disk).fits(header.read_header(self._paths.overlay)):
                raise damaged
        except header.BadHeader as error:
            raise damaged from error
        if qemu_luks.open_once(disk, self.secret_value()).status != 0:
            raise damaged
        return self._back_up_header(disk)

    def _disks(self) -> list[Path]:
        """All that the volume's key opens."""
        return [self._paths.overlay, *self.snapshots.disks()]

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

    def _in_flux(self) -> bool:
        """Whether a rotation changes the header, or was cut short: no backup fits it then."""
        return self.keys.exists() and self.keys.unsettled() is not None

    def _back_up_header(self, overlay: Path) -> Path:
        """A backup of an overlay's header that reads back as it was written and opens with our key."""
        try:
            backup = header.back_up(overlay, self._paths.directory)
        except header.BadHeader as error:
            raise VolumeFailed(partition=self._partition.value, reason=str(error)) from error
        completed = qemu_luks.open_once(backup, self.secret_value())
        if completed.status != 0:
            backup.unlink()
            raise VolumeFailed(partition=self._partition.value, reason=last_line(completed.stderr))
        return backup

    def _keep_one_backup(self) -> None:
        """Have exactly one backup, of the header as it is; volumes of earlier releases come without."""
        found = header.backups(self._paths.directory)
        if len(found) != 1 or not header.is_whole(self._paths.overlay, self._paths.directory):
            header.forget(self._paths.directory, keep=self._back_up_header(self._paths.overlay))

    def require(self) -> None:
        """Raises NoVolume when there is none."""
        if self.state() is VolumeState.ABSENT:
            raise NoVolume(partition=self._partition.value)

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

    @property
    def _discarded(self) -> Path:
        return self._paths.overlay.with_name(".overlay.qcow2.discarded")

    def _new_files(self) -> tuple[Path, Path]:
        """Where a disk and its variables are made before they get their names; free."""
        paths = self._paths.new_overlay, self._paths.new_nvram
        for path in (*paths, self._discarded):
            path.unlink(missing_ok=True)
        return paths

    def _write_disk(self, base: Path, disk_gib: int) -> None:
        """A fresh overlay and fresh UEFI variables, each whole before it gets its name; the overlay last."""
        if disk_gib not in DISK_GIB or not base.is_absolute():
            raise VolumeFailed(partition=self._partition.value, reason="its size or base is out of bounds")
        new_overlay, new_nvram = self._new_files()
        try:
            shutil.copyfile(self._variables, new_nvram)
            new_nvram.chmod(0o600)
            self._format(new_overlay, base, disk_gib)
            new_overlay.chmod(0o600)
            for path in (new_overlay, new_nvram):
                sync_file(path)
            # Before the first byte of data: an overlay that has its name has a backup of its header.
            backup = self._back_up_header(new_overlay)
            publish(new_nvram, self._paths.nvram)
            publish(new_overlay, self._paths.overlay)
            with suppress(OSError):  # the next unlock does it
                header.forget(self._paths.directory, keep=backup)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(what=f"the volume of {self._partition.value}") from error
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        finally:
            for path in (new_overlay, new_nvram):
                path.unlink(missing_ok=True)

    def _format(self, path: Path, base: Path, disk_gib: int) -> None:
        judge(self._partition, qemu_luks.make(path, base, disk_gib, self.secret_value()))

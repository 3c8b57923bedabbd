"""A partition's encrypted store.

:class:`Volume` is what the daemon knows. :class:`QemuLuksVolume` is the back end for kernels without
device-mapper: the overlay itself is QEMU-LUKS, its key slot holds our random key, and how that is come by is
``keys``' part.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID, uuid5

import msgspec
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_hypervisor.run import Completed, last_line
from twinhull_hypervisor.storage import header, qemu_luks
from twinhull_hypervisor.storage.errors import (
    DiskFull,
    HeaderDamaged,
    HeaderLost,
    NoVolume,
    VolumeExists,
    VolumeFailed,
    VolumeLocked,
)
from twinhull_hypervisor.storage.files import overwrite_head, publish, sync_directory, sync_file
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.slots import Argon2Cost, Passphrase, RecoveryCode, wipe
from twinhull_hypervisor.storage.tuning import for_this_machine

logger = logging.getLogger(__name__)

DISK_GIB = range(1, 16 * 1024 + 1)
HEAD_BYTES = 8 * 2**20
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


@dataclass(frozen=True, slots=True)
class VolumePaths:
    """Where a volume's files are."""

    directory: Path

    @property
    def overlay(self) -> Path:
        """The guest's disk."""
        return self.directory / "overlay.qcow2"

    @property
    def nvram(self) -> Path:
        """The guest's UEFI variables."""
        return self.directory / "nvram.fd"

    @property
    def keys(self) -> Path:
        """The wrapped volume key."""
        return self.directory / "keys.json"


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

        The disk's own header opens with both keys while the slots change, so being killed at any step leaves
        the old slots or the new ones, and either opens it; what was left over goes at the next unlock.

        Raises:
            NoVolume, WrongPassphrase, TooManyTries, BadKeyFile: nothing was changed.
            DiskFull, VolumeFailed: the old slots still open it.
        """
        self.unlock(passphrase)
        self._forget_other_keys()
        old = self.secret_value()
        rotation = self.keys.begin_rotation(self._keys_in_use()[0])
        new = rotation.key.hex().encode()
        self._judge(qemu_luks.add_key(self._paths.overlay, old, new, rotation.luks_slot))
        sync_file(self._paths.overlay)
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
        self._write_disk(base, disk_gib)

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
        overwrite_head(self._discarded, HEAD_BYTES)
        for path in (self._discarded, self._paths.nvram):
            path.unlink(missing_ok=True)
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

    def _keys_in_use(self) -> list[int]:
        """The key slots of the disk's own header that hold a key; at least one."""
        try:
            used = qemu_luks.keys_in_use(self._paths.overlay)
        except msgspec.DecodeError as error:
            raise VolumeFailed(partition=self._partition.value, reason=str(error)) from error
        if not any(used):
            raise VolumeFailed(partition=self._partition.value, reason="its header holds no key at all")
        return [slot for slot, active in enumerate(used) if active]

    def _forget_other_keys(self) -> None:
        """Have the disk's own header hold no key but ours."""
        ours = self.keys.unsettled()
        if ours is None:
            return
        used = self._keys_in_use()
        if len(used) > 1:  # after a reset there is one, ours, wherever it is
            for slot in (slot for slot in used if slot != ours):
                self._judge(qemu_luks.erase_key(self._paths.overlay, self.secret_value(), slot))
            sync_file(self._paths.overlay)
        header.forget(self._paths.directory, keep=self._back_up_header(self._paths.overlay))
        self.keys.settle()

    @property
    def _discarded(self) -> Path:
        return self._paths.overlay.with_name(".overlay.qcow2.discarded")

    def _write_disk(self, base: Path, disk_gib: int) -> None:
        """A fresh overlay and fresh UEFI variables, each whole before it gets its name; the overlay last."""
        if disk_gib not in DISK_GIB or not base.is_absolute():
            raise VolumeFailed(partition=self._partition.value, reason="its size or base is out of bounds")
        new_overlay = self._paths.overlay.with_name(".overlay.qcow2.new")
        new_nvram = self._paths.nvram.with_name(".nvram.fd.new")
        try:
            for path in (new_overlay, new_nvram, self._discarded):
                path.unlink(missing_ok=True)
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
        self._judge(qemu_luks.make(path, base, disk_gib, self.secret_value()))

    def _judge(self, completed: Completed) -> None:
        if completed.status != 0:
            if qemu_luks.NO_ROOM in completed.stderr:
                raise DiskFull(what=f"the volume of {self._partition.value}")
            raise VolumeFailed(partition=self._partition.value, reason=last_line(completed.stderr))

"""What every encrypted store of a partition has: keys, a guest's disk, its UEFI variables, snapshots.

How it is encrypted, and when what is in it can be reached, is the part of ``volume`` and ``dm_crypt``.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid5

from twinhull_policy.names import Partition

from twinhull_hypervisor.storage.copies import Progress, copy, readable_when_lent
from twinhull_hypervisor.storage.errors import DiskFull, NoVolume, VolumeFailed, VolumeLocked
from twinhull_hypervisor.storage.files import publish, sync_file
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.server_share import Shares
from twinhull_hypervisor.storage.slots import Argon2Cost, RecoveryCode, Secret
from twinhull_hypervisor.storage.snapshots import LIMITS, MOVED, Same, Snapshot, Snapshots
from twinhull_hypervisor.storage.standing import Standing, read_standing
from twinhull_hypervisor.storage.told import told
from twinhull_hypervisor.storage.tuning import for_this_machine
from twinhull_hypervisor.tpm.chip import Tpm

logger = logging.getLogger(__name__)

DISK_GIB = range(1, 16 * 1024 + 1)
KEY_NAMESPACE = UUID("6b0f5c0e-6d6c-5b1b-9d0e-4f1a3a2c7d51")
"""Of our own making: names libvirt's secret for a volume's path, the same after each crash."""
OVMF_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


class PartitionVolume(ABC):
    """A partition's encrypted store.

    Args:
        partition: whose.
        paths: where its files are; the directory exists, is ours, 0711: QEMU's user passes through it.
        same: whether a copy of a disk has the disk's header.
        cost: Argon2id work of new slots; None for what suits this machine.
        variables: the template of the UEFI variables.
        tpm: the security chip; None for the one behind tpmd.
        shares: where the server's part of the corporate key comes from; None for a key without.

    Attributes:
        keys: its key slots.
        snapshots: what is kept beside the present disk; made and gone back to by methods of the volume.
        on_key: called with the volume key whenever it was opened or made; it keeps no copy.
    """

    def __init__(
        self,
        partition: Partition,
        paths: VolumePaths,
        same: Same,
        cost: Argon2Cost | None = None,
        variables: Path = OVMF_VARIABLES,
        tpm: Tpm | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._partition = partition
        self._paths = paths
        self._variables = variables
        self.keys = KeyFile(
            self._paths.keys,
            partition,
            cost=for_this_machine if cost is None else lambda: cost,
            tpm=tpm,
            shares=shares,
        )
        self.snapshots = Snapshots(partition, self._paths, same)
        self.on_key: Callable[[bytearray], None] = lambda _: None

    @property
    @abstractmethod
    def kind(self) -> Literal["luks2-dm-crypt", "qemu-luks"]:
        """How it is encrypted."""

    @abstractmethod
    def state(self) -> VolumeState:
        """Whether it exists and is open."""

    @abstractmethod
    def create(self, base: Path, disk_gib: int, passphrase: bytes) -> None:
        """Make it, empty over ``base``, and leave it unlocked; cut short, it is as if nothing was made.

        Args:
            base: the verified golden image, absolute.
            disk_gib: size the guest sees, 1 to 16384, not less than the base's.
            passphrase: 8 to 1024 bytes.

        Raises:
            VolumeExists: there is one.
            BadPassphrase, DiskFull, VolumeFailed: nothing was made.
        """

    @abstractmethod
    def secret_value(self) -> bytes | None:
        """What QEMU opens the disk with; None if it is no part of QEMU's to. Raises VolumeLocked."""

    @abstractmethod
    def rotate(self, passphrase: bytes) -> RecoveryCode:
        """Give it a new volume key, wrapped for this passphrase, a new code and the escrow; the new code.

        Raises:
            NoVolume, WrongPassphrase, TooManyTries, BadKeyFile: nothing was changed.
            DiskFull, VolumeFailed, SnapshotDamaged: the old slots still open it.
        """

    @abstractmethod
    def lock(self) -> None:
        """Close it: no key of it is in memory any more. Its machine must have stopped."""

    @abstractmethod
    def grow(self) -> int:
        """Have it take what there is for it; its bytes. May be done while its machine runs.

        Raises:
            VolumeLocked: it is not open.
            NotGrown: it has no size of its own.
        """

    @abstractmethod
    def let_go(self) -> None:
        """This process ends; its machine, if there is one, goes on."""

    @abstractmethod
    def destroy(self) -> None:
        """Remove it and its keys for good; may be done again."""

    @abstractmethod
    def check_header(self) -> None:
        """Before anybody is asked for a secret: whether the header is the one that was backed up.

        Raises:
            NoVolume: there is none.
            HeaderDamaged: it was zeroed, swapped or otherwise changed.
            VolumeFailed: it cannot be read.
        """

    @abstractmethod
    def restore_header(self) -> None:
        """Put the verified backup of the header back; nothing to do while it is whole.

        Raises:
            NoVolume, HeaderLost: nothing was changed.
        """

    @abstractmethod
    def _opened(self, key: bytearray) -> None:
        """Its key was found, and is this method's from now on."""

    @abstractmethod
    def _require_open(self) -> None:
        """Raises VolumeLocked."""

    @abstractmethod
    def _format(self, path: Path, base: Path, disk_gib: int) -> None:
        """Make an overlay over ``base``. Raises DiskFull, VolumeFailed."""

    @abstractmethod
    def _accept(self, disk: Path) -> Path | None:
        """What has to be before a new disk gets its name; the backup of its header, if it has one."""

    @abstractmethod
    def _accepted(self, backup: Path | None) -> None:
        """It has its name. Raises OSError."""

    @abstractmethod
    def _fit_to_go_back_to(self, target: Snapshot, disk: Path, bases: Collection[str]) -> Path | None:
        """What _accept says, once a snapshot's disk is sure to fit: it opens, and stands on what the present
        one does or on one of ``bases``. Raises SnapshotDamaged.
        """

    @property
    def paths(self) -> VolumePaths:
        """Where its files are."""
        return self._paths

    @property
    def secret_uuid(self) -> UUID:
        """The libvirt secret a machine names for it."""
        return uuid5(KEY_NAMESPACE, str(self._paths.overlay))

    @told
    def unlock(self, passphrase: bytes) -> None:
        """Open it.

        Raises:
            NoVolume: there is none.
            WrongPassphrase, TooManyTries, BadKeyFile: it stays closed.
        """
        self.check_header()
        self._opened(self.keys.unlock(passphrase))

    @told
    def unlock_with(self, secret: Secret) -> None:
        """Open it by any of its slots. Raises as unlock does, WrongRecoveryCode, and what the chip raises."""
        self.check_header()
        self._opened(self.keys.open(secret))

    @told
    def recover(self, code: RecoveryCode, new: bytes) -> RecoveryCode:
        """Open it by a recovery code and begin anew with a new passphrase; the next code.

        Raises:
            NoVolume, WrongRecoveryCode, TooManyTries, BadKeyFile, BadPassphrase: nothing was changed.
        """
        self.check_header()
        key, fresh = self.keys.recover(code, new)
        self._opened(key)
        return fresh

    @told
    def reset(self, base: Path, disk_gib: int) -> None:
        """Throw away what the guest wrote; passphrases stay. Its machine must have stopped.

        Raises:
            VolumeLocked: the new overlay needs the key.
            DiskFull, VolumeFailed: the old contents are still there.
        """
        self._require_open()
        self.snapshots.settle()
        self._write_disk(base, disk_gib)

    @told
    def make_ready(self) -> None:
        """Before a machine gets it: finish or undo what was cut short, and see that it can be read meanwhile.

        Raises:
            VolumeFailed: it must not start.
        """
        self.snapshots.settle()
        files = (self._paths.overlay, self._paths.nvram)
        if not all(list(map(readable_when_lent, files))):
            logger.info("%s: no access control lists here; no snapshots while it runs", self._partition)

    @told
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

    @told
    def roll_back(
        self, snapshot_id: str, progress: Progress = lambda *_: None, bases: Collection[str] = ()
    ) -> str:
        """Put a snapshot in the place of the present disk, which becomes a snapshot; the new one's id.

        What a rollback or an update kept is put back itself, any other as a copy. Passphrases stay as they
        are now.

        Args:
            bases: hashes of the golden images that it may stand on, beside the present disk's.

        Raises:
            VolumeLocked: the snapshot has to be opened once before it is trusted.
            NoSnapshot, SnapshotsFull, SnapshotDamaged, DiskFull, VolumeFailed: all is as it was.
        """
        self._require_open()
        self.snapshots.settle()
        target = self.snapshots.get(snapshot_id)
        if target.kind not in MOVED:
            self.snapshots.require_room()
        return self._put(target, progress, bases, keep=True)

    @told
    def update(self, base: Path, disk_gib: int, snapshot_id: str, image: str) -> None:
        """Put an empty disk over another base in the place of the present one, which becomes a snapshot.

        Passphrases stay. Its machine must have stopped.

        Args:
            base, disk_gib: as :meth:`create` takes them.
            snapshot_id: what the snapshot is to be called.
            image: the new base's name, for a person.

        Raises:
            VolumeLocked: the new disk needs the key.
            SnapshotsFull, DiskFull, VolumeFailed: all is as it was.
        """
        self._require_open()
        self.snapshots.settle()
        self.snapshots.require_room()
        room = os.statvfs(self._paths.contents)
        if room.f_bavail * room.f_frsize < LIMITS.spare_bytes:
            raise DiskFull(what=f"an update of {self._partition.value}")
        try:
            self._write_disk(
                base, disk_gib, lambda: self.snapshots.keep_present("update", image, snapshot_id)
            )
        finally:
            self.snapshots.settle()

    @told
    def undo_update(self, snapshot_id: str, bases: Collection[str]) -> None:
        """Put the disk that an update kept back into its place; the one that came with it is gone.

        Raises:
            VolumeLocked, NoSnapshot, SnapshotDamaged, VolumeFailed: both are still there.
        """
        self._require_open()
        self.snapshots.settle()
        self._put(self.snapshots.get(snapshot_id), lambda *_: None, bases, keep=False)

    def stands_on(self) -> Standing | None:
        """What the present disk says of itself; None if it says nothing. Raises VolumeLocked, OSError."""
        self._require_open()
        return read_standing(self._paths.overlay)

    def _put(self, target: Snapshot, progress: Progress, bases: Collection[str], *, keep: bool) -> str:
        """A snapshot in the present disk's place, which becomes one if it is to be kept; that one's id."""
        new_overlay, new_nvram = self._new_files()
        kept = ""
        try:
            for source, new in ((target.nvram, new_nvram), (target.disk, new_overlay)):
                if target.kind in MOVED:
                    os.link(source, new)
                else:
                    what = f"going back to a snapshot of {self._partition.value}"
                    copy(source, new, what, LIMITS.spare_bytes, progress)
            backup = self._fit_to_go_back_to(target, new_overlay, bases)
            if keep:
                kept = self.snapshots.keep_present("rollback", target.name)
                # Otherwise settle() puts them there, by the disk that is present then.
                publish(new_nvram, self._paths.nvram)
            publish(new_overlay, self._paths.overlay)  # from here on it is done
            self._accepted(backup)
        except OSError as error:
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        finally:
            for path in (new_overlay, new_nvram):
                path.unlink(missing_ok=True)
            self.snapshots.settle()
        return kept

    def _in_flux(self) -> bool:
        """Whether a rotation changes the header, or was cut short: no backup fits it then."""
        return self.keys.exists() and self.keys.unsettled() is not None

    def require(self) -> None:
        """Raises NoVolume when there is none."""
        if self.state() is VolumeState.ABSENT:
            raise NoVolume(partition=self._partition.value)

    @property
    def _discarded(self) -> Path:
        return self._paths.overlay.with_name(".overlay.qcow2.discarded")

    def _new_files(self) -> tuple[Path, Path]:
        """Where a disk and its variables are made before they get their names; free."""
        paths = self._paths.new_overlay, self._paths.new_nvram
        for path in (*paths, self._discarded):
            path.unlink(missing_ok=True)
        return paths

    def _write_disk(
        self, base: Path, disk_gib: int, keep_present: Callable[[], object] = lambda: None
    ) -> None:
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
            backup = self._accept(new_overlay)
            keep_present()
            publish(new_nvram, self._paths.nvram)
            publish(new_overlay, self._paths.overlay)
            self._accepted(backup)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(what=f"the volume of {self._partition.value}") from error
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        finally:
            for path in (new_overlay, new_nvram):
                path.unlink(missing_ok=True)

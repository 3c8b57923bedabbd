"""A partition's encrypted store on dm-crypt: a LUKS2 volume with a file system, and all of it inside that.

What is outside is what opens it: the wrapped key (``keys``) and the verified backup of its header. diskd
formats, opens and closes it by the partition's name; this process hands it the key and forgets it at once, so
that while the volume is open its key is in the kernel alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Literal

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_hypervisor.disk.client import DiskdClient
from twinhull_hypervisor.disk.errors import ContainerKey, ContainerMissing
from twinhull_hypervisor.disk.header import BadHeader, Header, parse
from twinhull_hypervisor.disk.settings import DIRECTORY
from twinhull_hypervisor.storage import header, plain_disk, qemu_luks
from twinhull_hypervisor.storage.base import OVMF_VARIABLES, PartitionVolume
from twinhull_hypervisor.storage.disk_keys import judge
from twinhull_hypervisor.storage.errors import (
    HeaderDamaged,
    HeaderLost,
    SnapshotDamaged,
    VolumeExists,
    VolumeFailed,
    VolumeLocked,
)
from twinhull_hypervisor.storage.files import overwrite_head, sync_directory, write_atomically
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.server_share import Shares
from twinhull_hypervisor.storage.slots import Argon2Cost, Passphrase, RecoveryCode, wipe
from twinhull_hypervisor.storage.snapshots import LIMITS, Snapshot
from twinhull_hypervisor.storage.standing import stands_on_one
from twinhull_hypervisor.storage.told import told
from twinhull_hypervisor.tpm.chip import Tpm

logger = logging.getLogger(__name__)


class DmCryptVolume(PartitionVolume):
    """A volume that is LUKS2 on dm-crypt.

    Args:
        directory: existing, ours, 0711: what opens it.
        diskd: who has the device mapper.
        containers: where diskd mounts them.
        Also what :class:`PartitionVolume` takes.
    """

    def __init__(
        self,
        partition: Partition,
        directory: Path,
        diskd: DiskdClient,
        containers: Path = DIRECTORY,
        cost: Argon2Cost | None = None,
        variables: Path = OVMF_VARIABLES,
        tpm: Tpm | None = None,
        shares: Shares | None = None,
    ) -> None:
        paths = VolumePaths(directory, inside=containers / partition.value)
        super().__init__(partition, paths, plain_disk.same, cost, variables, tpm, shares)
        self._diskd = diskd

    @property
    def kind(self) -> Literal["luks2-dm-crypt", "qemu-luks"]:
        """How it is encrypted."""
        return "luks2-dm-crypt"

    def secret_value(self) -> None:
        """QEMU opens a disk that is plain to it. Raises VolumeLocked."""
        self._require_open()

    def state(self) -> VolumeState:
        """Whether it exists and is open; it stays open when this process ends."""
        if not self._paths.head.exists():
            return VolumeState.ABSENT
        return VolumeState.UNLOCKED if self._paths.contents.is_mount() else VolumeState.LOCKED

    @told
    def create(self, base: Path, disk_gib: int, passphrase: bytes) -> None:
        """Make it, empty over ``base``, and leave it unlocked; the head, by which it exists, comes last.

        Raises as the interface says, and what diskd raises: nothing was made.
        """
        if self.state() is not VolumeState.ABSENT:
            raise VolumeExists(partition=self._partition.value)
        key = self.keys.create(passphrase)
        try:
            self._diskd.format(self._partition, key)
            # Before the first byte of data (security.md, R30).
            header.forget(self._paths.directory, keep=self._back_up(key))
            self._diskd.fill(self._partition, key)
            self._paths.contents.chmod(0o711)
            self._write_disk(base, disk_gib)
            self.on_key(key)
        except BaseException:
            self._end()
            raise
        finally:
            wipe(key)

    @told
    def rotate(self, passphrase: bytes) -> RecoveryCode:
        """As the interface says; both keys open the header while the slots change, as with QEMU-LUKS."""
        self.check_header()
        old = self.keys.unlock(passphrase)
        try:
            self._open(old)
            self._forget_other_keys(old)
            rotation = self.keys.begin_rotation(self._header().slots[0])
            self._diskd.add_key(self._partition, old, rotation.key, rotation.luks_slot)
            fresh = self.keys.rotated(Passphrase.of(passphrase), rotation)
        finally:
            wipe(old)
        try:
            self._forget_other_keys(rotation.key)
        finally:
            wipe(rotation.key)
        return fresh

    @told
    def lock(self) -> None:
        """Close it: the kernel forgets its key. Raises ContainerBusy: its machine has it."""
        self._diskd.close(self._partition)

    @told
    def grow(self) -> int:
        """As the interface says."""
        self._require_open()
        return self._diskd.grow(self._partition).bytes

    @told
    def destroy(self) -> None:
        """Remove it and its keys for good. The keys go first: without them nothing else opens it."""
        self._end()

    def _end(self) -> None:
        self.keys.destroy()
        header.forget(self._paths.directory)
        self._diskd.destroy(self._partition)
        for path in self._paths.directory.glob(".*.new"):  # a write of keys or of a header that was cut short
            overwrite_head(path, LIMITS.head_bytes)
            path.unlink()
        self._paths.head.unlink(missing_ok=True)
        sync_directory(self._paths.directory)

    def check_header(self) -> None:
        """As the interface says; while it is open, the kernel has what it needs of it."""
        self.require()
        if self.state() is VolumeState.UNLOCKED or self._in_flux():
            return
        try:
            if (self._paths.directory / self._header().name).exists():
                return
        except BadHeader:
            pass
        raise HeaderDamaged(partition=self._partition.value)

    def restore_header(self) -> None:
        """As the interface says."""
        try:
            self.check_header()
        except HeaderDamaged:
            found = self._backups()
            if len(found) != 1:
                detail = f"there are {len(found)} whole backups, and one is needed"
                raise HeaderLost(partition=self._partition.value, detail=detail) from None
            try:
                self._diskd.put_header(self._partition, found[0].read_bytes())
            except (TwinhullError, OSError) as error:
                raise HeaderLost(partition=self._partition.value, detail=str(error)) from error

    def _opened(self, key: bytearray) -> None:
        try:
            self._open(key)
            try:
                self._forget_other_keys(key)
                self._keep_one_backup(key)
            except (TwinhullError, BadHeader, OSError) as error:  # the disk is full: next time
                logger.warning("the header of %s was not put in order: %s", self._partition, error)
            self.on_key(key)
        finally:
            wipe(key)

    def _open(self, key: bytearray) -> None:
        """Raises HeaderDamaged: what is there opens by another key, as an older header would."""
        try:
            self._diskd.open(self._partition, key)
        except TwinhullError as error:
            if error.report().code == ContainerKey.code:
                raise HeaderDamaged(partition=self._partition.value) from error
            raise

    @told
    def make_ready(self) -> None:
        """As the interface says; what is told outside is put right, too, where a change was cut short."""
        super().make_ready()
        self._accepted(None)

    def let_go(self) -> None:
        """Nothing: no key is here, and its machine goes on."""

    def _require_open(self) -> None:
        if self.state() is not VolumeState.UNLOCKED:
            raise VolumeLocked(partition=self._partition.value)

    def _header(self) -> Header:
        """What is in the header's place. Raises BadHeader."""
        try:
            return parse(self._diskd.header(self._partition))
        except TwinhullError as error:
            if error.report().code == ContainerMissing.code:
                raise BadHeader("there is no container") from error
            raise

    def _back_up(self, key: bytearray) -> Path:
        """A backup of the header that reads back as it was written and opens with our key."""
        untrusted = self._diskd.header(self._partition)
        try:
            path = self._paths.directory / parse(untrusted).name
        except BadHeader as error:
            raise VolumeFailed(partition=self._partition.value, reason=str(error)) from error
        write_atomically(path, untrusted)
        try:
            if path.read_bytes() != untrusted:
                raise VolumeFailed(partition=self._partition.value, reason="a backup reads back as another")
            self._diskd.opens(self._partition, untrusted, key)
        except BaseException:  # what was not opened is no backup
            path.unlink()
            raise
        return path

    def _backups(self) -> list[Path]:
        """Those that are whole: each is what its name says."""
        found = []
        for path in sorted(self._paths.directory.glob(header.ANY)):
            with suppress(BadHeader, OSError):
                if parse(path.read_bytes()).name == path.name:
                    found.append(path)
        return found

    def _keep_one_backup(self, key: bytearray) -> None:
        if [path.name for path in self._backups()] != [self._header().name]:
            header.forget(self._paths.directory, keep=self._back_up(key))

    def _forget_other_keys(self, key: bytearray) -> None:
        """Have the header hold no key but ours; a slot that is alone is ours, wherever it is."""
        ours = self.keys.unsettled()
        if ours is None:
            return
        slots = self._header().slots
        for slot in slots if len(slots) > 1 else ():
            if slot != ours:
                self._diskd.erase_key(self._partition, slot)
        header.forget(self._paths.directory, keep=self._back_up(key))
        self.keys.settle()

    def _format(self, path: Path, base: Path, disk_gib: int) -> None:
        judge(self._partition, qemu_luks.make_plain(path, base, disk_gib))

    def _accept(self, disk: Path) -> Path | None:
        """Nothing: what protects it is around it."""

    def _accepted(self, backup: Path | None) -> None:
        """Tell outside what the disk inside stands on."""
        with self._paths.overlay.open("rb") as file:
            head = file.read(plain_disk.HEAD_BYTES)
        if not self._paths.head.exists() or self._paths.head.read_bytes() != head:
            write_atomically(self._paths.head, head)

    def _fit_to_go_back_to(self, target: Snapshot, disk: Path, bases: Collection[str]) -> Path | None:
        damaged = SnapshotDamaged(snapshot=target.id, partition=self._partition.value)
        try:
            if not plain_disk.fits(disk, self._paths.overlay) and not stands_on_one(disk, bases):
                raise damaged
        except header.BadHeader as error:
            raise damaged from error
        return None

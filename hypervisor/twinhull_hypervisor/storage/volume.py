"""A partition's encrypted store.

:class:`Volume` is what the daemon knows. :class:`QemuLuksVolume` is the back end for kernels without
device-mapper: the overlay itself is QEMU-LUKS. That format derives keys by PBKDF2 only, so its one slot holds
nothing but our random 256-bit key, and the passphrase is met by Argon2id before (security.md R26).
"""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID, uuid5

from twinhull_policy.names import Partition

from twinhull_hypervisor.run import last_line, run
from twinhull_hypervisor.storage.errors import DiskFull, NoVolume, VolumeExists, VolumeFailed, VolumeLocked
from twinhull_hypervisor.storage.files import overwrite_head, publish, sync_directory, sync_file
from twinhull_hypervisor.storage.keys import Argon2Cost, KeyFile, wipe

DISK_GIB = range(1, 16 * 1024 + 1)
HEAD_BYTES = 8 * 2**20
"""Of an overlay, overwritten when it is destroyed. QEMU writes its LUKS header, 2 MiB (crypto/block-luks.c:
eight slots of 4000 stripes), right behind the qcow2 header's first clusters."""
QEMU_IMG_SECONDS = 60.0
FORMAT_ATTEMPTS = 8
UNMEASURED = b"Unable to get accurate CPU usage"
"""QEMU 7.2's crypto/pbkdf.c gives up when its benchmark fits between two accounting ticks."""
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

    def reset(self, base: Path, disk_gib: int) -> None:
        """Throw away what the guest wrote; passphrases stay. It must be unlocked and its machine stopped."""

    def destroy(self) -> None:
        """Remove it and its keys for good."""


class QemuLuksVolume:
    """A volume that is a QEMU-LUKS qcow2 overlay.

    Args:
        partition: whose.
        directory: existing, ours, 0711; QEMU's user must be able to pass through it.
        cost: Argon2id work of new slots; None for the default.
        variables: the template of the UEFI variables.
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
        self._cost = cost
        self._variables = variables
        self._key: bytearray | None = None
        self.keys = KeyFile(self._paths.keys, partition)

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
        self._key = self.keys.create(passphrase, self._cost)
        try:
            self._write_disk(base, disk_gib)
        except BaseException:
            self.lock()
            self.keys.destroy()
            raise

    def unlock(self, passphrase: bytes) -> None:
        """Open it.

        Raises:
            NoVolume: there is none.
            WrongPassphrase, TooManyTries, BadKeyFile: it stays closed.
        """
        if self.state() is VolumeState.ABSENT:
            raise NoVolume(partition=self._partition.value)
        key = self.keys.unlock(passphrase)
        self.lock()
        self._key = key

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
        overwrite_head(self._discarded, HEAD_BYTES)
        for path in (self._discarded, self._paths.nvram):
            path.unlink(missing_ok=True)
        sync_directory(self._paths.directory)

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
            publish(new_nvram, self._paths.nvram)
            publish(new_overlay, self._paths.overlay)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(what=f"the volume of {self._partition.value}") from error
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        finally:
            for path in (new_overlay, new_nvram):
                path.unlink(missing_ok=True)

    def _format(self, path: Path, base: Path, disk_gib: int) -> None:
        """Run qemu-img; the key goes through its standard input.

        The base is not opened (-u): its header was checked when it came, and core parses no disk image.
        iter-time is the least there is, as a random key needs no stretching.
        """
        options = (
            "cluster_size=128k,extended_l2=on,lazy_refcounts=off,compat=1.1,preallocation=off,"
            "encrypt.format=luks,encrypt.key-secret=key,encrypt.cipher-alg=aes-256,encrypt.cipher-mode=xts,"
            "encrypt.ivgen-alg=plain64,encrypt.hash-alg=sha256,encrypt.iter-time=10"
        )
        command: list[str | Path] = [
            "qemu-img",
            "create",
            "-q",
            "-u",
            "-f",
            "qcow2",
            "-F",
            "qcow2",
            "-b",
            base,
        ]
        command += [
            "--object",
            "secret,id=key,file=/dev/stdin,format=raw",
            "-o",
            options,
            path,
            f"{disk_gib}G",
        ]
        for _ in range(FORMAT_ATTEMPTS):
            path.unlink(missing_ok=True)
            completed = run(command, timeout=QEMU_IMG_SECONDS, input=self.secret_value(), check=False)
            if UNMEASURED not in completed.stderr:
                break
        if completed.status != 0:
            if b"No space left on device" in completed.stderr:
                raise DiskFull(what=f"the volume of {self._partition.value}")
            raise VolumeFailed(partition=self._partition.value, reason=last_line(completed.stderr))

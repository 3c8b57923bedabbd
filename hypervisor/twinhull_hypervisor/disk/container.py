"""One partition's container: LUKS2 on a file, a disk or a logical volume, with a file system inside.

All paths come from the settings. Whatever is cut short is finished or begun anew by the next call: a file
gets its name once its header is whole, a mapping that is not mounted is closed again, and closing may be
done twice.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinhull_policy.names import Partition

from . import loop
from .errors import (
    ContainerBusy,
    ContainerFailed,
    ContainerFull,
    ContainerHeader,
    ContainerMissing,
    ContainerUnfit,
)
from .header import HEADER_BYTES, MAGIC, SECTOR_BYTES, BadHeader, Header, parse
from .luks import Luks
from .settings import Medium

GIB = 2**30
LEAST_BYTES = 64 * 2**20
"""Header, file system and some room; golden images ask for far more."""
LARGEST_BY_ITSELF = 256 * GIB
SPARE_BYTES = GIB
"""Of the laptop's disk, left free by a file."""
HEAD_BYTES = 2 * HEADER_BYTES
"""Overwritten when it is destroyed: the header, and the file system's first blocks."""
MAPPINGS = Path("/sys/class/block")
MOUNTS = Path("/proc/self/mountinfo")


class Container:
    """The container of one partition. Not for two threads at once.

    Args:
        medium: what it is on.
        directory: ours; containers that are files are in it, and the mount points.
        owner, group: whom the top of the file system inside belongs to.
    """

    def __init__(self, partition: Partition, medium: Medium, directory: Path, owner: int, group: int) -> None:
        self._partition = partition
        self._medium = medium
        self._directory = directory
        self._owner, self._group = owner, group
        self._luks = Luks(partition)
        self._file = directory / f"{partition.value}.luks"
        self._new = directory / f".{partition.value}.luks.new"
        self.inside = directory / partition.value

    def exists(self) -> bool:
        """Whether there is something that could be opened; a device is looked at, too."""
        if not self._medium.device:
            return self._file.exists()
        try:
            with self._opened(os.O_RDONLY) as fd:
                return os.pread(fd, len(MAGIC), 0) == MAGIC
        except (ContainerMissing, ContainerUnfit):
            return False

    def is_open(self) -> bool:
        """Whether its files can be reached."""
        place = str(self.inside)
        with MOUNTS.open(encoding="utf-8", errors="replace") as lines:
            return any(line.split(" ", 5)[4] == place for line in lines)

    def format(self, key: int) -> None:
        """Begin anew: whatever is there is gone.

        Raises:
            ContainerBusy, ContainerFull, ContainerUnfit, ContainerFailed: a file is as it was.
        """
        self.close()
        if self._medium.device:
            with self._opened(os.O_RDWR | os.O_EXCL) as fd:
                self._require_size(os.lseek(fd, 0, os.SEEK_END))
                _overwrite(fd)
            self._luks.format(Path(self._medium.device), key)
            return
        self._new.unlink(missing_ok=True)
        size = self._size_of_file()
        fd = os.open(self._new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._allocate(fd, size)
            with loop.attached(fd, SECTOR_BYTES) as device:
                self._luks.format(device, key)
            os.fsync(fd)
            self._new.replace(self._file)
            self._sync_directory()
        except BaseException:
            self._new.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def fill(self, key: int) -> None:
        """Make the file system, and open it. What was in the container is gone."""
        self.close()
        self._map(key)
        try:
            self._luks.make_files(self._owner, self._group)
            self._mount()
        except BaseException:
            self.close()
            raise

    def open(self, key: int) -> None:
        """Open it and mount what is inside; nothing to do while it is.

        Raises:
            ContainerMissing, ContainerHeader, ContainerKey, ContainerUnfit, ContainerFailed: it stays closed.
        """
        if self.is_open():
            return
        self.close()
        self._map(key)
        try:
            self._mount()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take its files away and have the kernel forget its key; nothing to do while it is closed.

        Raises:
            ContainerBusy: something has a file of it open; nothing was changed.
        """
        while self.is_open():  # mounted twice by somebody by hand, too
            completed = self._luks.unmount(self.inside)
            if completed.status != 0:
                if b"busy" in completed.stderr:
                    raise ContainerBusy(partition=self._partition.value)
                reason = completed.stderr.decode(errors="replace").strip()
                raise ContainerFailed(partition=self._partition.value, step="unmounting it", reason=reason)
        if self._mapping() is not None:
            self._luks.close()

    def grow(self) -> int:
        """Have it be as large as its file is to be by the settings, or as its device is; its bytes.

        Raises:
            ContainerMissing: it is not open, or there is none.
            ContainerFull: as it was.
        """
        mapping = self._mapping()
        if mapping is None or not self.is_open():
            raise ContainerMissing(partition=self._partition.value)
        if not self._medium.device:
            with self._opened(os.O_RDWR) as fd:
                if self._medium.gib * GIB > os.fstat(fd).st_size:
                    self._allocate(fd, self._medium.gib * GIB)
                    os.fsync(fd)
            for below in (MAPPINGS / mapping / "slaves").iterdir():
                loop.take_size(Path("/dev") / below.name)
        self._luks.grow()
        return self.size()

    def size(self) -> int:
        """How many bytes of its medium it takes. Raises ContainerMissing, ContainerUnfit."""
        with self._opened(os.O_RDONLY) as fd:
            return os.lseek(fd, 0, os.SEEK_END)

    def read_header(self) -> bytes:
        """The header's bytes, whatever they are. Raises ContainerMissing, ContainerUnfit."""
        with self._opened(os.O_RDONLY) as fd:
            return os.pread(fd, HEADER_BYTES, 0)

    def put_header(self, untrusted: bytes) -> None:
        """Put a header of ours into its place. Raises ContainerHeader, ContainerBusy."""
        self._parsed(untrusted)
        self._require_closed()
        with self._opened(os.O_RDWR) as fd:
            _write(fd, untrusted)

    def opens(self, untrusted: bytes, header: int, key: int) -> None:
        """Raises ContainerHeader, ContainerKey: a copy of the header, in memory, does not open by a key."""
        self._parsed(untrusted)
        self._luks.opens(header, key)

    def add_key(self, key: int, new: int, slot: int) -> None:
        """Have ``new`` open it, too, by a slot that is free. Raises ContainerHeader, ContainerKey."""
        self._header()
        with self._device() as device:
            self._luks.add_key(device, key, new, slot)
        self._sync()

    def erase_key(self, slot: int) -> None:
        """Overwrite a key slot; the last one stays. Raises ContainerHeader."""
        slots = self._header().slots
        if slot not in slots:
            return
        if len(slots) == 1:
            raise ContainerHeader(partition=self._partition.value, detail="its last key is not erased")
        with self._device() as device:
            self._luks.erase_key(device, slot)
        self._sync()

    def destroy(self) -> None:
        """Overwrite its header and remove it, for good; may be done again.

        Raises:
            ContainerBusy: nothing was changed.
            ContainerFailed: something of it is left.
        """
        self.close()
        with suppress(ContainerMissing), self._opened(os.O_RDWR) as fd:
            _overwrite(fd)
            if MAGIC in os.pread(fd, HEAD_BYTES, 0):
                raise ContainerFailed(
                    partition=self._partition.value,
                    step="destroying it",
                    reason="its header is still there.",
                )
        for path in (self._file, self._new):
            path.unlink(missing_ok=True)
        self._sync_directory()

    def _map(self, key: int) -> None:
        self._header()
        with self._device() as device:
            self._luks.open(device, key, discard=self._medium.discard)

    def _mount(self) -> None:
        self.inside.mkdir(mode=0o700, exist_ok=True)  # only what is mounted on it is passed through
        self._luks.mount(self.inside, discard=self._medium.discard)

    def _mapping(self) -> str | None:
        """The kernel's name of the mapping (dm-0), if there is one."""
        for path in MAPPINGS.glob("dm-*/dm/name"):
            with suppress(OSError):  # it went away meanwhile
                if path.read_text("ascii").strip() == self._luks.name:
                    return path.parents[1].name
        return None

    def _require_closed(self) -> None:
        if self._mapping() is not None:
            raise ContainerBusy(partition=self._partition.value)

    def _header(self) -> Header:
        return self._parsed(self.read_header())

    def _parsed(self, untrusted: bytes) -> Header:
        try:
            return parse(untrusted)
        except BadHeader as error:
            raise ContainerHeader(partition=self._partition.value, detail=error) from error

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        """The file or the device itself. Raises ContainerMissing, ContainerUnfit."""
        path = Path(self._medium.device) if self._medium.device else self._file
        follow = 0 if self._medium.device else os.O_NOFOLLOW
        try:
            fd = os.open(path, flags | follow | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ContainerMissing(partition=self._partition.value) from error
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise ContainerBusy(partition=self._partition.value) from error
            raise ContainerUnfit(
                partition=self._partition.value, detail=f"{path}: {error.strerror}"
            ) from error
        try:
            kind = stat.S_ISBLK if self._medium.device else stat.S_ISREG
            if not kind(os.fstat(fd).st_mode):
                raise ContainerUnfit(partition=self._partition.value, detail=f"{path} is something else")
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _device(self) -> Iterator[Path]:
        """A block device for cryptsetup."""
        if self._medium.device:
            yield Path(self._medium.device)
            return
        with self._opened(os.O_RDWR) as fd, loop.attached(fd, SECTOR_BYTES) as device:
            yield device

    def _size_of_file(self) -> int:
        if self._medium.gib:
            return self._medium.gib * GIB
        room = os.statvfs(self._directory)
        third = room.f_bavail * room.f_frsize // 3
        size = min(third, LARGEST_BY_ITSELF) // 2**20 * 2**20
        if size < LEAST_BYTES:
            raise ContainerFull(partition=self._partition.value)
        return size

    def _allocate(self, fd: int, size: int) -> None:
        """Take the room now: a volume that runs out of it later would lose what its guest wrote."""
        room = os.statvfs(self._directory)
        if size - os.fstat(fd).st_blocks * 512 + SPARE_BYTES > room.f_bavail * room.f_frsize:
            raise ContainerFull(partition=self._partition.value)
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise ContainerFull(partition=self._partition.value) from error
            raise

    def _require_size(self, size: int) -> None:
        if size < LEAST_BYTES:
            raise ContainerUnfit(partition=self._partition.value, detail="it is too small")

    def _sync(self) -> None:
        with self._opened(os.O_RDWR) as fd:
            os.fsync(fd)

    def _sync_directory(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _overwrite(fd: int) -> None:
    """The head, with random bytes; durable when it returns."""
    _write(fd, secrets.token_bytes(min(HEAD_BYTES, os.lseek(fd, 0, os.SEEK_END))))


def _write(fd: int, content: bytes) -> None:
    done = 0
    while done < len(content):
        done += os.pwrite(fd, content[done:], done)
    os.fsync(fd)

"""Copying a disk file: by reference where the file system can, else what is written of it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from twinhull_hypervisor.storage.errors import DiskFull

FICLONE = 0x40049409
"""ioctl_ficlone(2): the copy shares its blocks with the source until either is written to."""
CHUNK_BYTES = 8 * 2**20
ACL = "system.posix_acl_access"
ACL_VERSION = struct.pack("<I", 2)
ACL_ENTRY = struct.Struct("<HHI")
"""Tag, permissions, id, in this order of tags (linux/posix_acl_xattr.h)."""
OWNER, USER, GROUP, MASK, OTHER, NOBODY = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF

Progress = Callable[[int, int], None]
"""Told how many bytes are done, and of how many."""


def copy(source: Path, target: Path, what: str, spare_bytes: int, progress: Progress) -> None:
    """Make ``target``, which must not exist, a durable copy of ``source``.

    Args:
        what: is being made, for a person.
        spare_bytes: to be left free on the disk by a copy that takes room.
        progress: told after each chunk.

    Raises:
        DiskFull: there is no room; what was written so far is the caller's to remove.
        OSError: either file cannot be used.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with source.open("rb") as read, os.fdopen(os.open(target, flags, 0o600), "wb", buffering=0) as written:
        try:
            if not _cloned(read.fileno(), written.fileno()):
                _written(read.fileno(), written.fileno(), what, spare_bytes, progress)
            os.fsync(written.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(what=what) from error
            raise


def _cloned(source: int, target: int) -> bool:
    with suppress(OSError):  # most file systems cannot
        fcntl.ioctl(target, FICLONE, source)
        return True
    return False


def _written(source: int, target: int, what: str, spare_bytes: int, progress: Progress) -> None:
    about, room = os.fstat(source), os.fstatvfs(target)
    total = about.st_blocks * 512
    if total + spare_bytes > room.f_bavail * room.f_frsize:
        raise DiskFull(what=what)
    os.truncate(target, about.st_size)
    done = place = 0
    while place < about.st_size:
        try:
            place = os.lseek(source, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                break
            raise
        end = os.lseek(source, place, os.SEEK_HOLE)
        while place < end:
            count = os.copy_file_range(source, target, min(CHUNK_BYTES, end - place), place, place)
            if count == 0:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
            place += count
            done += count
            progress(min(done, total), total)


def readable_when_lent(path: Path) -> bool:
    """Have the owner of now go on reading a file that libvirt gives to a machine's user; whether that works.

    An entry of the access control list outlives chown(2), and gives nobody else anything.
    """
    me = os.geteuid()
    entries = [(OWNER, 6, NOBODY), (USER, 4, me), (GROUP, 0, NOBODY), (MASK, 4, NOBODY), (OTHER, 0, NOBODY)]
    if me == 0:
        return True
    try:
        os.setxattr(path, ACL, ACL_VERSION + b"".join(ACL_ENTRY.pack(*entry) for entry in entries))
    except OSError:
        return False
    return True

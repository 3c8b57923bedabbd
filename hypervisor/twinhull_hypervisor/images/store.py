"""Golden images on this laptop: ``<sha256>.qcow2``, read-only, each checked before every start.

What fetch brings is untrusted. It is hashed while it is copied, so what was hashed is what is kept, and it
gets its name only when length, hash and header are right. A name is a promise that is checked again by
:func:`verify`, since a disk may lie.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from twinhull_hypervisor.images.errors import (
    ImageChanged,
    ImageMissing,
    ImageUnsafe,
    ImageWrongLength,
    NoRoomForImage,
)
from twinhull_hypervisor.images.qcow2 import HEADER, BadHeader, Header, parse_header

CHUNK_BYTES = 1024 * 1024
LONGEST_IMAGE_BYTES = 64 * 1024**3
SHA256 = re.compile(r"[0-9a-f]{64}")
Progress = Callable[[int, int], None]
"""Called after each chunk with the bytes done and the bytes there are; may raise to stop."""


def nothing(_done: int, _total: int) -> None:
    """Progress nobody looks at."""


def image_path(store: Path, sha256: str) -> Path:
    """Where an image is kept.

    Raises:
        ImageUnsafe: that is no hash.
    """
    if SHA256.fullmatch(sha256) is None:
        raise ImageUnsafe(image="(unnamed)", detail="its SHA-256 is malformed")
    return store / f"{sha256}.qcow2"


def label(sha256: str) -> str:
    """How an image is called in a sentence."""
    return sha256[:16]


def import_image(
    untrusted_fd: int, sha256: str, length: int, store: Path, progress: Progress = nothing
) -> Path:
    """Copy a downloaded image into the store while checking it; done already if it is there.

    Args:
        untrusted_fd: open for reading, read from its current position; stays the caller's.
        sha256: what the signed metadata says, 64 hexadecimal digits.
        length: what the signed metadata says, in bytes, 1 to 64 GiB.
        store: the directory, on the same file system as its temporary files, ours alone to write.
        progress: told after each MiB.

    Returns:
        The image's path; its mode is 0444.

    Raises:
        ImageChanged, ImageWrongLength, ImageUnsafe, NoRoomForImage: nothing was kept.
    """
    path = image_path(store, sha256)
    if path.exists():
        return path
    if not 0 < length <= LONGEST_IMAGE_BYTES:
        raise ImageUnsafe(image=label(sha256), detail="its length is out of bounds")
    room = os.statvfs(store)
    if room.f_bavail * room.f_frsize < length:
        raise NoRoomForImage(image=label(sha256))
    temporary = store / f".{sha256}.new"
    temporary.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600)
    try:
        copy_checked(untrusted_fd, fd, sha256, length, progress)
        read_header(fd, sha256)
        os.fchmod(fd, 0o444)
        os.fsync(fd)
        temporary.rename(path)
        directory = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomForImage(image=label(sha256)) from error
        raise
    finally:
        os.close(fd)
        temporary.unlink(missing_ok=True)
    return path


def copy_checked(untrusted_fd: int, fd: int, sha256: str, length: int, progress: Progress) -> None:
    """Copy exactly ``length`` bytes and compare their hash. Raises ImageWrongLength, ImageChanged."""
    digest = hashlib.sha256()
    done = 0
    while chunk := os.read(untrusted_fd, CHUNK_BYTES):
        done += len(chunk)
        if done > length:
            raise ImageWrongLength(image=label(sha256), length=length)
        digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(fd, view) :]
        progress(done, length)
    if done != length:
        raise ImageWrongLength(image=label(sha256), length=length)
    if digest.hexdigest() != sha256:
        raise ImageChanged(image=label(sha256), found=digest.hexdigest())


def verify(path: Path, sha256: str, progress: Progress = nothing) -> Header:
    """Read an image through and compare its hash: before each start.

    Args:
        path: from :func:`image_path`.
        sha256: what the statement in force says.
        progress: told after each MiB.

    Returns:
        What its header says.

    Raises:
        ImageMissing, ImageChanged, ImageUnsafe: it must not be used.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ImageMissing(image=label(sha256)) from error
    try:
        total = os.fstat(fd).st_size
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        digest = hashlib.sha256()
        done = 0
        while chunk := os.read(fd, CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
        if digest.hexdigest() != sha256:
            raise ImageChanged(image=label(sha256), found=digest.hexdigest())
        return read_header(fd, sha256)
    finally:
        os.close(fd)


def read_header(fd: int, sha256: str) -> Header:
    """The checked header of an open image. Raises ImageUnsafe."""
    try:
        return parse_header(os.pread(fd, HEADER.size, 0))
    except BadHeader as error:
        raise ImageUnsafe(image=label(sha256), detail=error) from error

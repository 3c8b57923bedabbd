"""Writing a file so that a crash leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from twinhull_hypervisor.storage.errors import DiskFull


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace ``path``: temporary file, fsync, rename, fsync of the directory.

    Args:
        path: what to replace; its directory exists and is ours alone to write.
        content: all of it.
        mode: permissions of the new file.

    Raises:
        DiskFull: no room; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(what=path.name) from error
        raise


def publish(temporary: Path, path: Path) -> None:
    """Give a finished, synced file its name, durably."""
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames and removals in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make a file's contents durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def overwrite_head(path: Path, length: int) -> None:
    """Overwrite the first ``length`` bytes of a file with random ones; nothing to do when there is none."""
    try:
        file = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return
    with file:
        left = min(length, os.fstat(file.fileno()).st_size)
        while left > 0:
            left -= file.write(secrets.token_bytes(min(left, 2**20)))
        os.fsync(file.fileno())

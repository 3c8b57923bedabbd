"""Files that survive a power cut: written aside, synced, renamed, and the directory synced."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Disk:
    """The few things that are done to the file system, one method each, so that a test can note them down."""

    def create(self, path: Path, content: bytes, mode: int) -> None:
        """A new file whose content is in the page cache only."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)

    def sync(self, path: Path, flags: int = 0) -> None:
        """Make a file's content, or with O_DIRECTORY a directory's entries, durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Replace ``new``."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()


disk = Disk()
"""What everything here goes through."""


def write_durably(path: Path, content: bytes, mode: int = 0o640) -> None:
    """Replace a file whole or not at all; ``mode`` holds whatever the umask is."""
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        disk.remove(temporary)
    try:
        disk.create(temporary, content, mode)
        disk.sync(temporary)
    except OSError:
        with contextlib.suppress(OSError):  # a half file would keep taking the room that was missing
            disk.remove(temporary)
        raise
    disk.rename(temporary, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory durable."""
    disk.sync(path, os.O_DIRECTORY)


def remove_tree(directory: Path) -> None:
    """Remove a directory and all in it; nothing to do when there is none. Links are not followed."""
    if not directory.is_dir() or directory.is_symlink():
        return
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            disk.remove(path)
    directory.rmdir()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; waits for whoever holds it, in this process or another."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

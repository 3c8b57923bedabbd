"""One directory of sysfs, opened once: every read and write goes through that handle.

A device's directory belongs to one object of the kernel. When the device is unplugged the object dies, and
what is opened below the handle fails with ENOENT or ENODEV; a device that comes to the same port later has
another directory. So what was compared through a handle is what is written to (R16), whatever happens to the
name meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

ATTRIBUTE_BYTES = 4096
"""sysfs gives a text attribute at most one page (Documentation/filesystems/sysfs.rst)."""


class Directory:
    """A directory handle. Every method raises FileNotFoundError or OSError when the device is gone.

    Args:
        fd: a descriptor of the directory, owned from now on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        """Give the handle up."""
        os.close(self._fd)

    def read(self, name: str, limit: int = ATTRIBUTE_BYTES) -> bytes:
        """At most ``limit`` bytes of an attribute."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            content = b""
            while len(content) < limit and (chunk := os.read(fd, limit - len(content))):
                content += chunk
            return content
        finally:
            os.close(fd)

    def text(self, name: str, default: str = "") -> str:
        """A text attribute without its line end; ``default`` if there is no such attribute."""
        try:
            return self.read(name).decode("utf-8", "replace").rstrip("\n")
        except FileNotFoundError:
            return default

    def number(self, name: str, base: int = 10) -> int:
        """A number the kernel made. Raises ValueError if it is none."""
        return int(self.text(name), base)

    def write(self, name: str, value: str) -> None:
        """Write an attribute in one write(2), as sysfs wants it; it is never made if it does not exist."""
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_TRUNC, dir_fd=self._fd)
        try:
            os.write(fd, value.encode("ascii"))
        finally:
            os.close(fd)

    def names(self) -> list[str]:
        """The names in it, sorted."""
        return sorted(os.listdir(self._fd))  # noqa: PTH208 - pathlib knows no descriptors

    def link(self, name: str) -> str:
        """The last part of what a symbolic link points to; empty if there is none."""
        try:
            return os.readlink(name, dir_fd=self._fd).rpartition("/")[2]
        except (FileNotFoundError, OSError):
            return ""

    @contextlib.contextmanager
    def below(self, name: str) -> Iterator[Directory]:
        """A directory right below, for as long as the context lasts; never through a link."""
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._fd)
        child = Directory(fd)
        try:
            yield child
        finally:
            child.close()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Directory]:
    """The directory at ``path``, the links on the way to it followed, for as long as the context lasts."""
    directory = Directory(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    try:
        yield directory
    finally:
        directory.close()

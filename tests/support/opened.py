"""Whether anybody opened or read a file meanwhile: inotify(7), which sees every process of the machine."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IN_ACCESS, IN_OPEN = 0x01, 0x20


class Watched:
    """What was seen of it so far."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._seen = False

    def opened(self) -> bool:
        """Whether it was opened or read; also asked after the watching has ended."""
        if self._fd >= 0:
            with suppress(BlockingIOError):
                self._seen = bool(os.read(self._fd, 4096)) or self._seen
        return self._seen

    def end(self) -> None:
        """Look once more, and no more."""
        self.opened()
        os.close(self._fd)
        self._fd = -1


@contextmanager
def watched(path: Path) -> Iterator[Watched]:
    """Watch one existing file."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert fd >= 0
    watch = Watched(fd)
    try:
        assert libc.inotify_add_watch(fd, os.fsencode(path), IN_OPEN | IN_ACCESS) >= 0
        yield watch
    finally:
        watch.end()

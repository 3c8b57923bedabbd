"""How the serving process uses memory: glibc's malloc, as it is, costs a fifth of each connection."""

from __future__ import annotations

import contextlib
import ctypes
import resource

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Of malloc.h; mallopt(3)."""
THRESHOLD_BYTES = 128 * 1024
"""malloc's own first value; once set it stays. Otherwise it rises past the 256 KiB that uvloop keeps for each
TLS connection, which then come from a heap whose pages were touched before, and stay in memory for good."""


def keep_small() -> None:
    """Keep large blocks apart, and one heap for all threads. Nothing happens with another C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, THRESHOLD_BYTES)
        mallopt(_M_ARENA_MAX, 1)


def open_many() -> None:
    """Let this process have as many descriptors open as it may; one is one laptop.

    Under the unit's system call filter nothing is left to do: ``LimitNOFILE`` has done it.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

"""Sealed shared memory with a copy of the screen, and what of it changed since it was last announced."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os

from twinhull_client.viewer.protocol import BYTES_PER_PIXEL, MAX_HEIGHT, MAX_WIDTH, Damage

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def sealed_memory(name: str, size: int) -> int:
    """A memfd of ``size`` bytes that can never change its size (memfd_create(2)); the caller owns it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    return fd


class Canvas:
    """One frame the desktop app can map.

    Args:
        width, height: pixels, 1 to the protocol's limits.
        source: address of SPICE's own copy of the screen, 32 bits a pixel.
        source_stride: bytes between its rows.
    """

    def __init__(self, width: int, height: int, source: int, source_stride: int) -> None:
        if not (1 <= width <= MAX_WIDTH and 1 <= height <= MAX_HEIGHT and source):
            raise ValueError("a screen of impossible size")
        self.width, self.height = width, height
        self.stride = width * BYTES_PER_PIXEL
        if source_stride < self.stride:
            raise ValueError("rows overlap")
        self._source, self._source_stride = source, source_stride
        self.fd = sealed_memory("twinhull-frame", self.stride * height)
        self._map = mmap.mmap(self.fd, self.stride * height)
        self._anchor = ctypes.c_char.from_buffer(self._map)
        self._target = ctypes.addressof(self._anchor)
        self._dirty: tuple[int, int, int, int] | None = None

    def invalidate(self, x: int, y: int, width: int, height: int) -> None:
        """Remember that a rectangle of the source changed; what lies outside the screen is ignored."""
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, self.width), min(y + height, self.height)
        if left >= right or top >= bottom:
            return
        if self._dirty is None:
            self._dirty = (left, top, right, bottom)
        else:
            old = self._dirty
            self._dirty = (min(old[0], left), min(old[1], top), max(old[2], right), max(old[3], bottom))

    @property
    def dirty(self) -> bool:
        """Whether anything changed since it was last announced."""
        return self._dirty is not None

    def take_damage(self) -> Damage | None:
        """Copy what changed into the shared memory and say where; None if nothing did."""
        if self._dirty is None:
            return None
        left, top, right, bottom = self._dirty
        self._dirty = None
        if right - left == self.width and self._source_stride == self.stride:
            start = top * self.stride
            ctypes.memmove(self._target + start, self._source + start, (bottom - top) * self.stride)
        else:
            offset, length = left * BYTES_PER_PIXEL, (right - left) * BYTES_PER_PIXEL
            for row in range(top, bottom):
                ctypes.memmove(
                    self._target + row * self.stride + offset,
                    self._source + row * self._source_stride + offset,
                    length,
                )
        return Damage(left, top, right - left, bottom - top)

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.fd)
        del self._anchor
        self._map.close()

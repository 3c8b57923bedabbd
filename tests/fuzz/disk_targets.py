"""Disk images that say anything of themselves: a golden image, an overlay, a backup of its header."""

from __future__ import annotations

import os
import struct
from functools import cache
from pathlib import Path

from twinhull_hypervisor.images import qcow2
from twinhull_hypervisor.storage import header

OVERLAY_BYTES = 3 * 2**20
"""Of the overlay that is read; its LUKS header would be 2 MiB."""
EXTERNAL_DATA = 1 << 2
UNKNOWN_FEATURES = ~0b11111
OVERLAY = struct.Struct(">4sIQIIQIIQQIIQQQQII")
ENCRYPTION = 0x0537BE77


def fuzz_image(untrusted: bytes) -> None:
    """The first bytes of a golden image: what is accepted names no other file and is in clear."""
    try:
        found = qcow2.parse_header(untrusted)
    except qcow2.BadHeader as error:
        if not str(error).isprintable():
            raise AssertionError("a reason that cannot be shown") from error
        return
    word, long = _reader(untrusted)
    if (untrusted[:4], word(4), long(8), word(16), word(32), word(60)) != (b"QFI\xfb", 3, 0, 0, 0, 0):
        raise AssertionError("it is not by itself")
    if long(72) & (EXTERNAL_DATA | UNKNOWN_FEATURES) or long(24) != found.virtual_bytes:
        raise AssertionError("QEMU would open another file, or show another disk")


def fuzz_overlay(untrusted: bytes) -> None:
    """The head of an overlay: read, and then taken for a backup that is put back over another one."""
    backup, overlay = _files()
    for file in (backup, overlay):
        os.truncate(file, 0)
        os.truncate(file, OVERLAY_BYTES)
    backup.write_bytes(untrusted[:4096])
    os.truncate(backup, OVERLAY_BYTES)
    try:
        found = header.read_header(backup)
    except header.BadHeader as error:
        if not str(error).isprintable():
            raise AssertionError("a reason that cannot be shown") from error
        return
    content = backup.read_bytes()
    word, long = _reader(content)
    if (content[:4], word(4), word(32), word(60)) != (b"QFI\xfb", 3, 2, 0):
        raise AssertionError("it is no overlay of ours")
    if long(72) & (EXTERNAL_DATA | UNKNOWN_FEATURES):
        raise AssertionError("QEMU would open another file")
    if content[found.offset : found.offset + len(found.luks)] != found.luks or len(found.luks) < 4096:
        raise AssertionError("its LUKS header is another")
    if not found.fits(found) or Path(found.name).name != found.name:
        raise AssertionError("its name leads elsewhere")
    try:
        header.put_back(backup, overlay)
    except header.BadHeader:
        return
    if header.read_header(overlay) != found or overlay.stat().st_size != OVERLAY_BYTES:
        raise AssertionError("what was put back is another header")


def image_seeds() -> list[bytes]:
    """A golden image as QEMU makes it, and one over a base."""
    plain = OVERLAY.pack(b"QFI\xfb", 3, 0, 0, 16, 2**26, 0, 1, 0x30000, 0x10000, 1, 0, 0, 0, 0, 0, 4, 112)
    base = OVERLAY.pack(b"QFI\xfb", 3, 0x200, 10, 16, 2**26, 0, 1, 0x30000, 0x10000, 1, 0, 0, 0, 0, 0, 4, 112)
    return [plain, base]


def overlay_seeds() -> list[bytes]:
    """An overlay of ours, its first 1024 bytes; ``l1`` where the backup of one has its first table."""
    name = b"/var/lib/twinhull/images/" + b"ab" * 32 + b".qcow2"
    luks = struct.pack(">IIQQ", ENCRYPTION, 16, 4 * 2**17, 2**21 - 2**19)
    seeds = []
    for l1 in (3 * 2**17, 0):
        fixed = OVERLAY.pack(
            b"QFI\xfb", 3, 512, len(name), 17, 2**30, 2, 1, l1, 2**17, 1, 0, 0, 1 << 4, 0, 0, 4, 112
        )
        seeds.append((fixed + bytes(8) + luks + bytes(8)).ljust(512, b"\0") + name)
    return seeds


def _reader(content: bytes) -> tuple[_Number, _Number]:
    """Words of four and eight bytes by their place."""
    return _Number(content, 4), _Number(content, 8)


class _Number:
    def __init__(self, content: bytes, length: int) -> None:
        self._content = content
        self._length = length

    def __call__(self, place: int) -> int:
        return int.from_bytes(self._content[place : place + self._length])


@cache
def _files() -> tuple[Path, Path]:
    """Two files in memory, gone with the process."""
    first, second = (os.memfd_create(name, 0) for name in ("backup", "overlay"))
    return Path(f"/proc/self/fd/{first}"), Path(f"/proc/self/fd/{second}")

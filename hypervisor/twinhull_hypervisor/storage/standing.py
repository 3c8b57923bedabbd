"""What a guest's disk stands on, by its own header: how an update is known to have happened, or not.

The header is parsed as untrusted. Whatever image it names is verified before a machine gets it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

FIXED = struct.Struct(">4sIQIIQ")
"""The qcow2 header to the disk's size (QEMU's docs/interop/qcow2.txt)."""
NAME_BYTES = 1023
"""Longest name of a base, by the same document."""
LARGEST_BYTES = 2**44
BASE = re.compile(r"([0-9a-f]{64})\.qcow2")
"""The name of a golden image's file, wherever it is."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The golden image's SHA-256, and the size that the guest sees, GiB, rounded up."""

    sha256: str
    disk_gib: int


def read_standing(disk: Path) -> Standing | None:
    """What a disk, or the copy of its first bytes, says; None if that is no overlay of a golden image.

    Raises:
        OSError: it cannot be read.
    """
    with disk.open("rb") as file:
        untrusted = file.read(FIXED.size)
        if len(untrusted) != FIXED.size:
            return None
        magic, _, offset, length, _, size = FIXED.unpack(untrusted)
        if magic != b"QFI\xfb" or not 0 < length <= NAME_BYTES or offset >= 2**63:
            return None
        file.seek(offset)
        untrusted_name = file.read(length).decode("utf-8", "replace")
    named = BASE.fullmatch(Path(untrusted_name).name)
    if named is None or not 0 < size <= LARGEST_BYTES:
        return None
    return Standing(named[1], -(-size // 2**30))


def stands_on_one(disk: Path, bases: Collection[str]) -> bool:
    """Whether a disk stands on one of these golden images, named by their hashes. Raises OSError."""
    found = read_standing(disk)
    return found is not None and found.sha256 in bases


def unnamed(sha256: str) -> str:
    """What an image is called of which nobody knows the name any more."""
    return f"images/recovered-{sha256[:16]}.qcow2"

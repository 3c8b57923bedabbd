"""The header of an overlay that is not encrypted itself, as inside a volume that is. Numbers: ``header``.

Nobody but QEMU and this process writes there, so the header is looked at to see that a copy is whole, and
that a snapshot fits what is here; it is parsed as untrusted all the same.
"""

from __future__ import annotations

import struct
from pathlib import Path

from twinhull_hypervisor.storage.header import (
    CLUSTER_BYTES,
    FEATURES_OFFSET,
    FIXED,
    UNDERSTOOD,
    BadHeader,
)

HEAD_BYTES = 4096
"""What is kept outside: the header, its extensions and the name of the base are shorter."""
NOT_ENCRYPTED = 0


def same(one: Path, other: Path) -> bool:
    """Whether two overlays have the same header. Raises BadHeader, OSError."""
    return _shape(one, whole=True) == _shape(other, whole=True)


def fits(one: Path, other: Path) -> bool:
    """Whether two overlays stand on the same base and have the same size. Raises BadHeader, OSError."""
    return _shape(one) == _shape(other)


def _shape(path: Path, *, whole: bool = False) -> tuple[bytes, ...]:
    with path.open("rb") as file:
        untrusted = file.read(CLUSTER_BYTES)
    if len(untrusted) != CLUSTER_BYTES:
        raise BadHeader("the file is shorter than a cluster")
    fields = FIXED.unpack_from(untrusted)
    magic, version, base, base_length, bits, size, method = fields[:7]
    if (magic, version, 1 << min(bits, 63), method, fields[11]) != (
        b"QFI\xfb",
        3,
        CLUSTER_BYTES,
        NOT_ENCRYPTED,
        0,
    ):
        raise BadHeader("it does not begin as our overlays do")
    if base + base_length > HEAD_BYTES:
        raise BadHeader("the name of its base is not in its header")
    if struct.unpack_from(">Q", untrusted, FEATURES_OFFSET)[0] & ~UNDERSTOOD:
        raise BadHeader("it uses what our overlays do not")
    name = untrusted[base : base + base_length]
    return (untrusted,) if whole else (name, size.to_bytes(8))

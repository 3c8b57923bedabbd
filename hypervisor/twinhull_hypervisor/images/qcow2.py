"""Just enough of the qcow2 header to refuse an image that refers to anything outside itself.

QEMU's docs/interop/qcow2.txt. The bytes are untrusted: a header may name a backing file or a data file, and
QEMU would open it. Nothing beyond the fixed header is read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
"""Version 3: magic to header_length."""
MAGIC = b"QFI\xfb"
EXTERNAL_DATA = 1 << 2
UNDERSTOOD = (1 << 3) | (1 << 4)
"""Incompatible features that are harmless: compression type, extended level 2 entries."""
CLUSTER_BITS = range(9, 22)
LARGEST_BYTES = 1 << 44


class BadHeader(ValueError):
    """Says in a few words why the header is refused."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a good image: ``virtual_bytes``, the disk size a guest sees."""

    virtual_bytes: int


def parse_header(untrusted_header: bytes) -> Header:
    """Check the first bytes of an image.

    Args:
        untrusted_header: at least the first 104 bytes.

    Raises:
        BadHeader: it is not a version 3 image that stands alone, is clean and in clear.
    """
    if len(untrusted_header) < HEADER.size or untrusted_header[:4] != MAGIC:
        raise BadHeader("it is not in qcow2 format")
    fields = HEADER.unpack(untrusted_header[: HEADER.size])
    _, version, backing_offset, backing_length, cluster_bits, virtual_bytes, encryption = fields[:7]
    snapshots, incompatible = fields[11], fields[13]
    refusals = {
        "its qcow2 version is not 3": version != 3,
        "it refers to a backing file": backing_offset != 0 or backing_length != 0,
        "it is encrypted": encryption != 0,
        "it keeps its data in another file": bool(incompatible & EXTERNAL_DATA),
        "it was not closed cleanly or uses features not known here": bool(
            incompatible & ~(EXTERNAL_DATA | UNDERSTOOD)
        ),
        "it holds snapshots": snapshots != 0,
        "its cluster size is out of bounds": cluster_bits not in CLUSTER_BITS,
        "its disk size is out of bounds": not 0 < virtual_bytes <= LARGEST_BYTES,
    }
    for reason, refused in refusals.items():
        if refused:
            raise BadHeader(reason)
    return Header(virtual_bytes)

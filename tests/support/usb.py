"""Builds USB descriptor blobs as sysfs would show them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Interface = tuple[int, int, tuple[int, int, int]]
"""Number, alternate setting, class triple."""


def device(vendor: int, product: int, configurations: Sequence[bytes], count: int | None = None) -> bytes:
    """A device descriptor and its configurations; ``count`` is what it says there are of these."""
    number = len(configurations) if count is None else count
    head = struct.pack(
        "<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, vendor, product, 0x0100, 0, 0, 0, number
    )
    return head + b"".join(configurations)


def configuration(
    interfaces: Sequence[Interface], count: int | None = None, total: int | None = None
) -> bytes:
    """A configuration; ``count`` and ``total`` are what it says of its interfaces and its length."""
    body = b"".join(interface(*one) for one in interfaces)
    number = len({n for n, _, _ in interfaces}) if count is None else count
    length = 9 + len(body) if total is None else total
    return struct.pack("<BBHBBBBB", 9, 2, length, number, 1, 0, 0x80, 50) + body


def interface(number: int, alternate: int, triple: tuple[int, int, int]) -> bytes:
    """An interface with one endpoint, and a class-specific descriptor between them."""
    head = struct.pack("<BBBBBBBBB", 9, 4, number, alternate, 1, *triple, 0)
    return head + b"\x04\x24\x01\x00" + struct.pack("<BBBBHB", 7, 5, 0x81, 3, 8, 10)


def simple(vendor: int, product: int, *triples: tuple[int, int, int]) -> bytes:
    """A device with one configuration and one interface a triple."""
    return device(vendor, product, [configuration([(n, 0, t) for n, t in enumerate(triples)])])

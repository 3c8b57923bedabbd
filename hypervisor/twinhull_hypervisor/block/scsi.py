"""The five SCSI commands that reading a disk takes, and what answers to them mean. Pure.

There is no command here that carries data towards a device: what is not here cannot be sent. Sources: SPC-4
(T10/1731-D) for INQUIRY, TEST UNIT READY and sense data; SBC-3 (T10/1799-D) for READ and READ CAPACITY.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

INQUIRY_BYTES = 36
"""The standard inquiry data that every device has (SPC-4, 6.4.2)."""
SENSE_BYTES = 18
"""Fixed format (SPC-4, 4.5.3)."""
CAPACITY_10_BYTES, CAPACITY_16_BYTES = 8, 32
_DISKS = frozenset({0x00, 0x04, 0x05, 0x07, 0x0E})
"""Peripheral device types (SPC-4, 6.4.2): direct access, write-once, CD, optical, simplified access."""
_MANY = 0xFFFFFFFF
"""READ CAPACITY (10) answers this when the address of the last block does not fit."""
BLOCK_BYTES = tuple(2**power for power in range(9, 16))
"""Sizes of a block that are served: 512 to 32768."""
MOST_BYTES = 2**60
"""Of a disk; an honest one is smaller by far, and all arithmetic stays within 64 bits."""

TEST_UNIT_READY = bytes(6)
INQUIRY = bytes((0x12, 0, 0, 0, INQUIRY_BYTES, 0))
REQUEST_SENSE = bytes((0x03, 0, 0, 0, SENSE_BYTES, 0))
READ_CAPACITY_10 = bytes((0x25,)) + bytes(9)
READ_CAPACITY_16 = bytes((0x9E, 0x10)) + bytes(8) + struct.pack(">IH", CAPACITY_16_BYTES, 0)


class BadAnswer(ValueError):
    """A device answered what no disk does; says what."""


@dataclass(frozen=True, slots=True)
class Sense:
    """Why a command failed: sense key and additional sense code (SPC-4, 4.5.6 and annex D)."""

    key: int
    code: int

    @property
    def other_medium(self) -> bool:
        """The medium may have been changed, or is gone."""
        return self.code in (0x28, 0x3A)

    @property
    def becoming_ready(self) -> bool:
        """Asked again, it may answer: unit attention, or not ready yet (04)."""
        return self.key == 6 or (self.key == 2 and self.code == 0x04)


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many blocks there are, and of how many bytes."""

    blocks: int
    block_bytes: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.blocks * self.block_bytes


def read_command(block: int, blocks: int) -> bytes:
    """READ (10), or READ (16) where the address needs it.

    Args:
        block: the first, 0 to 2**64 - 1.
        blocks: how many, 1 to 65535.
    """
    if block + blocks <= _MANY:
        return struct.pack(">BBIBHB", 0x28, 0, block, 0, blocks, 0)
    return struct.pack(">BBQIBB", 0x88, 0, block, blocks, 0, 0)


def is_disk(untrusted_inquiry: bytes) -> bool:
    """Whether a device that answered INQUIRY so is a disk, and there (peripheral qualifier 0)."""
    return len(untrusted_inquiry) >= 5 and untrusted_inquiry[0] in _DISKS


def sense(untrusted_sense: bytes) -> Sense:
    """What REQUEST SENSE answered; nothing known (0, 0) if it makes no sense."""
    if len(untrusted_sense) < 14 or untrusted_sense[0] & 0x7E != 0x70:
        return Sense(0, 0)
    return Sense(untrusted_sense[2] & 0x0F, untrusted_sense[12])


def capacity_10(untrusted_capacity: bytes) -> Capacity | None:
    """What READ CAPACITY (10) answered; None if it takes the longer one. Raises BadAnswer."""
    if len(untrusted_capacity) != CAPACITY_10_BYTES:
        raise BadAnswer("it does not tell its size")
    last, block_bytes = struct.unpack(">II", untrusted_capacity)
    return None if last == _MANY else _capacity(last, block_bytes)


def capacity_16(untrusted_capacity: bytes) -> Capacity:
    """What READ CAPACITY (16) answered. Raises BadAnswer."""
    if len(untrusted_capacity) < 12:
        raise BadAnswer("it does not tell its size")
    return _capacity(*struct.unpack_from(">QI", untrusted_capacity))


def _capacity(last: int, block_bytes: int) -> Capacity:
    if block_bytes not in BLOCK_BYTES:
        raise BadAnswer(f"its blocks have {block_bytes} bytes")
    found = Capacity(last + 1, block_bytes)
    if found.size > MOST_BYTES:
        raise BadAnswer("it says that it is larger than any disk")
    return found

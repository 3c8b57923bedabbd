"""A disk behind USB: bulk-only transport, and as much SCSI as hosts ask of a stick.

Sources: USB Mass Storage Class, Bulk-Only Transport 1.0; SPC-4 and SBC-3 for the commands.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Protocol

from .device import Function, Setup
from .protocol import Status

BLOCK = 512
"""Bytes."""
INQUIRY = 0x12
READ_10 = 0x28
WRITE_10 = 0x2A

_COMMAND = struct.Struct("<4sIIBBB16s")
_GOOD, _CHECK = 0, 1
_NO_SENSE = (0, 0, 0)
_INVALID_COMMAND = (5, 0x20, 0)
_INVALID_FIELD = (5, 0x24, 0)
_OUT_OF_RANGE = (5, 0x21, 0)
_WRITE_PROTECTED = (7, 0x27, 0)


class Medium(Protocol):
    """What the disk keeps its blocks in."""

    @property
    def size(self) -> int:
        """Bytes, a multiple of ``BLOCK``."""

    def read(self, place: int, length: int) -> bytes:
        """The bytes at ``place``."""

    def write(self, place: int, data: bytes) -> None:
        """Replace the bytes at ``place``."""


class Memory:
    """A medium in memory; ``content`` is filled up to a whole block."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0"))
        self.size = len(self.content)

    def read(self, place: int, length: int) -> bytes:
        """See Medium."""
        return bytes(self.content[place : place + length])

    def write(self, place: int, data: bytes) -> None:
        """See Medium."""
        self.content[place : place + len(data)] = data


class File:
    """A medium in a file or block device, which it changes; bytes after the last whole block are not seen."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.lseek(self._fd, 0, os.SEEK_END) // BLOCK * BLOCK

    def read(self, place: int, length: int) -> bytes:
        """See Medium."""
        return os.pread(self._fd, length, place)

    def write(self, place: int, data: bytes) -> None:
        """See Medium."""
        os.pwrite(self._fd, data, place)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class Storage(Function):
    """A SCSI disk that is spoken to in command blocks on one pair of bulk endpoints."""

    def __init__(self, medium: Medium, *, name: str = "Flash Disk", read_only: bool = False) -> None:
        super().__init__()
        self._medium = medium
        self._name = name
        self._read_only = read_only
        self.reset()

    def reset(self) -> None:
        """Wait for a command."""
        self._sense = _NO_SENSE
        self._data = b""
        self._expected = 0
        """Bytes the host still wants to read before the status."""
        self._write_to: int | None = None
        self._awaited = 0
        """Bytes the host still wants to write before the status."""
        self._status: bytes | None = None

    def control(self, setup: Setup, untrusted: bytes) -> bytes | None:
        """Get Max LUN (there is one, number 0) and Bulk-Only Mass Storage Reset."""
        if setup.request == 0xFE:
            return b"\0"
        if setup.request == 0xFF:
            self.reset()
            return b""
        return None

    def receive(self, endpoint: int, untrusted: bytes) -> Status:
        """A command block, or data of the command before."""
        if self._awaited:
            if self._write_to is not None:
                self._medium.write(self._write_to, untrusted[: self._awaited])
                self._write_to += len(untrusted)
            self._awaited -= min(len(untrusted), self._awaited)
            return Status.SUCCESS
        if len(untrusted) != _COMMAND.size or untrusted[:4] != b"USBC":
            return Status.STALL
        _, tag, length, flags, _, _, command = _COMMAND.unpack(untrusted)
        self._begin(tag, length, bool(flags & 0x80), command)
        return Status.SUCCESS

    def give(self, endpoint: int, length: int) -> bytes | Status | None:
        """Data of the command, then its status."""
        if self._expected:
            data, self._data = self._data[:length], self._data[length:]
            self._expected -= len(data)
            if len(data) < length:
                self._expected = 0
            return data
        if self._awaited:
            return None
        status, self._status = self._status, None
        return status

    def _begin(self, tag: int, length: int, to_host: bool, command: bytes) -> None:
        self.record.scsi[command[0]] += 1
        data, outcome = b"", _GOOD
        self._write_to = None
        if command[0] in (WRITE_10, 0x8A):
            place = self._place(command)
            if place is None or self._read_only:
                outcome = self._fail(_OUT_OF_RANGE if place is None else _WRITE_PROTECTED)
            else:
                self._write_to = place
        else:
            answer = self._answer(command)
            if isinstance(answer, bytes):
                data = answer[:length] if to_host else b""
            else:
                outcome = self._fail(answer)
        self._data, self._expected = data, length if to_host else 0
        self._awaited = 0 if to_host else length
        moved = len(data) if to_host else length if self._write_to is not None else 0
        self._status = struct.pack("<4sIIB", b"USBS", tag, length - moved, outcome)

    def _fail(self, sense: tuple[int, int, int]) -> int:
        self._sense = sense
        return _CHECK

    def _answer(self, command: bytes) -> bytes | tuple[int, int, int]:
        """The data of a command, or the sense it fails with."""
        last = self._medium.size // BLOCK - 1
        match command[0]:
            case 0x00 | 0x1B | 0x1E | 0x35 | 0x91:
                # Test Unit Ready, Start Stop, Prevent Removal, Synchronize Cache
                return b""
            case 0x03:  # Request Sense
                key, code, qualifier = self._sense
                self._sense = _NO_SENSE
                return struct.pack(">BBBIBIBBBBH", 0x70, 0, key, 0, 10, 0, code, qualifier, 0, 0, 0)
            case 0x12:
                return self._inquiry(command)
            case 0x1A:  # Mode Sense (6)
                return bytes((3, 0, 0x80 if self._read_only else 0, 0))
            case 0x5A:  # Mode Sense (10)
                return bytes((0, 6, 0, 0x80 if self._read_only else 0, 0, 0, 0, 0))
            case 0x23:  # Read Format Capacities
                return struct.pack(">IIBBH", 8, last + 1, 2, 0, BLOCK)
            case 0x25:  # Read Capacity (10)
                return struct.pack(">II", min(last, 0xFFFFFFFF), BLOCK)
            case 0x9E if command[1] & 0x1F == 0x10:  # Read Capacity (16)
                return struct.pack(">QI20x", last, BLOCK)
            case 0xA0:  # Report LUNs
                return struct.pack(">II8x", 8, 0)
            case 0x28 | 0x88:
                place = self._place(command)
                return _OUT_OF_RANGE if place is None else self._medium.read(place, self._length(command))
            case _:
                return _INVALID_COMMAND

    def _inquiry(self, command: bytes) -> bytes | tuple[int, int, int]:
        if not command[1] & 1:
            # A removable direct-access device of SPC-4.
            head = bytes((0, 0x80, 6, 2, 31, 0, 0, 0))
            return head + b"Acme".ljust(8) + self._name.encode().ljust(16)[:16] + b"1.00"
        match command[2]:
            case 0x00:
                return bytes((0, 0, 0, 2, 0x00, 0x80))
            case 0x80:
                return bytes((0, 0x80, 0, 4)) + b"0001"
            case _:
                return _INVALID_FIELD

    def _length(self, command: bytes) -> int:
        wide = command[0] & 0xE0 == 0x80
        return BLOCK * int.from_bytes(command[10:14] if wide else command[7:9], "big")

    def _place(self, command: bytes) -> int | None:
        """Where a read or write begins, in bytes; None if it would leave the medium."""
        wide = command[0] & 0xE0 == 0x80
        place = BLOCK * int.from_bytes(command[2:10] if wide else command[2:6], "big")
        return place if place + self._length(command) <= self._medium.size else None

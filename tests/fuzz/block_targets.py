"""What ``twinhull-blockd`` reads: a stick that answers anything, a partition's QEMU that sends anything."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import cast
from unittest.mock import patch

from twinhull_hypervisor.block import disk, nbd
from twinhull_hypervisor.block.disk import READ_BYTES, NotReadable, UsbDisk

READING = {0x00, 0x03, 0x12, 0x25, 0x28, 0x88, 0x9E}
"""Operation codes of all that may be sent: none carries data to the stick."""
MOST_COMMANDS = 1000
"""Of one input: more is a loop that the stick keeps going."""
ERRORS = (errno.EPIPE, errno.ETIMEDOUT, errno.ENODEV, errno.EPROTO, errno.EOVERFLOW)


class Stick:
    """Pipes of a stick; ``untrusted`` is what it answers, one after the other.

    Each answer begins with a byte: 0, a length in two bytes and that much data; 1, a status with the tag that
    was asked with; from 2 on an error. When there are no more the stick is gone.
    """

    def __init__(self, untrusted: bytes) -> None:
        self._answers = untrusted
        self._place = 0
        self._tag = 0
        self.commands = 0

    def _take(self, length: int) -> bytes:
        taken = self._answers[self._place : self._place + length]
        self._place += length
        return taken

    def transmit(self, data: bytes, timeout_ms: int) -> None:
        signature, self._tag, length, flags, lun, _, command = struct.unpack("<4sIIBBB16s", data)
        if signature != b"USBC" or command[0] not in READING or flags != 0x80:
            raise AssertionError(f"sent what does not read: {data!r}")
        if length > READ_BYTES or lun > 15 or timeout_ms <= 0:
            raise AssertionError("asked for too much")
        self.commands += 1
        if self.commands > MOST_COMMANDS:
            raise AssertionError("it never comes to an end")

    def receive(self, length: int, timeout_ms: int) -> bytes:
        if self._place >= len(self._answers):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        kind = self._take(1)[0]
        if kind == 0:
            return self._take(int.from_bytes(self._take(2), "little"))[:length]
        if kind == 1:
            return struct.pack("<4sII", b"USBS", self._tag, 0) + (self._take(1) or b"\0")
        number = ERRORS[kind % len(ERRORS)]
        raise OSError(number, os.strerror(number))

    def unstall(self) -> None:
        pass

    def reset(self) -> None:
        pass

    def last_unit(self) -> int:
        return (self._take(1) or b"\0")[0]


class Clock:
    """Time that passes by being waited for."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def fuzz_stick(untrusted: bytes) -> None:
    """A stick that answers anything: it is served as a disk of a size that it keeps to, or is no disk."""
    with patch.object(disk, "time", Clock()):
        try:
            found = UsbDisk(Stick(untrusted))
        except NotReadable as error:
            if not str(error).isprintable():
                raise AssertionError("a reason that cannot be shown") from error
            return
        for place, length in ((0, 1), (0, 4096), (found.size - 1, 1), (found.size // 2, 70000)):
            if place + length > found.size:
                continue
            try:
                if len(found.read(place, length)) != length:
                    raise AssertionError("a read that is not whole")
            except OSError:
                continue  # the guest is told that the read failed


class Wire:
    """A connection on which ``untrusted`` comes."""

    def __init__(self, untrusted: bytes) -> None:
        self._left = untrusted
        self.sent = 0

    def recv(self, most: int) -> bytes:
        taken, self._left = self._left[:most], self._left[most:]
        return taken

    def sendall(self, data: bytes) -> None:
        self.sent += len(data)


class Zeroes:
    """A disk of 1 MiB that says when it is asked for what it has not."""

    size = 1024 * 1024
    block_bytes = 512

    def read(self, place: int, length: int) -> bytes:
        if not 0 <= place < place + length <= self.size:
            raise AssertionError("a read beyond the disk")
        return bytes(length)


def fuzz_nbd(untrusted: bytes) -> None:
    """A client that sends anything: it is answered in bounds, or hung up on."""
    wire = Wire(untrusted)
    try:
        nbd.serve(cast(socket.socket, wire), Zeroes())
    except nbd.BadClient as error:
        if not str(error).isprintable():
            raise AssertionError("a reason that cannot be shown") from error
    # A request has 28 bytes and brings the disk at most.
    if wire.sent > (1 + len(untrusted) // 16) * (Zeroes.size + 64):
        raise AssertionError("more is answered than asked")


def stick_seeds() -> list[bytes]:
    """An honest stick of 8 MiB, one that is never ready, one that is a CD without a medium."""

    def data(content: bytes, status: int = 0) -> bytes:
        return b"\0" + len(content).to_bytes(2, "little") + content + bytes((1, status))

    inquiry = data(bytes((0, 0x80, 4, 2, 31)).ljust(36, b" "))
    done, failed = b"\1\0", b"\1\1"
    capacity = data(struct.pack(">II", 16383, 512))
    wide = data(struct.pack(">II", 0xFFFFFFFF, 512)) + data(struct.pack(">QI", 2**33, 4096).ljust(32, b"\0"))
    blocks = data(bytes(512)) + data(bytes(4096)) + data(bytes(512))
    sense = data(bytes((0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 1)).ljust(18, b"\0"))
    none = data(bytes((0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3A, 0)).ljust(18, b"\0"))
    return [
        b"\0" + inquiry + done + capacity + blocks,
        b"\0" + inquiry + done + wide + blocks,
        b"\0" + inquiry + (failed + sense) * 60,
        b"\3" + inquiry + failed + none + inquiry + done + capacity + blocks,
        b"\0" + inquiry + failed * 1200,
        b"\0" + inquiry + b"\2" * 40,
    ]


def nbd_seeds() -> list[bytes]:
    """What QEMU's client says, and older ones."""
    option = struct.Struct(">QII")
    magic = 0x49484156454F5054

    def ask(kind: int, data: bytes = b"") -> bytes:
        return option.pack(magic, kind, len(data)) + data

    def request(kind: int, place: int, length: int) -> bytes:
        return struct.pack(">IHHQQI", 0x25609513, 0, kind, 7, place, length)

    export = struct.pack(">IHH", 0, 1, 3)
    reads = request(0, 0, 512) + request(0, 2**20 - 1, 1) + request(1, 0, 4) + b"zero" + request(2, 0, 0)
    begun = struct.pack(">I", 3)
    return [
        begun + ask(8) + ask(7, export) + reads,
        struct.pack(">I", 1) + ask(1) + reads,
        begun + ask(3) + ask(6, export) + ask(2),
        begun + ask(7, export) + request(0, 2**63, 2**32 - 1) + request(4, 0, 1),
    ]

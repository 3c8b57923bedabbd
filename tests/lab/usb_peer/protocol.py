"""The usbredir protocol, version 0.7, as far as the side that has the device needs it.

Source: "USB Network Redirection protocol description", version 0.7, and usbredirproto.h (freedesktop.org,
spice/usbredir). All integers are little-endian, all structures packed. A packet is a header (type, length of
what follows, id) and then a body; the id of an answer is that of its question.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

VERSION: Final = b"twinhull usb peer".ljust(64, b"\0")
MAX_BODY: Final = 128 * 2**20 + 64
"""A body longer than the parser's MAX_BULK_TRANSFER_SIZE and its header is no packet."""
SLOTS: Final = 32
"""Entries in the tables of interfaces and endpoints; also MAX_ENDPOINTS of QEMU."""


class Kind(IntEnum):
    """Packet types."""

    HELLO = 0
    DEVICE_CONNECT = 1
    DEVICE_DISCONNECT = 2
    RESET = 3
    INTERFACE_INFO = 4
    EP_INFO = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION_STATUS = 8
    SET_ALT_SETTING = 9
    GET_ALT_SETTING = 10
    ALT_SETTING_STATUS = 11
    START_ISO_STREAM = 12
    STOP_ISO_STREAM = 13
    ISO_STREAM_STATUS = 14
    START_INTERRUPT_RECEIVING = 15
    STOP_INTERRUPT_RECEIVING = 16
    INTERRUPT_RECEIVING_STATUS = 17
    CANCEL_DATA_PACKET = 21
    DEVICE_DISCONNECT_ACK = 24
    CONTROL_PACKET = 100
    BULK_PACKET = 101
    ISO_PACKET = 102
    INTERRUPT_PACKET = 103


class Capability(IntEnum):
    """Bit numbers in the hello packet; one is in force only if both sides say it."""

    CONNECT_DEVICE_VERSION = 1
    DEVICE_DISCONNECT_ACK = 3
    EP_INFO_MAX_PACKET_SIZE = 4
    IDS_64_BITS = 5
    BULK_LENGTH_32_BITS = 6


class Status(IntEnum):
    """How a transfer ended."""

    SUCCESS = 0
    CANCELLED = 1
    INVALID = 2
    IO_ERROR = 3
    STALL = 4


class Speed(IntEnum):
    """Of the device's connection."""

    LOW = 0
    FULL = 1
    HIGH = 2
    SUPER = 3


NO_ENDPOINT: Final = 255
"""Type of a table entry at which there is no endpoint; the others are those of bmAttributes, bits 1..0."""

CONNECT = struct.Struct("<BBBBHHH")
"""Speed, device class triple, vendor, product, bcdDevice."""
CONTROL = struct.Struct("<BBBBHHH")
"""Endpoint, request, request type, status, value, index, length."""
BULK = struct.Struct("<BBHIH")
"""Endpoint, status, low half of the length, stream, high half of the length."""
INTERRUPT = struct.Struct("<BBH")
"""Endpoint, status, length; of isochronous packets too."""
_HELLO = struct.Struct("<III")
_HEADER = struct.Struct("<IIQ")


class ProtocolError(Exception):
    """The other side does not speak usbredir."""


@dataclass(frozen=True)
class Packet:
    """One packet; ``kind`` is a plain number because the other side may know more of them."""

    kind: int
    id: int
    body: bytes


def hello() -> bytes:
    """The first packet each side sends; its id is always 32 bits wide."""
    capabilities = sum(1 << capability for capability in Capability)
    body = VERSION + struct.pack("<I", capabilities)
    return _HELLO.pack(Kind.HELLO, len(body), 0) + body


def packet(kind: Kind, id: int = 0, body: bytes = b"") -> bytes:
    """Any packet after the hello."""
    return _HEADER.pack(kind, len(body), id) + body


def bulk(endpoint: int, status: Status, length: int, stream: int) -> bytes:
    """The head of a bulk packet's body."""
    return BULK.pack(endpoint, status, length & 0xFFFF, stream, length >> 16)


class Decoder:
    """Cuts a stream of bytes into packets. ``greeted`` turns true with the other side's hello."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.greeted = False

    def feed(self, untrusted: bytes) -> Iterator[Packet]:
        """The packets that ``untrusted`` completes.

        Raises:
            ProtocolError: no hello comes first, it lacks a capability this side builds on, or a packet is
                longer than ``MAX_BODY``.
        """
        self._buffer += untrusted
        while True:
            header = _HEADER if self.greeted else _HELLO
            if len(self._buffer) < header.size:
                return
            kind, length, number = header.unpack_from(self._buffer)
            if length > MAX_BODY:
                raise ProtocolError(f"a packet of {length} bytes")
            end = header.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[header.size : end])
            del self._buffer[:end]
            if not self.greeted:
                self._greet(kind, body)
            yield Packet(kind, number, body)

    def _greet(self, kind: int, body: bytes) -> None:
        if kind != Kind.HELLO or len(body) < len(VERSION) + 4:
            raise ProtocolError("it does not begin with a hello")
        (capabilities,) = struct.unpack_from("<I", body, len(VERSION))
        # Fewer would mean other layouts of the packets above; QEMU has had these since 1.5 of 2013.
        for needed in (
            Capability.CONNECT_DEVICE_VERSION,
            Capability.EP_INFO_MAX_PACKET_SIZE,
            Capability.IDS_64_BITS,
            Capability.BULK_LENGTH_32_BITS,
        ):
            if not capabilities >> needed & 1:
                raise ProtocolError(f"the other side lacks {needed.name}")
        self.greeted = True

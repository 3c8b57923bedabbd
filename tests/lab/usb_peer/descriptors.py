"""What a USB device says of itself: as the device sends it, and as the kernel then shows it.

Layouts: USB 2.0 specification, 9.6; interface associations: USB 3.2, 9.6.4.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from .protocol import Speed

Triple = tuple[int, int, int]
"""Class, subclass and protocol."""

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT, ASSOCIATION = 1, 2, 3, 4, 5, 11
_MAX_CONFIGURATIONS = 8
"""USB_MAXCONFIG, drivers/usb/core/config.c."""
_PACKET_0 = {Speed.LOW: 8, Speed.FULL: 64, Speed.HIGH: 64, Speed.SUPER: 9}
"""bMaxPacketSize0: bytes, and for SuperSpeed the exponent of 2."""


class Transfer(IntEnum):
    """Kinds of endpoints: bmAttributes, bits 1..0."""

    CONTROL = 0
    ISOCHRONOUS = 1
    BULK = 2
    INTERRUPT = 3


@dataclass(frozen=True)
class Endpoint:
    """An endpoint. ``tail`` lengthens its descriptor (audio has two bytes more), ``extra`` follows it."""

    address: int
    transfer: Transfer
    packet: int
    interval: int = 0
    attributes: int = 0
    """Bits 7..2 of bmAttributes, for isochronous synchronisation and usage."""
    tail: bytes = b""
    extra: bytes = b""

    def encode(self) -> bytes:
        """The descriptor and what follows it."""
        head = struct.pack(
            "<BBBBHB",
            7 + len(self.tail),
            ENDPOINT,
            self.address,
            self.transfer | self.attributes,
            self.packet,
            self.interval,
        )
        return head + self.tail + self.extra


@dataclass(frozen=True)
class Interface:
    """An alternate setting of an interface. ``before`` is an association, ``extra`` is class-specific."""

    number: int
    triple: Triple
    endpoints: tuple[Endpoint, ...] = ()
    alternate: int = 0
    extra: bytes = b""
    text: str = ""
    before: bytes = b""

    def encode(self, text: int = 0) -> bytes:
        """The descriptor and what belongs to it; ``text`` is the index of its string."""
        head = struct.pack(
            "<BBBBBBBBB",
            9,
            INTERFACE,
            self.number,
            self.alternate,
            len(self.endpoints),
            *self.triple,
            text,
        )
        return self.before + head + self.extra + b"".join(one.encode() for one in self.endpoints)


@dataclass(frozen=True)
class Configuration:
    """A configuration. ``raw``, for devices that lie, is what the device sends in place of all that."""

    interfaces: tuple[Interface, ...]
    attributes: int = 0x80
    """Bit 7 always; bit 6 self-powered, bit 5 remote wake-up."""
    milliamperes: int = 100
    raw: bytes | None = None

    def encode(self, value: int, texts: Sequence[str] = ()) -> bytes:
        """The descriptor with all that belongs to it; ``texts`` are the strings from index 4 on."""
        if self.raw is not None:
            return self.raw
        body = b"".join(one.encode(texts.index(one.text) + 4 if one.text else 0) for one in self.interfaces)
        count = len({one.number for one in self.interfaces})
        head = struct.pack(
            "<BBHBBBBB",
            9,
            CONFIGURATION,
            9 + len(body),
            count,
            value,
            0,
            self.attributes,
            self.milliamperes // 2,
        )
        return head + body


@dataclass(frozen=True)
class Model:
    """A device as its descriptors have it. Strings that are empty are absent.

    ``count`` and ``head``, for devices that lie, replace bNumConfigurations and the whole device descriptor.
    """

    vendor: int
    product: int
    configurations: tuple[Configuration, ...]
    triple: Triple = (0, 0, 0)
    manufacturer: str = ""
    name: str = ""
    serial: str = ""
    speed: Speed = Speed.HIGH
    usb: int = 0x0200
    version: int = 0x0100
    count: int | None = None
    head: bytes | None = None

    def device_descriptor(self) -> bytes:
        """The 18 bytes every host asks for first."""
        if self.head is not None:
            return self.head
        texts = (self.manufacturer, self.name, self.serial)
        return struct.pack(
            "<BBHBBBBHHHBBBB",
            18,
            DEVICE,
            self.usb,
            *self.triple,
            _PACKET_0[self.speed],
            self.vendor,
            self.product,
            self.version,
            *(number if text else 0 for number, text in enumerate(texts, 1)),
            len(self.configurations) if self.count is None else self.count,
        )

    def configuration(self, index: int) -> bytes:
        """The configuration that GET_DESCRIPTOR with ``index`` asks for; its value is one more."""
        return self.configurations[index].encode(index + 1, self._interface_texts())

    def string(self, index: int) -> bytes | None:
        """The string descriptor; None where there is no such string."""
        if index == 0:
            return struct.pack("<BBH", 4, STRING, 0x0409)  # US English
        texts = (self.manufacturer, self.name, self.serial, *self._interface_texts())
        if index > len(texts) or not texts[index - 1]:
            return None
        body = texts[index - 1].encode("utf-16-le")[:252]
        return bytes((2 + len(body), STRING)) + body

    def _interface_texts(self) -> tuple[str, ...]:
        every = (one.text for configuration in self.configurations for one in configuration.interfaces)
        return tuple(dict.fromkeys(filter(None, every)))


def association(first: int, count: int, triple: Triple) -> bytes:
    """An interface association: ``count`` interfaces from ``first`` on are one function."""
    return bytes((8, ASSOCIATION, first, count, *triple, 0))


def as_sent(model: Model) -> bytes:
    """The device descriptor and every configuration, lies and all, as the device sends them."""
    every = range(len(model.configurations))
    return model.device_descriptor() + b"".join(model.configuration(index) for index in every)


def descriptors(model: Model) -> bytes:
    """What sysfs' ``descriptors`` file holds once Linux has read the device; empty if it gives up on it.

    The rules are those of usb_get_configuration() and usb_parse_configuration() (drivers/usb/core/config.c)
    and of read_descriptors() (drivers/usb/core/sysfs.c), Linux 6.1: a configuration ends where the kernel
    stopped reading it, there are 8 of them at most, and a device that lacks one is refused.
    """
    head = bytearray(model.device_descriptor())
    count = min(head[17], _MAX_CONFIGURATIONS)
    parts = []
    for index in range(count):
        part = _as_read(model.configuration(index)) if index < len(model.configurations) else b""
        if not part:
            return b""
        parts.append(part)
    head[17] = count
    return bytes(head) + b"".join(parts) if parts else b""


def _as_read(sent: bytes) -> bytes:
    """One configuration as the kernel keeps it; empty if it refuses the device for it."""
    if len(sent) < 9 or sent[1] != CONFIGURATION:
        return b""
    available = sent[: max(int.from_bytes(sent[2:4], "little"), 9)]
    place = available[0]
    if place < 9 or place > len(available):
        return b""
    while place + 2 <= len(available) and available[place] >= 2:
        if place + available[place] > len(available):
            break
        place += available[place]
    return available[:place]

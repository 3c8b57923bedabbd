"""Interfaces that kinds of devices are put together from, with the class-specific descriptors they carry.

Sources, all USB-IF class documents: Audio 1.0 and 2.0, Video 1.1, CDC 1.2 with its ECM and NCM subclasses,
Smart Card CCID 1.1, HID 1.11, UASP 1.0, Still Image 1.0 (MTP), Wireless (Bluetooth core 5.3, vol. 4, part B).
"""

from __future__ import annotations

import struct

from .descriptors import Endpoint, Interface, Transfer, Triple, association

BULK, INTERRUPT, ISO = Transfer.BULK, Transfer.INTERRUPT, Transfer.ISOCHRONOUS
HIGH_SPEED_BULK = 512
FULL_SPEED = 64
_CS_INTERFACE, _CS_ENDPOINT = 0x24, 0x25


def part(subtype: int, body: bytes, kind: int = _CS_INTERFACE) -> bytes:
    """A class-specific descriptor."""
    return bytes((3 + len(body), kind, subtype)) + body


def bulk_pair(into: int, out: int, packet: int = HIGH_SPEED_BULK) -> tuple[Endpoint, Endpoint]:
    """A bulk endpoint each way, by number."""
    return Endpoint(0x80 | into, BULK, packet), Endpoint(out, BULK, packet)


def interrupt_in(number: int, packet: int, interval: int = 10) -> Endpoint:
    """An interrupt endpoint towards the host."""
    return Endpoint(0x80 | number, INTERRUPT, packet, interval)


def hid(
    number: int,
    report_descriptor: bytes,
    endpoint: int,
    packet: int,
    *,
    boot: Triple = (3, 0, 0),
    interval: int = 10,
    both_ways: bool = False,
) -> Interface:
    """A HID interface; ``boot`` is its triple, and ``both_ways`` gives it an endpoint for output."""
    head = struct.pack("<BBHBBBH", 9, 0x21, 0x0111, 0, 1, 0x22, len(report_descriptor))
    endpoints = [interrupt_in(endpoint, packet, interval)]
    if both_ways:
        endpoints.append(Endpoint(endpoint, INTERRUPT, packet, interval))
    return Interface(number, boot, tuple(endpoints), extra=head)


def storage(number: int, into: int = 1, out: int = 2, alternate: int = 0) -> Interface:
    """Mass storage, SCSI over bulk-only transport."""
    return Interface(number, (8, 6, 0x50), bulk_pair(into, out), alternate)


def attached_scsi(number: int, alternate: int) -> Interface:
    """Mass storage, UAS: command, status, data in and data out pipes, each told by its usage descriptor."""

    def pipe(address: int, usage: int) -> Endpoint:
        return Endpoint(address, BULK, HIGH_SPEED_BULK, extra=bytes((4, 0x24, usage, 0)))

    return Interface(
        number, (8, 6, 0x62), (pipe(0x04, 1), pipe(0x83, 2), pipe(0x81, 3), pipe(0x02, 4)), alternate
    )


def camera(first: int) -> tuple[Interface, ...]:
    """A video function: control and streaming, MJPEG of 640 by 480 at 30 frames a second."""
    units = part(2, struct.pack("<BHBBHHHB3s", 1, 0x0201, 0, 0, 0, 0, 0, 3, b"\x0e\0\0"))
    units += part(5, struct.pack("<BBHBHBB", 2, 1, 0, 2, 0x003F, 0, 0))
    units += part(3, struct.pack("<BHBBB", 3, 0x0101, 0, 2, 0))
    head = part(1, struct.pack("<HHIBB", 0x0110, 13 + len(units), 48_000_000, 1, first + 1))
    status = interrupt_in(3, 16, 6)
    frame = part(
        7,
        struct.pack("<BBHHIIIIBI", 1, 0, 640, 480, 73_728_000, 147_456_000, 614_400, 333_333, 1, 333_333),
    )
    formats = part(6, bytes((1, 1, 1, 1, 0, 0, 0, 0))) + frame + part(0x0D, bytes((1, 1, 4)))
    input_head = part(1, struct.pack("<BHBBBBBBBB", 1, 14 + len(formats), 0x81, 0, 3, 0, 0, 0, 1, 0))
    return (
        Interface(first, (14, 1, 0), (status,), extra=head + units, before=association(first, 2, (14, 3, 0))),
        Interface(first + 1, (14, 2, 0), extra=input_head + formats),
        *(
            Interface(first + 1, (14, 2, 0), (Endpoint(0x81, ISO, packet, 1, attributes=0x04),), alternate)
            for alternate, packet in enumerate((512, 1024, 0x0C00), 1)
        ),
    )


def audio_1(first: int, *, speaker: bool, endpoint: int = 2) -> tuple[Interface, ...]:
    """An audio 1.0 function: a microphone, and with ``speaker`` a headset; 48 kHz, 16 bit."""
    paths = [(0x0201, 0x0101, 1, 0x80 | endpoint, 1)]
    if speaker:
        paths.append((0x0101, 0x0302, 2, endpoint, 2))
    units = b""
    for number, (source, sink, channels, _, _) in enumerate(paths):
        base = 1 + 3 * number
        mask = (1 << channels) - 1 if channels > 1 else 0
        units += part(2, struct.pack("<BHBBHBB", base, source, 0, channels, mask, 0, 0))
        units += part(6, bytes((base + 1, base, 1, 3)) + bytes(channels) + b"\0")
        units += part(3, struct.pack("<BHBBB", base + 2, sink, 0, base + 1, 0))
    streams = bytes(range(first + 1, first + 1 + len(paths)))
    head = part(1, struct.pack("<HHB", 0x0100, 8 + len(streams) + len(units), len(streams)) + streams)
    interfaces = [Interface(first, (1, 1, 0), extra=head + units)]
    for number, (_, sink, channels, address, _) in enumerate(paths):
        base = 1 + 3 * number
        link = base + 2 if sink == 0x0101 else base
        general = part(1, struct.pack("<BBH", link, 1, 1))
        coding = part(2, struct.pack("<BBBBB", 1, channels, 2, 16, 1) + (48_000).to_bytes(3, "little"))
        stream = Endpoint(
            address,
            ISO,
            96 * channels,
            1,
            attributes=0x0C,
            tail=b"\0\0",
            extra=part(1, b"\0\0\0\0", _CS_ENDPOINT),
        )
        interfaces.append(Interface(first + 1 + number, (1, 2, 0)))
        interfaces.append(Interface(first + 1 + number, (1, 2, 0), (stream,), 1, general + coding))
    return tuple(interfaces)


def audio_2_microphone(first: int) -> tuple[Interface, ...]:
    """An audio 2.0 microphone, with a clock of its own."""
    units = part(0x0A, bytes((9, 1, 1, 0, 0)))
    units += part(2, struct.pack("<BHBBBIBHB", 1, 0x0201, 0, 9, 1, 0, 0, 0, 0))
    units += part(3, struct.pack("<BHBBBHB", 2, 0x0101, 0, 1, 9, 0, 0))
    head = part(1, struct.pack("<HBHB", 0x0200, 3, 9 + len(units), 0))
    general = part(1, struct.pack("<BBBIBIB", 2, 0, 1, 1, 1, 0, 0))
    coding = part(2, bytes((1, 2, 16)))
    stream = Endpoint(0x81, ISO, 98, 4, attributes=0x04, extra=part(1, bytes(5), _CS_ENDPOINT))
    return (
        Interface(first, (1, 1, 0x20), extra=head + units, before=association(first, 2, (1, 0, 0x20))),
        Interface(first + 1, (1, 2, 0x20)),
        Interface(first + 1, (1, 2, 0x20), (stream,), 1, general + coding),
    )


def card_reader(number: int) -> Interface:
    """A smart card reader: one slot, 5 V, T=0 and T=1, short APDUs."""
    body = struct.pack(
        "<HBBIIIBIIBIIIIIBBHBB",
        *(0x0110, 0, 7, 3, 4000, 4000, 0, 10_752, 344_086, 0, 254, 0, 0, 0x000404BE, 271),
        *(0xFF, 0xFF, 0, 0, 1),
    )
    extra = bytes((2 + len(body), 0x21)) + body
    return Interface(number, (11, 0, 0), (*bulk_pair(1, 2), interrupt_in(3, 8)), extra=extra)


def serial(first: int) -> tuple[Interface, ...]:
    """A CDC-ACM modem or serial converter."""
    extra = part(0, b"\x10\x01") + part(1, bytes((0, first + 1))) + part(2, b"\x02")
    extra += part(6, bytes((first, first + 1)))
    return (
        Interface(
            first, (2, 2, 1), (interrupt_in(3, 10),), extra=extra, before=association(first, 2, (2, 2, 1))
        ),
        Interface(first + 1, (10, 0, 0), bulk_pair(1, 2)),
    )


def network(first: int, *, ncm: bool) -> tuple[Interface, ...]:
    """A CDC network adapter, ECM or NCM; its address is the string of its first interface."""
    extra = part(0, b"\x10\x01") + part(6, bytes((first, first + 1)))
    extra += part(0x0F, struct.pack("<BIHHB", 4, 0, 1514, 0, 0))
    if ncm:
        extra += part(0x1A, b"\0\x01\x11")
    data = (10, 0, 1 if ncm else 0)
    return (
        Interface(
            first, (2, 13 if ncm else 6, 0), (interrupt_in(3, 16, 9),), extra=extra, text="020000000001"
        ),
        Interface(first + 1, data),
        Interface(first + 1, data, bulk_pair(1, 2), 1),
    )


def bluetooth() -> tuple[Interface, ...]:
    """A Bluetooth adapter: HCI, and voice in six sizes."""
    sizes = (0, 9, 17, 25, 33, 49)
    return (
        Interface(0, (0xE0, 1, 1), (interrupt_in(1, 16, 1), *bulk_pair(2, 2, FULL_SPEED))),
        *(
            Interface(
                1,
                (0xE0, 1, 1),
                (Endpoint(0x83, ISO, size, 1), Endpoint(0x03, ISO, size, 1)),
                alternate,
            )
            for alternate, size in enumerate(sizes)
        ),
    )

"""Devices whose descriptors cannot be right, each in one way. ``MALFORMED`` has one maker for each.

``descriptors`` shows what is left of them once the kernel has read them; some it gives up on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from . import parts
from .descriptors import Configuration, Endpoint, Interface, Model, Transfer
from .device import Device

_MOUSE = Interface(0, (3, 1, 2), (parts.interrupt_in(1, 4),))
_STORAGE = parts.storage(0)
_AUDIO = Interface(0, (1, 1, 0), extra=parts.part(1, b"\0\x01\x08\0\0"))


def _sent(*bodies: bytes, count: int = 1, total: int | None = None, value: int = 1) -> bytes:
    """A configuration that says it has ``count`` interfaces and ``total`` bytes."""
    body = b"".join(bodies)
    return (
        struct.pack("<BBHBBBBB", 9, 2, 9 + len(body) if total is None else total, count, value, 0, 0x80, 50)
        + body
    )


def _device(*configurations: bytes, count: int | None = None, head: bytes | None = None) -> Device:
    interfaces = (_MOUSE,)
    model = Model(
        0x1209,
        0x0001,
        tuple(Configuration(interfaces, raw=raw) for raw in configurations),
        name="Malformed",
        count=count,
        head=head,
    )
    return Device(model)


def _head(length: int = 18, kind: int = 1) -> bytes:
    return bytes((length, kind)) + Model(0x1209, 0x0001, (Configuration(()),)).device_descriptor()[2:]


_GOOD = _sent(_MOUSE.encode())
_ENDPOINT = Endpoint(0x82, Transfer.INTERRUPT, 8, 10).encode()


def _every_length_once() -> bytes:
    """Descriptors of lengths that, taken as offsets, lead round in a circle."""
    return b"".join(bytes((length, 0x24)) + bytes(length - 2) for length in (3, 5, 7, 11, 13, 251))


MALFORMED: dict[str, Callable[[], Device]] = {
    "truncated-configuration": lambda: _device(_GOOD[:20]),
    "truncated-inside-storage": lambda: _device(_sent(_MOUSE.encode(), _STORAGE.encode(), count=2)[:40]),
    "total-length-too-long": lambda: _device(_sent(_MOUSE.encode(), total=600)),
    # The most QEMU lets through on a control endpoint.
    "total-length-4096": lambda: _device(_sent(_MOUSE.encode(), total=4096)),
    "total-length-cuts-a-descriptor": lambda: _device(_sent(_MOUSE.encode(), total=20)),
    "total-length-zero": lambda: _device(_sent(_MOUSE.encode(), total=0)),
    "total-length-hides-storage": lambda: _device(
        _sent(_MOUSE.encode(), _STORAGE.encode(), count=1, total=9 + len(_MOUSE.encode()) - 1)
    ),
    "zero-length-descriptor": lambda: _device(_sent(_MOUSE.encode(), b"\0\x24", _STORAGE.encode(), count=2)),
    "one-byte-descriptor": lambda: _device(_sent(_MOUSE.encode(), b"\x01\x24", _STORAGE.encode(), count=2)),
    "descriptor-runs-over": lambda: _device(_sent(_MOUSE.encode(), b"\xff\x24\0\0")),
    "excess-byte": lambda: _device(_sent(_MOUSE.encode(), b"\x09")),
    "short-interface": lambda: _device(_sent(_MOUSE.encode(), b"\x08\x04\x01\0\0\x08\x06\x50")),
    "255-interfaces": lambda: _device(
        _sent(*(Interface(n, (1, 1, 0)).encode() for n in range(255)), count=255)
    ),
    "255-interfaces-said": lambda: _device(_sent(_MOUSE.encode(), count=255)),
    "interface-33": lambda: _device(_sent(*(Interface(n, (1, 1, 0)).encode() for n in range(33)), count=33)),
    "no-interface-said": lambda: _device(_sent(_STORAGE.encode(), count=0)),
    "more-interfaces-than-said": lambda: _device(
        _sent(_AUDIO.encode(), Interface(1, (8, 6, 0x50)).encode(), count=1)
    ),
    "fewer-interfaces-than-said": lambda: _device(_sent(_AUDIO.encode(), count=3)),
    "interface-twice": lambda: _device(_sent(_AUDIO.encode(), _STORAGE.encode(), count=1)),
    "length-cycle": lambda: _device(
        _sent(_MOUSE.encode(), _every_length_once(), bytes((254, 0x24)), count=1)
    ),
    "configuration-in-a-configuration": lambda: _device(
        _sent(_AUDIO.encode(), _sent(_STORAGE.encode()), count=1)
    ),
    "device-in-a-configuration": lambda: _device(_sent(_AUDIO.encode(), _head(), count=1)),
    "second-configuration-inside-the-first": lambda: _device(
        _sent(_AUDIO.encode(), total=9 + len(_AUDIO.encode())) + _sent(_STORAGE.encode(), value=2), count=2
    ),
    "no-configuration": lambda: _device(count=0),
    "nine-configurations": lambda: _device(*[_GOOD] * 9),
    "255-configurations": lambda: _device(_GOOD, count=255),
    "second-configuration-missing": lambda: _device(_GOOD, count=2),
    "configuration-of-another-type": lambda: _device(b"\x09\x04" + _GOOD[2:]),
    "configuration-head-too-short": lambda: _device(b"\x08" + _GOOD[1:]),
    "short-endpoint": lambda: _device(_sent(_MOUSE.encode(), b"\x06" + _ENDPOINT[1:6])),
    "long-device-descriptor": lambda: _device(_GOOD, head=_head(length=19)),
    "short-device-descriptor": lambda: _device(_GOOD, head=_head(length=17)),
}
"""By the names ``plug`` knows them under."""

MENDED = "nine-configurations"
"""The one lie of which nothing is left: the kernel forgets the ninth, and will not choose it for anybody."""

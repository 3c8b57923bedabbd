"""Reads the raw descriptors of a USB device, as sysfs gives them: bounded, and strict where a lie could hide.

sysfs' ``descriptors`` holds the device descriptor and then every configuration with all that belongs to it
(Documentation/ABI/stable/sysfs-bus-usb). Layouts: USB 2.0 specification, 9.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .errors import Blame, TwinhullError
from .facts import DeviceFacts

MAX_CONFIGURATIONS = 8
"""USB_MAXCONFIG of the kernel; it gives up on devices with more."""
MAX_BYTES = 18 + MAX_CONFIGURATIONS * 0xFFFF
"""A device descriptor and as many configurations, each of the greatest length its field can say."""
MAX_INTERFACES = 32
"""USB_MAXINTERFACES of the kernel, a configuration."""

_DEVICE, _CONFIGURATION, _INTERFACE, _ENDPOINT = 1, 2, 4, 5
_CLASS_IN_INTERFACES = (0x00, 0xEF, 0xFF)
"""Device classes that leave it to the interfaces: none, miscellaneous, vendor-specific."""
_LEAST_LENGTH = {_DEVICE: 18, _CONFIGURATION: 9, _INTERFACE: 9, _ENDPOINT: 7}


class MalformedDescriptors(TwinhullError):
    """The device describes itself in a way that cannot be right: {detail}."""

    code: ClassVar[str] = "TH-DEV-001"
    blame: ClassVar[Blame] = Blame.MALFORMED
    next_step: ClassVar[str] = "Unplug it. It may be broken, or made to attack the computer."


@dataclass(frozen=True)
class _Descriptor:
    kind: int
    body: bytes


def parse_usb_descriptors(
    untrusted: bytes, *, serial: str = "", port: str = "", removable: bool = True
) -> DeviceFacts:
    """The facts in a descriptor blob; ``serial``, ``port`` and ``removable`` come from elsewhere.

    A class that the device says it has as a whole, and none of its interfaces, is among ``interfaces`` too:
    drivers may go by it (the hub driver does: hub_id_table in drivers/usb/core/hub.c).

    Refused with MalformedDescriptors: anything over ``MAX_BYTES``, lengths that do not add up, descriptors
    out of place, and counts of configurations or interfaces that are not what is there.
    """
    if len(untrusted) > MAX_BYTES:
        raise MalformedDescriptors(detail="too long")
    device = _next(untrusted, 0, len(untrusted))
    if device.kind != _DEVICE or len(device.body) != 18:
        raise MalformedDescriptors(detail="it does not begin with a device descriptor")
    vendor = int.from_bytes(device.body[8:10], "little")
    product = int.from_bytes(device.body[10:12], "little")
    configurations = device.body[17]
    if not 1 <= configurations <= MAX_CONFIGURATIONS:
        raise MalformedDescriptors(detail=f"{configurations} configurations")
    interfaces: dict[str, None] = {}
    place = 18
    for _ in range(configurations):
        place = _configuration(untrusted, place, interfaces)
    if place != len(untrusted):
        raise MalformedDescriptors(detail="bytes after the last configuration")
    whole = _triple(device.body[4:7])
    if device.body[4] not in _CLASS_IN_INTERFACES and not any(i[:2] == whole[:2] for i in interfaces):
        interfaces[whole] = None
    return DeviceFacts(
        bus="usb",
        vendor=f"{vendor:04x}",
        product=f"{product:04x}",
        serial=serial,
        interfaces=tuple(interfaces),
        port=port,
        removable=removable,
    )


def _triple(codes: bytes) -> str:
    return ":".join(f"{code:02x}" for code in codes)


def _next(untrusted: bytes, place: int, end: int) -> _Descriptor:
    """The descriptor at ``place``, which must end before ``end``."""
    if place + 2 > end:
        raise MalformedDescriptors(detail="it ends inside a descriptor")
    length, kind = untrusted[place], untrusted[place + 1]
    if length < max(2, _LEAST_LENGTH.get(kind, 2)):
        raise MalformedDescriptors(detail=f"a descriptor of type {kind} is {length} bytes long")
    if place + length > end:
        raise MalformedDescriptors(detail="it ends inside a descriptor")
    return _Descriptor(kind, untrusted[place : place + length])


def _configuration(untrusted: bytes, place: int, interfaces: dict[str, None]) -> int:
    """Collect one configuration's interface classes; where it ends."""
    head = _next(untrusted, place, len(untrusted))
    if head.kind != _CONFIGURATION:
        raise MalformedDescriptors(detail="a configuration is missing")
    total = int.from_bytes(head.body[2:4], "little")
    count = head.body[4]
    end = place + total
    if total < len(head.body) or end > len(untrusted) or count > MAX_INTERFACES:
        raise MalformedDescriptors(detail="a configuration's length or count is wrong")
    place += len(head.body)
    settings: set[tuple[int, int]] = set()
    while place < end:
        descriptor = _next(untrusted, place, end)
        place += len(descriptor.body)
        if descriptor.kind in (_DEVICE, _CONFIGURATION):
            raise MalformedDescriptors(detail="a device or configuration inside a configuration")
        if descriptor.kind == _INTERFACE:
            number, alternate = descriptor.body[2], descriptor.body[3]
            if (number, alternate) in settings:
                raise MalformedDescriptors(detail="an interface is described twice")
            settings.add((number, alternate))
            interfaces[_triple(descriptor.body[5:8])] = None
    if len({number for number, _ in settings}) != count:
        raise MalformedDescriptors(detail="not as many interfaces as it says")
    return end

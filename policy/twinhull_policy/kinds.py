"""What a device is, in the words people use, told from its interfaces.

A kind names a device and decides nothing: rules match on facts, and what a device says of itself is no proof
of what it is. Class codes: USB-IF "Defined Class Codes"; PCI Code and ID Assignment.
"""

from __future__ import annotations

from enum import StrEnum

from .facts import DeviceFacts


class Kind(StrEnum):
    """Kinds that people tell apart."""

    KEYBOARD = "keyboard"
    POINTER = "pointer"
    HUB = "hub"
    STORAGE = "storage"
    CAMERA = "camera"
    AUDIO = "audio"
    SMART_CARD = "smart-card"
    SECURITY_KEY = "security-key"
    PHONE = "phone"
    SERIAL = "serial"
    NETWORK = "network"
    BLUETOOTH = "bluetooth"
    PRINTER = "printer"
    INPUT = "input"
    COMPOSITE = "composite"
    DISPLAY = "display"
    PLATFORM = "platform"
    OTHER = "other"


USB_CLASSES: tuple[tuple[str, Kind], ...] = (
    ("01:", Kind.AUDIO),
    ("02:02", Kind.SERIAL),
    ("02:", Kind.NETWORK),
    ("03:01:01", Kind.KEYBOARD),
    ("03:01:02", Kind.POINTER),
    ("03:", Kind.INPUT),
    ("06:", Kind.PHONE),
    ("07:", Kind.PRINTER),
    ("08:", Kind.STORAGE),
    ("09:", Kind.HUB),
    ("0b:", Kind.SMART_CARD),
    ("0e:", Kind.CAMERA),
    ("10:", Kind.CAMERA),
    ("e0:01:01", Kind.BLUETOOTH),
    ("e0:01:04", Kind.BLUETOOTH),
    ("e0:01:03", Kind.NETWORK),
    ("ef:04", Kind.NETWORK),
    ("ff:42", Kind.PHONE),
)
"""The first prefix that fits an interface says what it is for. 02:02 is a modem (CDC ACM), 06 still imaging
and media transfer, e0:01:03 and ef:04 remote NDIS, e0:01:04 a Bluetooth AMP, ff:42 Android's debug bridge."""
_HELPERS = ("0a:", "ef:", "fe:", "ff:ff:00")
"""Interfaces that only carry another's data (CDC data), announce it, or update firmware (fe:01)."""
PCI_CLASSES: tuple[tuple[str, Kind], ...] = (
    ("01:", Kind.STORAGE),
    ("02:", Kind.NETWORK),
    ("03:", Kind.DISPLAY),
    ("04:00", Kind.CAMERA),
    ("04:", Kind.AUDIO),
    ("07:00", Kind.SERIAL),
    ("0c:03", Kind.HUB),
    ("0d:11", Kind.BLUETOOTH),
    ("0d:", Kind.NETWORK),
    ("05:", Kind.PLATFORM),
    ("06:", Kind.PLATFORM),
    ("08:", Kind.PLATFORM),
    ("0c:", Kind.PLATFORM),
)
_SECURITY_KEYS = frozenset({"1050", "096e", "20a0", "311f", "349e", "1ea8", "24dc", "2581", "2ccf", "32a3"})
"""Vendors that make nothing but security keys with a HID interface; from libfido2's udev rules."""
_SECURITY_KEY_PRODUCTS = frozenset({"18d1:5026", "0483:a2ca", "1209:beee", "1209:53c1", "1209:5070"})
"""Security keys of vendors that make other things too; from libfido2's udev rules."""
_TOGETHER: tuple[tuple[frozenset[Kind], Kind], ...] = (
    (frozenset({Kind.KEYBOARD, Kind.POINTER, Kind.INPUT}), Kind.KEYBOARD),
    (frozenset({Kind.POINTER, Kind.INPUT}), Kind.POINTER),
    (frozenset({Kind.CAMERA, Kind.AUDIO}), Kind.CAMERA),
    (frozenset({Kind.AUDIO, Kind.INPUT}), Kind.AUDIO),
    (frozenset({Kind.SMART_CARD, Kind.INPUT}), Kind.SMART_CARD),
    (frozenset({Kind.SMART_CARD, Kind.SECURITY_KEY}), Kind.SECURITY_KEY),
    (frozenset({Kind.NETWORK, Kind.SERIAL}), Kind.NETWORK),
    (frozenset({Kind.PHONE, Kind.STORAGE, Kind.NETWORK, Kind.SERIAL}), Kind.PHONE),
)
"""Sets of interfaces that are one thing to a person: a webcam has a microphone, a headset has buttons."""


def kind_of(facts: DeviceFacts) -> Kind:
    """The kind of a device; total. Several kinds that are not one thing to a person are ``composite``."""
    if facts.bus == "pci":
        return _first(PCI_CLASSES, facts.interfaces[0]) if facts.interfaces else Kind.OTHER
    if facts.bus == "bluetooth":
        return Kind.BLUETOOTH
    found = {_usb(interface, facts) for interface in facts.interfaces if not interface.startswith(_HELPERS)}
    if not found:
        helped = {_first(USB_CLASSES, interface) for interface in facts.interfaces} - {Kind.OTHER}
        return helped.pop() if len(helped) == 1 else Kind.OTHER
    if len(found) == 1:
        return found.pop()
    for parts, whole in _TOGETHER:
        if found <= parts and whole in found | {Kind.SECURITY_KEY}:
            return whole
    return Kind.COMPOSITE


def _usb(interface: str, facts: DeviceFacts) -> Kind:
    kind = _first(USB_CLASSES, interface)
    if kind is Kind.INPUT and (
        facts.vendor in _SECURITY_KEYS or f"{facts.vendor}:{facts.product}" in _SECURITY_KEY_PRODUCTS
    ):
        return Kind.SECURITY_KEY
    return kind


def _first(table: tuple[tuple[str, Kind], ...], interface: str) -> Kind:
    return next((kind for prefix, kind in table if interface.startswith(prefix)), Kind.OTHER)

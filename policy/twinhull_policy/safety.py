"""The host's own safety rules: built in, read before every policy, and absolute.

========================  ============================================================  ========
rule                      matches                                                       verdict
========================  ============================================================  ========
malformed                 descriptors that cannot be read                               deny
changed                   a device that came back with other descriptors                deny
no-interface              a device that describes no interface                          deny
input-and-more            a boot keyboard or pointer, or a hub, that is anything else   deny
                          besides (a storage stick that types)
boot-input                a boot keyboard or pointer                                    host
hub                       a USB hub                                                     host
platform                  PCI bridges, memory controllers, system peripherals, SMBus    host
========================  ============================================================  ========

One more, ``past-tunnel``, takes only the corporate partition away from where a device may go: a network or
Bluetooth adapter in it would be a way out beside its tunnel (P2). Devices that say what they are, and models
that Linux knows as adapters (``adapters``), it takes whatever the policy says. What does not say what it is
it takes unless the rule names its model: a guest finds the driver for such a device by vendor and product
number alone, so whoever named these has said which driver that is, and a forgery gets that driver too.

Class codes: USB-IF "Defined Class Codes" and HID 1.11, 4.2 and 4.3; PCI Code and ID Assignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .adapters import is_known as is_known_adapter
from .facts import DeviceFacts

_BOOT_INPUT = {"03:01:01", "03:01:02"}
_PLATFORM = ("05:", "06:", "08:", "0c:05:")
_MODEM = "02:02:"
_USB_WAYS_OUT = ("02:", "e0:", "ef:01:01", "ef:04:")
"""CDC (Ethernet, EEM, NCM, MBIM, ISDN and all else but modems); Bluetooth, ultra-wideband; remote NDIS, which
is also e0:01:03 and a modem of protocol ff (drivers/net/usb/rndis_host.c of Linux 6.1)."""
_USB_UNSAID = ("ff:", _MODEM)
"""A vendor's own class; a modem, which is a serial line, to a telephone network or to a circuit board."""
_PCI_WAYS_OUT = ("02:", "0d:", "0c:00", "0c:03", "0c:06")
"""Network and wireless controllers; FireWire, USB and InfiniBand controllers: adapters can be behind them."""
_PCI_UNSAID = ("00:", "ff:")
"""From before there were classes, and fitting none (PCI Code and ID Assignment, 1.1 and 1.19)."""


@dataclass(frozen=True)
class SafetyVerdict:
    """What a safety rule says: its name, its verdict, and why."""

    rule: str
    verdict: Literal["deny", "host"]
    reason: str


def safety_verdict(facts: DeviceFacts) -> SafetyVerdict | None:
    """The first safety rule that matches; None leaves the device to the policies."""
    if facts.malformed:
        return SafetyVerdict("malformed", "deny", f"its descriptors cannot be right: {facts.malformed}")
    if facts.changed:
        return SafetyVerdict("changed", "deny", "it came back describing itself differently")
    if not facts.interfaces:
        return SafetyVerdict("no-interface", "deny", "it does not say what it is")
    if facts.bus == "usb":
        return _usb(facts.interfaces)
    if facts.bus == "pci" and any(i.startswith(_PLATFORM) for i in facts.interfaces):
        return SafetyVerdict("platform", "host", "the computer itself cannot run without it")
    return None


def past_tunnel(facts: DeviceFacts) -> bool:
    """Whether the device is a way out of a partition beside its tunnel, whatever anybody says of it."""
    if facts.bus == "pci":
        return any(i.startswith(_PCI_WAYS_OUT) for i in facts.interfaces)
    return (
        facts.bus == "bluetooth"
        or is_known_adapter(facts.vendor, facts.product, facts.interfaces)
        or any(_is_usb_way_out(i) for i in facts.interfaces)
    )


def unsaid(facts: DeviceFacts) -> bool:
    """Whether the device may be a way out and does not say; only its model tells."""
    prefixes = {"usb": _USB_UNSAID, "pci": _PCI_UNSAID}.get(facts.bus, ())
    return any(i.startswith(prefixes) for i in facts.interfaces if prefixes)


def _is_usb_way_out(interface: str) -> bool:
    if interface.startswith(_MODEM):
        return interface == f"{_MODEM}ff"
    return interface.startswith(_USB_WAYS_OUT)


def _usb(interfaces: tuple[str, ...]) -> SafetyVerdict | None:
    boot_input = not _BOOT_INPUT.isdisjoint(interfaces)
    hub = any(i.startswith("09:") for i in interfaces)
    if (boot_input and not all(i.startswith("03:") for i in interfaces)) or (
        hub and not all(i.startswith("09:") for i in interfaces)
    ):
        return SafetyVerdict("input-and-more", "deny", "it is a keyboard, pointer or hub and more")
    if boot_input:
        return SafetyVerdict("boot-input", "host", "keyboards and pointers stay with the host")
    if hub:
        return SafetyVerdict("hub", "host", "hubs stay with the host; what is behind one is decided alone")
    return None

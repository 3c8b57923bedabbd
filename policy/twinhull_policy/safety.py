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

One more, ``past-tunnel``, takes only the corporate partition away from where a device may go, whatever the
policy says: a network or Bluetooth adapter in it would be a way out beside its tunnel (P2).

Class codes: USB-IF "Defined Class Codes" and HID 1.11, 4.2 and 4.3; PCI Code and ID Assignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .facts import DeviceFacts

_BOOT_INPUT = {"03:01:01", "03:01:02"}
_PLATFORM = ("05:", "06:", "08:", "0c:05:")
_USB_WAYS_OUT = ("02:06", "02:07", "02:08", "02:0a", "02:0c", "02:0d", "02:0e", "e0:", "ef:04")
"""CDC Ethernet, ATM, wireless handset, mobile direct line, EEM, NCM and MBIM; Bluetooth, ultra-wideband and
remote NDIS. A modem (02:02) is a serial line to the guest, and an adapter of a vendor's own class (ff) does
not say what it is: a policy that allows those decides that."""
_PCI_WAYS_OUT = ("02:", "0d:")
"""Network and wireless controllers."""


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
    """Whether the device is a way out of a partition beside its tunnel."""
    ways = {"usb": _USB_WAYS_OUT, "pci": _PCI_WAYS_OUT}.get(facts.bus, ())
    return facts.bus == "bluetooth" or any(i.startswith(ways) for i in facts.interfaces)


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

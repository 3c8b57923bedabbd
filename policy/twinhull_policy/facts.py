"""What is known of a device before anybody talks to it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .model import HEX4_PATTERN

Hex4 = Annotated[str, Meta(pattern=f"^{HEX4_PATTERN}$")]
InterfaceClass = Annotated[str, Meta(pattern=r"^[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}$")]


class DeviceFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The facts that rules match on; nothing in it was made up by a driver."""

    bus: Literal["usb", "pci", "bluetooth"]
    vendor: Hex4
    product: Hex4
    serial: Annotated[str, Meta(max_length=126)] = ""
    """Empty where a device has none, or where it was not asked."""
    interfaces: Annotated[tuple[InterfaceClass, ...], Meta(max_length=4096)] = ()
    """Class, subclass and protocol of every interface over all configurations and alternate settings, each
    once, in order. A PCI function has one."""
    port: Annotated[str, Meta(max_length=32)] = ""
    removable: bool = True
    """False only if the system says it is built in."""
    malformed: Annotated[str, Meta(max_length=200)] = ""
    """Why its descriptors cannot be read; such a device is denied."""
    changed: bool = False
    """Whether it came back with other descriptors under the same connection."""

"""Devices that people have, on which the console compares two policies before one is published.

The server knows no laptop's devices: what a report tells of one is too little to decide on, and meant to
be. So the comparison is on kinds, built in and out, and the command line's ``twinhull policy diff
--inventory`` is the exact one.
"""

from __future__ import annotations

from twinhull_policy.facts import DeviceFacts

_USB: dict[str, tuple[str, ...]] = {
    "keyboard": ("03:01:01",),
    "mouse": ("03:01:02",),
    "memory stick": ("08:06:50",),
    "disk with UAS": ("08:06:50", "08:06:62"),
    "webcam": ("0e:01:00", "0e:02:00"),
    "webcam with microphone": ("0e:01:00", "0e:02:00", "01:01:00", "01:02:00"),
    "headset": ("01:01:00", "01:02:00", "03:00:00"),
    "smart card reader": ("0b:00:00",),
    "phone, media transfer": ("06:01:01",),
    "phone, debugging": ("ff:42:01",),
    "serial adapter": ("02:02:01", "0a:00:00"),
    "network adapter": ("02:06:00", "0a:00:00"),
    "Bluetooth adapter": ("e0:01:01",),
    "printer": ("07:01:02",),
    "gamepad": ("03:00:00",),
    "keyboard with storage": ("03:01:01", "08:06:50"),
    "vendor-specific": ("ff:00:00",),
}

TYPICAL: dict[str, DeviceFacts] = {
    f"{name}, {'plugged in' if removable else 'built in'}": DeviceFacts(
        bus="usb", vendor="0000", product="0000", interfaces=interfaces, removable=removable
    )
    for name, interfaces in _USB.items()
    for removable in (True, False)
} | {
    "security key (Yubico)": DeviceFacts(
        bus="usb", vendor="1050", product="0407", interfaces=("03:00:00", "0b:00:00")
    ),
    "graphics card": DeviceFacts(
        bus="pci", vendor="0000", product="0000", interfaces=("03:00:00",), removable=False
    ),
    "wired network card": DeviceFacts(
        bus="pci", vendor="0000", product="0000", interfaces=("02:00:00",), removable=False
    ),
    "NVMe disk": DeviceFacts(
        bus="pci", vendor="0000", product="0000", interfaces=("01:08:02",), removable=False
    ),
}
"""By what a person would call it."""

NAMES = {facts: name for name, facts in TYPICAL.items()}

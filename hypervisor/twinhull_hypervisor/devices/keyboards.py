"""Whether a person can type without USB: the keyboards that are part of the machine."""

from __future__ import annotations

from pathlib import Path

BUILTIN_BUSES = frozenset({0x11, 0x18, 0x19, 0x1C})
"""BUS_I8042, BUS_I2C, BUS_HOST, BUS_SPI (linux/input.h): soldered in, unlike USB and Bluetooth."""
_KEYS = 0xFFFFFFFE
"""KEY_ESC to KEY_S, codes 1 to 31: what has all these is a keyboard, as systemd's input_id builtin has it."""


def builtin_keyboard(sysfs: Path) -> bool:
    """Whether the machine has a keyboard of its own that the kernel knows."""
    inputs = sysfs / "class/input"
    if not inputs.is_dir():
        return False
    return any(_is_builtin_keyboard(entry) for entry in inputs.glob("input*"))


def _is_builtin_keyboard(entry: Path) -> bool:
    try:
        bus = int((entry / "id/bustype").read_text("ascii"), 16)
        # Words of the bitmap in hex, the lowest last (Documentation/input; kernel's input_print_bitmap).
        lowest = int((entry / "capabilities/key").read_text("ascii").split()[-1], 16)
    except (OSError, ValueError, IndexError):
        return False
    return bus in BUILTIN_BUSES and lowest & _KEYS == _KEYS

"""One device of each kind, as descriptor blobs."""

from __future__ import annotations

from tests.support.usb import simple

KEYBOARD = simple(0x046D, 0xC31C, (3, 1, 1))
POINTER = simple(0x046D, 0xC077, (3, 1, 2))
HUB = simple(0x05E3, 0x0608, (9, 0, 0))
STICK = simple(0x0781, 0x5567, (8, 6, 0x50))
CAMERA = simple(0x046D, 0x082D, (14, 1, 0), (14, 2, 0))
CARD = simple(0x058F, 0x9540, (11, 0, 0))
KEY = simple(0x1050, 0x0120, (3, 0, 0))
PHONE = simple(0x18D1, 0x4EE2, (6, 1, 1), (255, 66, 1))
SERIAL = simple(0x2341, 0x0043, (2, 2, 1), (10, 0, 0))
NETWORK = simple(0x0BDA, 0x8153, (2, 6, 0), (10, 0, 0))
BLUETOOTH = simple(0x0A12, 0x0001, (0xE0, 1, 1))
PRINTER = simple(0x03F0, 0x0C17, (7, 1, 2))
COMPOSITE = simple(0x1234, 0x0001, (8, 6, 0x50), (1, 1, 0))
VENDOR = simple(0x1234, 0x0002, (255, 0, 0))
BAD = simple(0x1234, 0x0003, (3, 1, 1), (8, 6, 0x50))

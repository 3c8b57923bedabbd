"""From the keyboard to PC XT scan codes (set 1), which is what SPICE sends to a guest.

The values are those of Linux's evdev codes (input-event-codes.h) and of the IBM PC keyboard's set 1; for 1 to
83, F11, F12 and the ISO key the two are the same number.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

X11_OFFSET = 8
"""X11 and Wayland's xkb key codes are evdev's plus 8."""
EXTENDED = 0x100

_FROM_EVDEV = {code: code for code in [*range(1, 84), 86, 87, 88]} | {
    89: 0x73, 92: 0x79, 93: 0x70, 94: 0x7B, 124: 0x7D,
    96: 0x11C, 97: 0x11D, 98: 0x135, 99: 0x137, 100: 0x138, 102: 0x147, 103: 0x148, 104: 0x149, 105: 0x14B,
    106: 0x14D, 107: 0x14F, 108: 0x150, 109: 0x151, 110: 0x152, 111: 0x153, 113: 0x120, 114: 0x12E,
    115: 0x130, 119: 0x146, 125: 0x15B, 126: 0x15C, 127: 0x15D,
}  # fmt: skip

_K = Qt.Key
_FROM_QT: dict[int, int] = {
    _K.Key_Escape: 0x01, _K.Key_Minus: 0x0C, _K.Key_Equal: 0x0D, _K.Key_Backspace: 0x0E, _K.Key_Tab: 0x0F,
    _K.Key_BracketLeft: 0x1A, _K.Key_BracketRight: 0x1B, _K.Key_Return: 0x1C, _K.Key_Control: 0x1D,
    _K.Key_Semicolon: 0x27, _K.Key_Apostrophe: 0x28, _K.Key_QuoteLeft: 0x29, _K.Key_Shift: 0x2A,
    _K.Key_Backslash: 0x2B, _K.Key_Comma: 0x33, _K.Key_Period: 0x34, _K.Key_Slash: 0x35, _K.Key_Alt: 0x38,
    _K.Key_Space: 0x39, _K.Key_CapsLock: 0x3A, _K.Key_NumLock: 0x45, _K.Key_ScrollLock: 0x46,
    _K.Key_Enter: 0x11C, _K.Key_AltGr: 0x138, _K.Key_Home: 0x147, _K.Key_Up: 0x148, _K.Key_PageUp: 0x149,
    _K.Key_Left: 0x14B, _K.Key_Right: 0x14D, _K.Key_End: 0x14F, _K.Key_Down: 0x150, _K.Key_PageDown: 0x151,
    _K.Key_Insert: 0x152, _K.Key_Delete: 0x153, _K.Key_Meta: 0x15B, _K.Key_Menu: 0x15D,
}  # fmt: skip
for _row, _first in (("1234567890", 0x02), ("QWERTYUIOP", 0x10), ("ASDFGHJKL", 0x1E), ("ZXCVBNM", 0x2C)):
    _FROM_QT.update({ord(letter): _first + place for place, letter in enumerate(_row)})
_FROM_QT.update({_K.Key_F1.value + n: 0x3B + n for n in range(10)})
_FROM_QT.update({_K.Key_F11.value: 0x57, _K.Key_F12.value: 0x58})
_FROM_QT = {int(key): code for key, code in _FROM_QT.items()}


def scan_code(event: QKeyEvent) -> int | None:
    """The scan code of a key event: by the physical key if known, else by its meaning."""
    native = _FROM_EVDEV.get(event.nativeScanCode() - X11_OFFSET)
    return native if native is not None else _FROM_QT.get(event.key())

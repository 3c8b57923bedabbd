"""What is typed on a keyboard in boot protocol, and whether it is the code. Pure.

A boot report is 8 bytes: modifiers, one reserved, then the usages of up to six keys that are down (HID 1.11,
appendix B.1). Usages: HID Usage Tables 1.12, page 07.
"""

from __future__ import annotations

import hmac
from typing import Literal

REPORT_BYTES = 8
_RESERVED = 0x03
"""0 is no key; 1 ErrorRollOver, 2 POSTFail and 3 ErrorUndefined say that the report is about no key."""
_DIGITS = {0x1E + n: str((n + 1) % 10) for n in range(10)} | {0x59 + n: str((n + 1) % 10) for n in range(10)}
"""The row of digits, then the keypad: 1 to 9, 0. By place and not by legend: where the row types digits only
with Shift, as on French keyboards, the keys are the same."""
_ENTER = frozenset({0x28, 0x58})
_ERASE = 0x2A
ATTEMPTS = 3
"""Wrong codes until a device is sent away: a guess is right once in a million."""
_LONGEST = 32
"""Keys of one attempt that are kept; more than a code has, so that too many is wrong as well."""

Key = Literal["digit", "enter", "erase", "other"]
Progress = Literal["typed", "wrong", "done"]


class Decoder:
    """Turns reports into the keys that went down, each once for as long as it is held."""

    def __init__(self) -> None:
        self._down: frozenset[int] = frozenset()

    def feed(self, untrusted_report: bytes) -> list[tuple[Key, str]]:
        """The keys that went down with this report, in its order; a digit beside its kind, else nothing.

        What is shorter than a report, or says that it is about no key, is passed over. Bytes after the
        eighth mean nothing in boot protocol.
        """
        if len(untrusted_report) < REPORT_BYTES:
            return []
        usages = untrusted_report[2:REPORT_BYTES]
        if any(0 < usage <= _RESERVED for usage in usages):
            return []
        pressed = [usage for usage in dict.fromkeys(usages) if usage and usage not in self._down]
        self._down = frozenset(usages) - {0}
        return [_key(usage) for usage in pressed]


def _key(usage: int) -> tuple[Key, str]:
    if usage in _DIGITS:
        return "digit", _DIGITS[usage]
    if usage in _ENTER:
        return "enter", ""
    return ("erase", "") if usage == _ERASE else ("other", "")


class Entry:
    """A person typing a code: digits, Backspace, Enter.

    Args:
        code: the digits that are asked for.

    Attributes:
        wrong: attempts that were wrong.
        count: keys typed in the attempt that is under way.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._typed = ""
        self.wrong = 0

    @property
    def count(self) -> int:
        """Keys typed in the attempt that is under way."""
        return len(self._typed)

    @property
    def given_up(self) -> bool:
        """Whether there were too many wrong attempts."""
        return self.wrong >= ATTEMPTS

    def press(self, kind: Key, digit: str) -> Progress:
        """One key; what it made of the attempt. A key that is no digit makes the attempt a wrong one."""
        if kind == "enter":
            right = hmac.compare_digest(self._typed.encode(), self._code.encode())
            self._typed = ""
            self.wrong += not right
            return "done" if right else "wrong"
        if kind == "erase":
            self._typed = self._typed[:-1]
        elif len(self._typed) < _LONGEST:
            self._typed += digit if kind == "digit" else "?"
        return "typed"

"""Human interface devices: a keyboard that types, a mouse that moves, a security key.

Sources: HID 1.11; HID Usage Tables 1.12; boot reports: HID 1.11, appendix B; CTAPHID: FIDO CTAP 2.1, 11.2.
"""

from __future__ import annotations

import string
import struct

from .device import GET_DESCRIPTOR, Function, Setup
from .protocol import Status

REPORT_DESCRIPTOR = 0x22
KEYBOARD_REPORT = bytes.fromhex(
    "05010906a101050719e029e71500250175019508810295017508810195057501050819012905910295017503"
    "910195067508150025650507190029658100c0"
)
"""The boot keyboard's own, HID 1.11, E.6."""
MOUSE_REPORT = bytes.fromhex(
    "05010902a1010901a100050919012903150025019503750181029501750581010501093009311581257f7508"
    "950281 06c0c0".replace(" ", "")
)
"""The boot mouse's own, HID 1.11, E.10."""
FIDO_REPORT = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
"""Usage page F1D0, one report of 64 bytes each way, CTAP 2.1, 11.2.8.2."""
CONSUMER_REPORT = bytes.fromhex("050c0901a1011500250109e909ea09e2750195038102950581 01c0".replace(" ", ""))
"""Volume up, volume down, mute: a headset's buttons."""

_SHIFT = 0x02
_PLAIN = "abcdefghijklmnopqrstuvwxyz1234567890\n\x1b\b\t -=[]\\"
_PLAIN_FROM = 0x04
_SIGNS = {";": 0x33, "'": 0x34, "`": 0x35, ",": 0x36, ".": 0x37, "/": 0x38}
_SHIFTED = dict(zip('!@#$%^&*()_+{}|:"~<>?', "1234567890-=[]\\;'`,./", strict=True))


class Hid(Function):
    """A HID interface: its report descriptor, and reports from one interrupt endpoint."""

    def __init__(self, report_descriptor: bytes, endpoint: int, report_length: int) -> None:
        super().__init__()
        self._report_descriptor = report_descriptor
        self._endpoint = endpoint
        self._report_length = report_length

    def control(self, setup: Setup, untrusted: bytes) -> bytes | None:
        """The report descriptor, Get_Report (all zero), Set_Report, and idle and protocol without effect."""
        if setup.standard:
            wanted = setup.request == GET_DESCRIPTOR and setup.value >> 8 == REPORT_DESCRIPTOR
            return self._report_descriptor if wanted else None
        if setup.request_type & 0x80:
            return bytes(self._report_length) if setup.request == 0x01 else b"\0"
        if setup.request == 0x09:
            self.record.reports.append(untrusted)
        return b""


class Keyboard(Hid):
    """A boot keyboard with the US layout."""

    def __init__(self, endpoint: int = 0x81) -> None:
        super().__init__(KEYBOARD_REPORT, endpoint, 8)

    def type(self, text: str, rate: float = 20.0) -> None:
        """Press and release a key for each character of ``text``, ``rate`` of them a second.

        Raises:
            ValueError: a character is not on this keyboard.
        """
        for modifiers, usage in [_key(character) for character in text]:
            self.press(usage, modifiers, 0.5 / rate)

    def press(self, usage: int, modifiers: int = 0, seconds: float = 0.02) -> None:
        """Press a key for ``seconds``, and leave it alone as long."""
        self.post(self._endpoint, bytes((modifiers, 0, usage, 0, 0, 0, 0, 0)), seconds)
        self.post(self._endpoint, bytes(8), seconds)


class Mouse(Hid):
    """A boot mouse."""

    def __init__(self, endpoint: int = 0x81) -> None:
        super().__init__(MOUSE_REPORT, endpoint, 3)

    def move(self, right: int, down: int, buttons: int = 0, delay: float = 0.01) -> None:
        """Move by counts of -127 to 127, ``buttons`` (bits: left, right, middle) pressed."""
        self.post(self._endpoint, struct.pack("<Bbb", buttons, right, down), delay)


class SecurityKey(Hid):
    """A FIDO key that answers CTAPHID_INIT and nothing else; nobody touches it."""

    _INIT, _ERROR, _INVALID_COMMAND = 0x86, 0xBF, 0x01

    def __init__(self, endpoint: int = 0x81) -> None:
        super().__init__(FIDO_REPORT, endpoint, 64)

    def receive(self, endpoint: int, untrusted: bytes) -> Status:
        """A CTAPHID packet: channel, command, length, and for INIT a nonce of 8 bytes."""
        if len(untrusted) < 7:
            return Status.STALL
        channel, command = untrusted[:4], untrusted[4]
        if command == self._INIT:
            # Channel 1, protocol version 2, device version 1.0.0, no capabilities.
            body = untrusted[7:15] + struct.pack(">IBBBBB", 1, 2, 1, 0, 0, 0)
        else:
            command, body = self._ERROR, bytes((self._INVALID_COMMAND,))
        self.post(self._endpoint, (channel + struct.pack(">BH", command, len(body)) + body).ljust(64, b"\0"))
        return Status.SUCCESS


def _key(character: str) -> tuple[int, int]:
    """Modifiers and usage of the key that types ``character``."""
    if character in string.ascii_uppercase:
        return _SHIFT, _key(character.lower())[1]
    if character in _SHIFTED:
        return _SHIFT, _key(_SHIFTED[character])[1]
    if character in _SIGNS:
        return 0, _SIGNS[character]
    place = _PLAIN.find(character)
    if place < 0 or not character:
        raise ValueError(f"no key types {character!r}")
    return 0, _PLAIN_FROM + place

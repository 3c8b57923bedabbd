"""The emulated stick of tests/lab/usb_peer, spoken to without a bus: its pipes, and sticks that lie."""

from __future__ import annotations

import errno
import os

from tests.lab.usb_peer.device import Record, Setup
from tests.lab.usb_peer.protocol import Status
from tests.lab.usb_peer.storage import Memory, Storage

IN, OUT = 0x81, 0x02


def oserror(number: int) -> OSError:
    """As an ioctl raises it."""
    return OSError(number, os.strerror(number))


class StickPipes:
    """What :class:`twinhull_hypervisor.block.pipes.UsbPipes` is on a machine with USB.

    Attributes:
        stick: the emulated function.
        pulled: it is gone; usbfs says so with ``gone``.
        sent: what went to its OUT endpoint.
        stall_next: the next transfer of data is stalled.
    """

    def __init__(self, content: bytes = b"", stick: Storage | None = None) -> None:
        self.stick = stick or Storage(Memory(content))
        self.stick.record = Record()
        self.pulled = False
        self.gone = errno.ENODEV
        self.stall_next = False
        self.sent: list[bytes] = []
        self.unstalled = 0
        self.resets = 0

    def transmit(self, data: bytes, timeout_ms: int) -> None:
        """To the OUT endpoint."""
        self._there()
        self.sent.append(data)
        if self.stick.receive(OUT, data) is not Status.SUCCESS:
            raise oserror(errno.EPIPE)

    def receive(self, length: int, timeout_ms: int) -> bytes:
        """From the IN endpoint."""
        self._there()
        if self.stall_next:
            self.stall_next = False
            raise oserror(errno.EPIPE)
        given = self.stick.give(IN, length)
        if given is None:
            raise TimeoutError(errno.ETIMEDOUT, "timed out")
        if isinstance(given, Status):
            raise oserror(errno.EPIPE)
        return given

    def unstall(self) -> None:
        """Counts."""
        self._there()
        self.unstalled += 1

    def reset(self) -> None:
        """Counts, and resets."""
        self._there()
        self.resets += 1
        self.stick.control(Setup(0x21, 0xFF, 0, 0, 0), b"")

    def last_unit(self) -> int:
        """One unit."""
        self._there()
        answer = self.stick.control(Setup(0xA1, 0xFE, 0, 0, 1), b"")
        return answer[0] if answer else 0

    def _there(self) -> None:
        if self.pulled:
            raise oserror(self.gone)


class Scripted:
    """Pipes of a stick that answers with these bytes, whatever is asked; then it is gone."""

    def __init__(self, answers: list[bytes], units: int = 0) -> None:
        self.answers = answers
        self.sent: list[bytes] = []
        self._units = units

    def transmit(self, data: bytes, timeout_ms: int) -> None:
        """Remember it."""
        self.sent.append(data)

    def receive(self, length: int, timeout_ms: int) -> bytes:
        """The next answer, as much of it as was asked for; empty ones are stalls."""
        if not self.answers:
            raise oserror(errno.ENODEV)
        answer = self.answers.pop(0)[:length]
        if not answer:
            raise oserror(errno.EPIPE)
        return answer

    def unstall(self) -> None:
        """Nothing."""

    def reset(self) -> None:
        """Nothing."""

    def last_unit(self) -> int:
        """As many as it says."""
        return self._units

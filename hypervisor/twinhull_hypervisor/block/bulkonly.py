"""Bulk-only transport: how a USB stick is sent a command and gives its data (Mass Storage Class BOT 1.0).

Only commands whose data comes from the device: the direction bit is a constant. A stick that answers what the
protocol does not allow is reset once (5.3.4), and is given up when that does not help.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Protocol

from . import scsi
from .scsi import BadAnswer, Sense

_COMMAND = struct.Struct("<4sIIBBB16s")
_STATUS = struct.Struct("<4sIIB")
_FROM_DEVICE = 0x80
_GOOD, _FAILED = 0, 1
"""bCSWStatus (5.2); 2 is a phase error."""
COMMAND_MS, DATA_MS = 5_000, 20_000
"""A disk that spins up, or a stick that repairs itself, takes seconds. Linux gives a command 30."""
GONE = frozenset({errno.ENODEV, errno.ESHUTDOWN, errno.ESRCH})
"""What usbfs says of a stick that was pulled, or that was taken back: it has no such endpoint then."""
LUNS = 16
"""GET MAX LUN answers 0 to 15 (3.2)."""


class CheckCondition(Exception):
    """A command failed, and this is why."""

    def __init__(self, why: Sense) -> None:
        super().__init__(f"sense key {why.key}, code {why.code:#04x}")
        self.why = why


class Pipes(Protocol):
    """The interface of a stick: two bulk endpoints and the control endpoint. Methods raise OSError: ENODEV
    once it is gone, EPIPE for an endpoint that is stalled, ETIMEDOUT."""

    def transmit(self, data: bytes, timeout_ms: int) -> None:
        """Send all of it to the OUT endpoint."""

    def receive(self, length: int, timeout_ms: int) -> bytes:
        """At most so many bytes from the IN endpoint, less where the device ends the transfer."""

    def unstall(self) -> None:
        """Clear what stalls either endpoint."""

    def reset(self) -> None:
        """Bulk-Only Mass Storage Reset (3.1)."""

    def last_unit(self) -> int:
        """Get Max LUN (3.2); 0 for a device that stalls it."""


class BulkOnly:
    """One logical unit behind a stick's pipes; one command at a time.

    Attributes:
        lun: which unit commands go to, 0 to 15.
    """

    def __init__(self, pipes: Pipes) -> None:
        self.lun = 0
        self._pipes = pipes
        self._tag = 0

    def units(self) -> int:
        """How many logical units there are, 1 to 16."""
        return min(self._pipes.last_unit(), LUNS - 1) + 1

    def command(self, command: bytes, length: int = 0) -> bytes:
        """The data that a command brings, at most ``length`` bytes.

        Args:
            command: 6 to 16 bytes, of :mod:`scsi`.
            length: bytes to read, 0 to 1 MiB.

        Raises:
            CheckCondition: the device says no.
            BadAnswer: what it answers is not the protocol.
            OSError: ENODEV once it is gone; or it does not answer.
        """
        try:
            return self._command(command, length)
        except CheckCondition:
            raise
        except BadAnswer:
            self._recover()
            raise
        except OSError as error:
            if error.errno in GONE:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error
            self._recover()
            raise

    def _command(self, command: bytes, length: int) -> bytes:
        status, untrusted_data = self._asked(command, length)
        if status == _FAILED:
            raise CheckCondition(self._why())
        if status != _GOOD:
            raise BadAnswer("it lost count of what was asked")
        return untrusted_data

    def _asked(self, command: bytes, length: int) -> tuple[int, bytes]:
        """How a command went (bCSWStatus), and what it brought."""
        self._tag = (self._tag + 1) & 0xFFFFFFFF
        head = (b"USBC", self._tag, length, _FROM_DEVICE, self.lun, len(command), command)
        self._pipes.transmit(_COMMAND.pack(*head), COMMAND_MS)
        untrusted_data = self._data(length) if length else b""
        return self._status(), untrusted_data

    def _data(self, length: int) -> bytes:
        try:
            return self._pipes.receive(length, DATA_MS)
        except BrokenPipeError:
            # It has less than was asked for, perhaps nothing (6.7.2, case 4 and 5).
            self._pipes.unstall()
            return b""

    def _status(self) -> int:
        try:
            untrusted_status = self._pipes.receive(_STATUS.size, DATA_MS)
        except BrokenPipeError:
            self._pipes.unstall()
            untrusted_status = self._pipes.receive(_STATUS.size, DATA_MS)
        if len(untrusted_status) != _STATUS.size:
            raise BadAnswer("it does not say how a command went")
        signature, tag, _, status = _STATUS.unpack(untrusted_status)
        if (signature, tag) != (b"USBS", self._tag):
            raise BadAnswer("it answers what was not asked")
        return int(status)

    def _why(self) -> Sense:
        status, untrusted_sense = self._asked(scsi.REQUEST_SENSE, scsi.SENSE_BYTES)
        if status != _GOOD:
            raise BadAnswer("it fails to say why it failed")
        return scsi.sense(untrusted_sense)

    def _recover(self) -> None:
        try:
            self._pipes.reset()
            self._pipes.unstall()
        except OSError:
            return  # what it was that failed is told; the next command fails by itself

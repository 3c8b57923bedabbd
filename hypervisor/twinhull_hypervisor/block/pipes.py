"""A stick's pipes through usbfs: what :mod:`bulkonly` speaks through on a real machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..devices.usbfs import Interface, held
from .client import ServeArguments

_FROM_INTERFACE, _TO_INTERFACE = 0xA1, 0x21
_GET_MAX_LUN, _RESET = 0xFE, 0xFF
"""Class requests (Mass Storage Class BOT 1.0, 3.1 and 3.2)."""
_CONTROL_MS = 5_000


class UsbPipes:
    """Two bulk endpoints of a claimed interface."""

    def __init__(self, interface: Interface, endpoint_in: int, endpoint_out: int) -> None:
        self._interface = interface
        self._in = endpoint_in
        self._out = endpoint_out

    def transmit(self, data: bytes, timeout_ms: int) -> None:
        """See :class:`bulkonly.Pipes`."""
        self._interface.transmit(self._out, data, timeout_ms)

    def receive(self, length: int, timeout_ms: int) -> bytes:
        """See :class:`bulkonly.Pipes`."""
        untrusted_data = self._interface.receive(self._in, length, timeout_ms)
        if untrusted_data is None:
            raise TimeoutError
        return untrusted_data

    def unstall(self) -> None:
        """See :class:`bulkonly.Pipes`."""
        self._interface.unstall(self._in)
        self._interface.unstall(self._out)

    def reset(self) -> None:
        """See :class:`bulkonly.Pipes`."""
        self._interface.send(_TO_INTERFACE, _RESET, 0, _CONTROL_MS)

    def last_unit(self) -> int:
        """See :class:`bulkonly.Pipes`."""
        try:
            untrusted_answer = self._interface.ask(_FROM_INTERFACE, _GET_MAX_LUN, 1, _CONTROL_MS)
        except BrokenPipeError:
            return 0
        return untrusted_answer[0] if untrusted_answer else 0


@contextlib.contextmanager
def usb_pipes(fd: int, arguments: ServeArguments) -> Iterator[UsbPipes]:
    """The pipes behind an open node, its interface claimed meanwhile. Raises OSError."""
    with held(fd, arguments.interface) as interface:
        yield UsbPipes(interface, arguments.endpoint_in, arguments.endpoint_out)

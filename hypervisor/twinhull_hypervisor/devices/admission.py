"""Admitting a new keyboard: somebody who sees the host's screen types on it what is shown there (R17).

The keyboard is read through usbfs, in boot protocol, while no driver of the host has it: not one of these
keystrokes reaches the host. Only when the code was typed is it given to the host's drivers.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import usbfs
from .arguments import AdmitArguments
from .bootreport import REPORT_BYTES, Decoder, Entry
from .errors import DeviceChanged, DeviceChangeFailed, NoSuchDevice, NotAKeyboard
from .results import Event, State
from .sysfs import Directory
from .tree import UsbTree

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
"""How long a person may take."""
SLICE_MS = 500
"""How long one read waits before it is looked whether the admission is still wanted."""
CONTROL_MS = 1000
_CLASS_INTERFACE_OUT = 0x21
_SET_IDLE, _SET_PROTOCOL = 0x0A, 0x0B
"""Class requests (HID 1.11, 7.2)."""
_BOOT, _REPORT = 0, 1
"""Protocols (HID 1.11, 7.2.6)."""
_ENDPOINT = re.compile(r"ep_[0-9a-f]{2}")


class Admission:
    """One keyboard that is being admitted.

    Args:
        tree: the USB devices.
        wanted: which device, and the code.
        tell: called with each event.
        devices: where usbfs' nodes are.
    """

    def __init__(
        self,
        tree: UsbTree,
        wanted: AdmitArguments,
        tell: Callable[[Event], None],
        devices: Path = usbfs.DEVICES,
    ) -> None:
        self._tree = tree
        self._wanted = wanted
        self._tell = tell
        self._devices = devices
        self._cancelled = threading.Event()
        self._held = contextlib.ExitStack()

    def prepare(self) -> None:
        """Configure the device and take hold of its keyboard; :meth:`run` has to follow.

        Raises:
            NoSuchDevice, DeviceChanged: it is not the device that was decided on.
            NotAKeyboard: it has no boot keyboard that can be read.
            DeviceChangeFailed: the kernel refused.
        """
        wanted = self._wanted
        with contextlib.ExitStack() as undo, self._tree.decided(wanted) as device:
            undo.callback(self._block)
            self._tree.configure(device, wanted.port)
            name = self._tree.boot_keyboard(device, wanted.port)
            if not name:
                raise NotAKeyboard(port=wanted.port, detail="it has no boot keyboard")
            with device.below(name) as interface:
                number = interface.number("bInterfaceNumber", 16)
                self._endpoint = _interrupt_in(interface, wanted.port)
                interface.write("authorized", "1")
            try:
                held = usbfs.claimed(wanted.busnum, wanted.devnum, number, self._devices)
                self._keyboard = self._held.enter_context(held)
                undo.callback(self._held.close)
                self._keyboard.send(_CLASS_INTERFACE_OUT, _SET_PROTOCOL, _BOOT, CONTROL_MS)
                with contextlib.suppress(
                    OSError
                ):  # a keyboard may refuse it (HID 1.11, 7.2.4); it then repeats
                    self._keyboard.send(_CLASS_INTERFACE_OUT, _SET_IDLE, 0, CONTROL_MS)
            except OSError as error:
                raise NotAKeyboard(port=wanted.port, detail=error.strerror or "unknown") from error
            undo.pop_all()

    def cancel(self) -> None:
        """It is not wanted any more; the device is blocked, and the event ``gone`` follows."""
        self._cancelled.set()

    def run(self, one_at_a_time: contextlib.AbstractContextManager[None]) -> bool:
        """Read until the code was typed or not; whether the host has the keyboard now. Tells how it goes.

        Args:
            one_at_a_time: held while the device changes hands.
        """
        typed = False
        try:
            with self._held:
                typed = self._read()
                if typed:
                    # Drivers expect it, and a keyboard need not start over (HID 1.11, 7.2.6).
                    self._keyboard.send(_CLASS_INTERFACE_OUT, _SET_PROTOCOL, _REPORT, CONTROL_MS)
            with one_at_a_time:
                if typed and not self._cancelled.is_set():
                    self._tree.authorise(self._wanted, "host")
                else:
                    typed = False
                    self._block()
        except (OSError, DeviceChangeFailed, NoSuchDevice, DeviceChanged) as error:
            logger.info("port %s: not admitted: %s", self._wanted.port, error)
            typed = False
            self._block()
        self._say("done" if typed else "gone", 0)
        return typed

    def _read(self) -> bool:
        decoder, entry = Decoder(), Entry(self._wanted.code)
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._cancelled.is_set() and time.monotonic() < until and not entry.given_up:
            untrusted_report = self._keyboard.receive(*self._endpoint, SLICE_MS)
            for kind, digit in decoder.feed(untrusted_report or b""):
                progress = entry.press(kind, digit)
                if progress == "done":
                    return True
                self._say(progress, entry.wrong if progress == "wrong" else entry.count)
        return False

    def _say(self, state: State, count: int) -> None:
        self._tell(Event(event="admission", port=self._wanted.port, state=state, count=count))

    def _block(self) -> None:
        """Deauthorise it again, but only the very device."""
        with contextlib.suppress(NoSuchDevice, DeviceChanged, DeviceChangeFailed):
            self._tree.block(self._wanted)


def _interrupt_in(interface: Directory, port: str) -> tuple[int, int]:
    """The address and the packet size, at least a report's, of an interface's first interrupt IN endpoint."""
    for name in interface.names():
        if _ENDPOINT.fullmatch(name):
            with interface.below(name) as endpoint:
                if (endpoint.text("type"), endpoint.text("direction")) == ("Interrupt", "in"):
                    address = endpoint.number("bEndpointAddress", 16)
                    # Bits 10 to 0 are the size (USB 2.0, 9.6.6).
                    size = endpoint.number("wMaxPacketSize", 16) & 0x7FF
                    return address, max(size, REPORT_BYTES)
    raise NotAKeyboard(port=port, detail="its keyboard has no interrupt endpoint")

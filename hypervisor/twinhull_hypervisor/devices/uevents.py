"""The kernel's own uevents of USB and PCI devices, through pyudev.

Source ``kernel`` and not ``udev``: a decision does not wait for udev's rules to have run, and nothing that
they added is looked at. A uevent says only that there is something to look at; what is looked at is sysfs.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import select
import threading
from collections.abc import Callable

import pyudev  # type: ignore[import-untyped]

from .results import Event

logger = logging.getLogger(__name__)

BUFFER_BYTES = 8 * 1024 * 1024
"""Of the netlink socket, if the kernel lets us. When it overflows all the same, everybody looks anew."""
_PORT = re.compile(r"[0-9]+-[1-9][0-9]*(\.[0-9]+)*")
_CONTROLLER = re.compile(r"usb[0-9]+|[0-9]+-0:1\.0")
"""A root hub, or its one interface."""
_INTERFACE = re.compile(rf"({_PORT.pattern}):[0-9]+\.[0-9]+")


class Uevents:
    """A thread that listens until the process ends.

    Args:
        tell: called with each event for the core.
        controller: called with the name of a root hub that appeared, ``usbN``, before anything else is done:
            nothing can be plugged in there yet.
        bound: called with a port and the driver that has just taken an interface of what is plugged in there.
    """

    def __init__(
        self,
        tell: Callable[[Event], None],
        controller: Callable[[str], None],
        bound: Callable[[str, str], None],
    ) -> None:
        self._tell = tell
        self._controller = controller
        self._bound = bound
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        self._monitor.filter_by("usb")
        self._monitor.filter_by("pci")
        # More than net.core.rmem_max takes CAP_NET_ADMIN, which devd lacks.
        with contextlib.suppress(OSError):
            self._monitor.set_receive_buffer_size(BUFFER_BYTES)
        self._monitor.start()

    def start(self) -> None:
        """Begin. What happened since the object was made is not missed."""
        threading.Thread(target=self._listen, name="uevents", daemon=True).start()

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._monitor.fileno(), select.POLLIN)
        while True:
            poll.poll()
            try:
                device = self._monitor.poll(timeout=0)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._tell(Event(event="lost"))
                continue
            if device is not None:
                driver = device.properties.get("DRIVER", "")
                self._handle(str(device.subsystem), device.action, device.sys_name, driver)

    def _handle(self, subsystem: str, action: str | None, name: str, driver: str = "") -> None:
        if subsystem == "usb" and action == "add" and _CONTROLLER.fullmatch(name):
            self._controller(name if name.startswith("usb") else f"usb{name.partition('-')[0]}")
        interface = _INTERFACE.fullmatch(name)
        if subsystem == "usb" and action == "bind" and interface is not None:
            self._bound(interface[1], driver)
        if action not in ("add", "remove"):
            return
        if subsystem == "usb" and _PORT.fullmatch(name):
            self._tell(Event(event="usb", action="add" if action == "add" else "remove", port=name))
        elif subsystem == "pci":
            self._tell(Event(event="pci", action="add" if action == "add" else "remove", address=name))

"""Core's side of devd's socket: one typed method a verb, and the events as an async iterator."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..ipc import BadPacket, HelperUnreachable, Request, call, receive_packet, send_packet
from .arguments import Use
from .results import Authorised, Done, Event, PciFacts, UsbDevice, UsbPage

SOCKET_PATH = Path("/run/twinhull/devd.sock")
T = TypeVar("T")


class DevdClient:
    """Talks to ``twinhull-devd``. Methods block (call them in a thread); all raise HelperUnreachable, and
    RemoteError with devd's own words.

    Args:
        path: devd's socket.
        timeout: seconds for each verb; a device that does not answer holds the kernel up for 5 a request.
    """

    def __init__(self, path: Path = SOCKET_PATH, timeout: float = 60.0) -> None:
        self._path = path
        self._timeout = timeout

    def usb(self) -> tuple[list[UsbDevice], bool]:
        """Every USB device in port order, and whether the machine was restricted from its boot on."""
        devices: list[UsbDevice] = []
        while True:
            page = self._call("usb", UsbPage, after=devices[-1].port if devices else "")
            devices += page.devices
            if not page.more:
                return devices, page.early

    def authorise(self, device: UsbDevice, use: Use) -> Authorised:
        """Let the host's drivers have the device that was decided on, or keep them off it for a guest."""
        return self._call("authorise", Authorised, use=use, **_which(device))

    def revoke(self, port: str) -> None:
        """Take the device from whoever has it, and block it."""
        self._call("revoke", Done, port=port)

    def admit(self, device: UsbDevice, code: str) -> None:
        """Have a new keyboard admitted by typing six digits; returns at once, events tell how it goes."""
        self._call("admit", Done, code=code, **_which(device))

    def pci(self) -> PciFacts:
        """Every PCI function, and what makes passthrough unsafe here."""
        return self._call("pci", PciFacts)

    def restrict(self) -> None:
        """See that no controller authorises anything by itself."""
        self._call("restrict", Done)

    async def watch(self) -> AsyncIterator[Event]:
        """Events; the first is ``lost``, for what happened before.

        Raises:
            HelperUnreachable: devd is not there, or went away; try again later.
        """
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            try:
                connection.connect(str(self._path))
                send_packet(connection, msgspec.json.encode(Request("watch")))
            except OSError as error:
                raise HelperUnreachable(helper=self._path.stem) from error
            connection.setblocking(False)
            readable = asyncio.Event()
            loop.add_reader(connection, readable.set)
            answered = False
            try:
                while True:
                    await readable.wait()
                    readable.clear()
                    for payload in _packets(connection, self._path.stem):
                        yield _event(payload) if answered else Event(event="lost")
                        answered = True
            finally:
                loop.remove_reader(connection)

    def _call(self, verb: str, shape: type[T], **arguments: Any) -> T:
        answer = call(self._path, verb, arguments, timeout=self._timeout)
        try:
            return msgspec.convert(answer, shape)
        except msgspec.ValidationError as error:
            raise BadPacket(detail=str(error)) from error


def _which(device: UsbDevice) -> dict[str, Any]:
    return {
        "port": device.port,
        "sha256": device.sha256,
        "busnum": device.busnum,
        "devnum": device.devnum,
    }


def _event(payload: bytes) -> Event:
    try:
        return msgspec.json.decode(payload, type=Event)
    except msgspec.DecodeError as error:
        raise BadPacket(detail="not an event") from error


def _packets(connection: socket.socket, helper: str) -> list[bytes]:
    """All packets that are there now; raises HelperUnreachable when the other side closed."""
    packets: list[bytes] = []
    while True:
        try:
            payload, fds = receive_packet(connection)
        except BlockingIOError:
            return packets
        except OSError as error:
            raise HelperUnreachable(helper=helper) from error
        for fd in fds:
            os.close(fd)
        if not payload:
            if packets:
                return packets  # the end is seen again next time
            raise HelperUnreachable(helper=helper)
        packets.append(payload)

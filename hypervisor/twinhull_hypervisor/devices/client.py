"""Core's side of devd's socket: one typed method a verb, and the events as an async iterator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twinhull_policy.names import Partition

from ..ipc import BadPacket, call, follow
from .arguments import Use
from .results import Authorised, Done, Event, Lent, PciFacts, UsbDevice, UsbPage

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

    def lend(self, device: UsbDevice, partition: Partition) -> str:
        """Have the storage that was decided on served read-only; the socket for that partition's QEMU."""
        return self._call("lend", Lent, partition=partition.value, **_which(device)).socket

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
        answered = False
        async for untrusted_payload in follow(self._path):
            yield _event(untrusted_payload) if answered else Event(event="lost")
            answered = True

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


def _event(untrusted_payload: bytes) -> Event:
    try:
        return msgspec.json.decode(untrusted_payload, type=Event)
    except msgspec.DecodeError as error:
        raise BadPacket(detail="not an event") from error

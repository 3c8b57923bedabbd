"""The cable between an emulated device and the kernel it is on: USB/IP to the kernel's virtual controller.

The same devices as on a virtual machine's cable (:mod:`plug`), without one: for whoever is root on a kernel
with ``vhci_hcd``. Sources: Documentation/usb/usbip_protocol.rst and drivers/usb/usbip of the kernel; all
integers on the wire are big-endian.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import ECONNRESET, EPIPE, EPROTO
from pathlib import Path
from types import TracebackType

from .device import Device, Record, Setup
from .protocol import Speed, Status

CONTROLLER = Path("/sys/devices/platform/vhci_hcd.0")
SOCKETS = 8
"""Of each speed: CONFIG_USBIP_VHCI_HC_PORTS. Those for SuperSpeed come after those for all else."""
FREE = "004"
"""VDEV_ST_NULL (drivers/usb/usbip/usbip_common.h): nothing is in the socket."""
SPEEDS = {Speed.LOW: 1, Speed.FULL: 2, Speed.HIGH: 3, Speed.SUPER: 5}
"""enum usb_device_speed, include/uapi/linux/usb/ch9.h."""
PAUSE = 0.3
SECONDS = 60.0

_SUBMIT, _UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4
_HEADER = struct.Struct(">IIIII")
"""Command, number, device, direction, endpoint."""
_REQUEST = struct.Struct(">IIiIi8s")
"""Flags, length, first frame, packets, interval, setup."""
_ANSWER = struct.Struct(">iIIIIQ")
"""Status, length, first frame, packets, errors, padding."""
_PACKET_SIZE = 16
"""Of the description of each isochronous packet, which follows the data."""
_SETUP = struct.Struct("<BBHHH")
_NOT_ISOCHRONOUS = 0xFFFFFFFF
_SET_CONFIGURATION, _GET_CONFIGURATION, _SET_INTERFACE, _GET_INTERFACE = (
    (0x00, 9),
    (0x80, 8),
    (0x01, 11),
    (0x81, 10),
)


@dataclass(frozen=True)
class _Waiting:
    """A read that the kernel has asked for and that has not been answered."""

    number: int
    length: int


class KernelPeer:
    """Offers one device to a socket of the kernel's virtual controller, from a thread of its own.

    Args:
        device: what is plugged in.
        socket: which one, 1 to SOCKETS.
        superspeed: whether it is one of the sockets for SuperSpeed.

    Attributes:
        port: what Linux calls the socket: ``1-3``.
    """

    def __init__(self, device: Device, socket: int = 1, *, superspeed: bool = False) -> None:
        self.device = device
        self.port = f"{buses()[superspeed]}-{socket}"
        self._place = socket - 1 + (SOCKETS if superspeed else 0)
        self._cable: _Cable | None = None
        for function in device.functions.values():
            function.wake = self._ring
        self.connect()

    @property
    def record(self) -> Record:
        """What the host did with the device so far."""
        return self.device.record

    def connect(self) -> None:
        """Plug the device in; without effect if it is."""
        if self._cable is not None:
            return
        _until(lambda: _state(self._place) == FREE, f"socket {self._place} to be free")
        near, far = socket.socketpair()
        self.device.plugged()
        self._cable = _Cable(far, self.device)
        speed = SPEEDS[self.device.model.speed]
        with near:  # the kernel has a reference of its own
            (CONTROLLER / "attach").write_text(f"{self._place} {near.fileno()} {self._place + 1} {speed}")

    def disconnect(self) -> None:
        """Pull the device; without effect if it is not plugged in."""
        if self._cable is not None:
            self._cable.close()
            self._cable = None
            _until(lambda: _state(self._place) == FREE, f"socket {self._place} to be free")

    def reset(self) -> None:
        """The device drops off the bus and comes back, as one does that restarts."""
        self.disconnect()
        time.sleep(PAUSE)
        self.connect()

    def wait(self, condition: Callable[[Record], object], seconds: float = SECONDS) -> bool:
        """Wait until ``condition`` holds of the record; whether it did within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not condition(self.record):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        """Pull the device for good."""
        self.disconnect()

    def _ring(self) -> None:
        if self._cable is not None:
            self._cable.ring()

    def __enter__(self) -> KernelPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Cable:
    """One connection, from plugging in to pulling out."""

    def __init__(self, connection: socket.socket, device: Device) -> None:
        self._socket = connection
        self._device = device
        self._reads: dict[int, deque[_Waiting]] = {}
        self._reports: dict[int, deque[bytes]] = {}
        """What an interrupt endpoint has sent and nobody has asked for yet."""
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="usb", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """There may be something to send."""
        with suppress(OSError):
            self._wake.send(b"!")

    def close(self) -> None:
        """End it; the kernel takes that for a device that was pulled."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        for one in (self._socket, self._wake, self._woken):
            one.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, suppress(EOFError, OSError):
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(self._pump()):
                    if key.fileobj is self._woken:
                        self._woken.recv(4096)
                    else:
                        self._take()

    def _take(self) -> None:
        command, number, _, inward, endpoint = _HEADER.unpack(self._exactly(_HEADER.size))
        rest = self._exactly(_REQUEST.size)
        if command == _UNLINK:
            (unlinked,) = struct.unpack_from(">I", rest)
            self._answer(_RET_UNLINK, number, -ECONNRESET if self._forget(unlinked) else 0)
            return
        _, length, _, packets, _, setup = _REQUEST.unpack(rest)
        untrusted = b"" if inward else self._exactly(length)
        if packets not in (0, _NOT_ISOCHRONOUS):
            self._exactly(packets * _PACKET_SIZE)
        address = endpoint | (0x80 if inward and endpoint else 0)
        if endpoint == 0:
            self._control(number, setup, untrusted)
        elif inward:
            self._device.record.polled.add(address)
            self._reads.setdefault(address, deque()).append(_Waiting(number, length))
        else:
            self._device.record.received[address] += len(untrusted)
            status = self._device.function(address).receive(address, untrusted)
            self._answer(_RET_SUBMIT, number, _errno(status), moved=len(untrusted))

    def _control(self, number: int, untrusted_setup: bytes, untrusted: bytes) -> None:
        setup = Setup(*_SETUP.unpack(untrusted_setup))
        answer = self._configuring(setup)
        if answer is None:
            answer = self._device.control(setup, untrusted)
        if answer is None:
            self._answer(_RET_SUBMIT, number, -EPIPE)
        elif setup.request_type & 0x80:
            self._answer(_RET_SUBMIT, number, 0, answer)
        else:
            self._answer(_RET_SUBMIT, number, 0, moved=len(untrusted))

    def _configuring(self, setup: Setup) -> bytes | None:
        """The answer to what another cable has packets of its own for; None to all else, and to a refusal."""
        device = self._device
        match (setup.request_type, setup.request):
            case (0x00, 9):
                done = device.configure(setup.value)
                self._reads.clear()
                self._reports.clear()
                return b"" if done else None
            case (0x80, 8):
                return bytes((device.configuration,))
            case (0x01, 11):
                return b"" if device.choose(setup.index, setup.value) else None
            case (0x81, 10):
                return bytes((device.alternate(setup.index),))
        return None

    def _pump(self) -> float | None:
        """Send what is due; the seconds until more is."""
        pauses = []
        for function in set(self._device.functions.values()):
            ready, pause = function.due(set(self._reads))
            for address, data in ready:
                self._reports.setdefault(address, deque()).append(data)
            if pause is not None:
                pauses.append(pause)
        for address, reads in self._reads.items():
            while reads and (given := self._given(address, reads[0].length)) is not None:
                self._give(address, reads.popleft(), given)
        return min(pauses, default=None)

    def _given(self, address: int, length: int) -> bytes | Status | None:
        if self._reports.get(address):
            return self._reports[address].popleft()
        return self._device.function(address).give(address, length)

    def _give(self, address: int, read: _Waiting, given: bytes | Status) -> None:
        if isinstance(given, Status):
            self._answer(_RET_SUBMIT, read.number, _errno(given))
            return
        data = given[: read.length]
        self._device.record.sent[address] += len(data)
        self._answer(_RET_SUBMIT, read.number, 0, data)

    def _forget(self, number: int) -> bool:
        for reads in self._reads.values():
            for read in reads:
                if read.number == number:
                    reads.remove(read)
                    return True
        return False

    def _answer(self, command: int, number: int, status: int, data: bytes = b"", *, moved: int = 0) -> None:
        head = _HEADER.pack(command, number, 0, 0, 0)
        body = _ANSWER.pack(status, len(data) or moved, 0, _NOT_ISOCHRONOUS, 0, 0)
        self._socket.sendall(head + body + data)

    def _exactly(self, length: int) -> bytes:
        """That many bytes. Raises EOFError."""
        read = b""
        while len(read) < length:
            part = self._socket.recv(length - len(read))
            if not part:
                raise EOFError
            read += part
        return read


def buses() -> tuple[int, int]:
    """The numbers of the controller's buses: for all speeds but SuperSpeed, and for that."""
    first, second = sorted(int(path.name.removeprefix("usb")) for path in CONTROLLER.glob("usb[0-9]*"))
    return first, second


def _errno(status: Status) -> int:
    if status is Status.SUCCESS:
        return 0
    return -EPIPE if status is Status.STALL else -EPROTO


def _state(place: int) -> str:
    """What the controller says of a socket: the second and third word of its line."""
    for line in (CONTROLLER / "status").read_text().splitlines():
        words = line.split()
        if words[0] in ("hs", "ss") and int(words[1]) == place:
            return words[2]
    raise LookupError(f"the controller has no socket {place}")


def _until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.02)

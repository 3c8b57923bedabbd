"""The cable between an emulated device and a virtual machine.

QEMU's end is a ``usb-redir`` device with a socket for a chardev (docs: QEMU, "USB emulation"); ``qmp_plug``
gives the QMP commands that make one. The device is plugged in and pulled without touching QEMU's end::

    with Peer(path, kinds.storage()) as peer:
        ...          # QEMU connects to ``path``; the device is there
        peer.disconnect()
        peer.record.scsi[INQUIRY]
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
from pathlib import Path
from types import TracebackType
from typing import Any

from . import protocol
from .descriptors import Endpoint, Interface, Transfer
from .device import Device, Record, Setup
from .protocol import CONTROL, INTERRUPT, NO_ENDPOINT, SLOTS, Decoder, Kind, Packet, Status, packet

_CHUNK = 1024 * 1024
PAUSE = 0.3
"""Seconds a device stays away when it re-enumerates; QEMU waits 0.2 between detach and attach."""


class Peer:
    """Offers one device on a unix socket, from a thread of its own.

    Args:
        path: the socket; made here, removed on ``close``.
        device: what is at the end of the cable.
        plugged: whether the device is plugged in from the beginning.
    """

    def __init__(self, path: Path, device: Device, *, plugged: bool = True) -> None:
        self.path = path
        self.device = device
        self._plugged = plugged
        self._lock = threading.RLock()
        self._listener = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._cable: _Cable | None = None
        self._stop = False
        for function in device.functions.values():
            function.wake = self._ring
        self._thread = threading.Thread(target=self._serve, name=f"usb {path.name}", daemon=True)
        self._thread.start()

    @property
    def record(self) -> Record:
        """What the host did with the device so far."""
        return self.device.record

    def connect(self) -> None:
        """Plug the device in; without effect if it is."""
        self._plug(True)

    def disconnect(self) -> None:
        """Pull the device; without effect if it is not plugged in."""
        self._plug(False)

    def reset(self) -> None:
        """The device drops off the bus and comes back, as one does that restarts."""
        self.disconnect()
        time.sleep(PAUSE)
        self.connect()

    def wait(self, condition: Callable[[Record], object], seconds: float = 20.0) -> bool:
        """Wait until ``condition`` holds of the record; whether it did within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not condition(self.record):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        """Pull the device and stop."""
        self._stop = True
        self._ring()
        self._thread.join(10)
        for one in (self._listener, self._wake, self._woken):
            one.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _plug(self, plugged: bool) -> None:
        with self._lock:
            if plugged != self._plugged:
                self._plugged = plugged
                if self._cable is not None:
                    # A connection that QEMU closed is noticed and dropped by the thread that serves it.
                    with suppress(OSError):
                        self._cable.plug(plugged)
        self._ring()

    def _ring(self) -> None:
        with suppress(BlockingIOError):
            self._wake.send(b"!")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stop:
                pause = self._pump(selector)
                for key, _ in selector.select(pause):
                    if key.fileobj is self._woken:
                        self._woken.recv(4096)
                    elif key.fileobj is self._listener:
                        self._accept(selector)
                    elif self._cable is not None and key.fileobj is self._cable.socket:
                        self._read(selector)
            if self._cable:
                self._cable.socket.close()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        connection, _ = self._listener.accept()
        with self._lock:
            # The end of an old connection may come to light after the beginning of a new one.
            self._drop(selector)
            try:
                connection.sendall(protocol.hello())
            except OSError:
                connection.close()
                return
            self._cable = _Cable(connection, self.device, lambda: self._plugged)
        selector.register(connection, selectors.EVENT_READ)

    def _pump(self, selector: selectors.BaseSelector) -> float | None:
        with self._lock:
            try:
                return self._cable.pump() if self._cable else None
            except OSError:
                self._drop(selector)
                return None

    def _read(self, selector: selectors.BaseSelector) -> None:
        with self._lock:
            if self._cable is None:
                return
            try:
                alive = self._cable.read()
            except (OSError, protocol.ProtocolError, struct.error, IndexError):
                alive = False
            if not alive:
                self._drop(selector)

    def _drop(self, selector: selectors.BaseSelector) -> None:
        if self._cable is not None:
            selector.unregister(self._cable.socket)
            self._cable.socket.close()
            self._cable = None


class _Cable:
    """One connection of QEMU's."""

    def __init__(self, connection: socket.socket, device: Device, plugged: Callable[[], bool]) -> None:
        self.socket = connection
        self._device = device
        self._plugged = plugged
        self._decoder = Decoder()
        self._polled: set[int] = set()
        self._waiting: dict[int, deque[tuple[int, int, int]]] = {}
        """Bulk reads by endpoint: id, length, stream."""

    def read(self) -> bool:
        """Take what QEMU sent; False once it closed the connection."""
        untrusted = self.socket.recv(_CHUNK)
        for one in self._decoder.feed(untrusted):
            self._take(one)
        return bool(untrusted)

    def plug(self, plugged: bool) -> None:
        """Tell QEMU that the device came or went."""
        if not self._decoder.greeted:
            return
        self._polled.clear()
        self._waiting.clear()
        if plugged:
            self._device.plugged()
            model = self._device.model
            self._describe()
            body = protocol.CONNECT.pack(
                model.speed, *model.triple, model.vendor, model.product, model.version
            )
            self._send(Kind.DEVICE_CONNECT, 0, body)
        else:
            self._send(Kind.DEVICE_DISCONNECT)

    def pump(self) -> float | None:
        """Send what is due; the seconds until more is."""
        pauses = []
        for function in set(self._device.functions.values()):
            ready, pause = function.due(self._polled)
            for endpoint, data in ready:
                self._device.record.sent[endpoint] += len(data)
                head = INTERRUPT.pack(endpoint, Status.SUCCESS, len(data))
                self._send(Kind.INTERRUPT_PACKET, 0, head + data)
            if pause is not None:
                pauses.append(pause)
        for endpoint, queue in self._waiting.items():
            self._give(endpoint, queue)
        return min(pauses, default=None)

    def _take(self, one: Packet) -> None:
        device, body = self._device, one.body
        match one.kind:
            case Kind.HELLO:
                if self._plugged():
                    self.plug(True)
            case Kind.RESET:
                self._waiting.clear()
                self._polled.clear()
                device.reset()
            case Kind.SET_CONFIGURATION:
                good = device.configure(body[0])
                self._waiting.clear()
                self._polled.clear()
                self._describe()
                status = Status.SUCCESS if good else Status.STALL
                self._send(Kind.CONFIGURATION_STATUS, one.id, bytes((status, device.configuration)))
            case Kind.GET_CONFIGURATION:
                answer = bytes((Status.SUCCESS, device.configuration))
                self._send(Kind.CONFIGURATION_STATUS, one.id, answer)
            case Kind.SET_ALT_SETTING:
                good = device.choose(body[0], body[1])
                self._describe()
                answer = bytes((Status.SUCCESS if good else Status.STALL, body[0], device.alternate(body[0])))
                self._send(Kind.ALT_SETTING_STATUS, one.id, answer)
            case Kind.GET_ALT_SETTING:
                answer = bytes((Status.SUCCESS, body[0], device.alternate(body[0])))
                self._send(Kind.ALT_SETTING_STATUS, one.id, answer)
            case Kind.START_INTERRUPT_RECEIVING | Kind.START_ISO_STREAM:
                self._poll(one, True)
            case Kind.STOP_INTERRUPT_RECEIVING | Kind.STOP_ISO_STREAM:
                self._poll(one, False)
            case Kind.CONTROL_PACKET:
                self._control(one)
            case Kind.BULK_PACKET:
                self._bulk(one)
            case Kind.INTERRUPT_PACKET:
                endpoint, _, _ = INTERRUPT.unpack_from(body)
                status = self._receive(endpoint, body[INTERRUPT.size :])
                self._send(Kind.INTERRUPT_PACKET, one.id, INTERRUPT.pack(endpoint, status, 0))
            case Kind.CANCEL_DATA_PACKET:
                self._cancel(one.id)
            case _:
                pass  # isochronous data, acknowledgements, and what a later version may bring

    def _poll(self, one: Packet, start: bool) -> None:
        endpoint = one.body[0]
        if start:
            self._polled.add(endpoint)
            self._device.record.polled.add(endpoint)
        else:
            self._polled.discard(endpoint)
        isochronous = one.kind in (Kind.START_ISO_STREAM, Kind.STOP_ISO_STREAM)
        kind = Kind.ISO_STREAM_STATUS if isochronous else Kind.INTERRUPT_RECEIVING_STATUS
        self._send(kind, one.id, bytes((Status.SUCCESS, endpoint)))

    def _control(self, one: Packet) -> None:
        endpoint, request, request_type, _, value, index, length = CONTROL.unpack_from(one.body)
        setup = Setup(request_type, request, value, index, length)
        answer = self._device.control(setup, one.body[CONTROL.size :])
        status = Status.STALL if answer is None else Status.SUCCESS
        data = answer or b"" if request_type & 0x80 else b""
        moved = len(data) if request_type & 0x80 else length
        head = CONTROL.pack(endpoint, request, request_type, status, value, index, moved)
        self._send(Kind.CONTROL_PACKET, one.id, head + data)

    def _bulk(self, one: Packet) -> None:
        endpoint, _, low, stream, high = protocol.BULK.unpack_from(one.body)
        if endpoint & 0x80:
            queue = self._waiting.setdefault(endpoint, deque())
            queue.append((one.id, high << 16 | low, stream))
        else:
            data = one.body[protocol.BULK.size :]
            status = self._receive(endpoint, data)
            self._send(Kind.BULK_PACKET, one.id, protocol.bulk(endpoint, status, len(data), stream))

    def _receive(self, endpoint: int, untrusted: bytes) -> Status:
        self._device.record.received[endpoint] += len(untrusted)
        return self._device.function(endpoint).receive(endpoint, untrusted)

    def _give(self, endpoint: int, queue: deque[tuple[int, int, int]]) -> None:
        function = self._device.function(endpoint)
        while queue:
            number, length, stream = queue[0]
            given = function.give(endpoint, length)
            if given is None:
                return
            queue.popleft()
            data, status = (given, Status.SUCCESS) if isinstance(given, bytes) else (b"", given)
            self._device.record.sent[endpoint] += len(data)
            head = protocol.bulk(endpoint, status, len(data), stream)
            self._send(Kind.BULK_PACKET, number, head + data)

    def _cancel(self, number: int) -> None:
        for endpoint, queue in self._waiting.items():
            for waiting in list(queue):
                if waiting[0] == number:
                    queue.remove(waiting)
                    head = protocol.bulk(endpoint, Status.CANCELLED, 0, waiting[2])
                    self._send(Kind.BULK_PACKET, number, head)

    def _describe(self) -> None:
        """Tell QEMU of the interfaces and endpoints in force; a table has room for 32."""
        interfaces = self._device.interfaces()[:SLOTS]
        columns = zip(*((one.number, *one.triple) for one in interfaces), strict=True)
        table = b"".join(bytes(column).ljust(SLOTS, b"\0") for column in columns).ljust(4 * SLOTS, b"\0")
        self._send(Kind.INTERFACE_INFO, 0, struct.pack("<I", len(interfaces)) + table)
        self._send(Kind.EP_INFO, 0, _endpoint_table(self._device.endpoints()))

    def _send(self, kind: Kind, id: int = 0, body: bytes = b"") -> None:
        self.socket.sendall(packet(kind, id, body))


def _endpoint_table(endpoints: dict[int, tuple[Endpoint, Interface]]) -> bytes:
    """Types, intervals, interfaces and packet sizes; endpoint 0x8n is in place 16 + n."""
    kinds, intervals, interfaces = bytearray([NO_ENDPOINT] * SLOTS), bytearray(SLOTS), bytearray(SLOTS)
    sizes = [0] * SLOTS
    kinds[0] = kinds[16] = Transfer.CONTROL
    for address, (endpoint, interface) in endpoints.items():
        place = (address & 0x80) >> 3 | address & 0x0F
        kinds[place], interfaces[place] = endpoint.transfer, interface.number
        # QEMU rejects a device with an interval of 0 where there must be one.
        intervals[place] = max(endpoint.interval, 1)
        sizes[place] = endpoint.packet & 0x07FF
    return bytes(kinds + intervals + interfaces) + struct.pack(f"<{SLOTS}H", *sizes)


def qmp_plug(name: str, path: Path, *, bus: str = "", port: str = "") -> list[dict[str, Any]]:
    """The QMP commands that give a running QEMU its end of the cable, ``name``.

    ``bus`` is a controller like ``xhci.0``, ``port`` a port of it like ``2`` or ``2.1`` behind a hub.
    """
    address = {"type": "unix", "data": {"path": str(path)}}
    backend = {"type": "socket", "data": {"addr": address, "server": False, "reconnect": 1}}
    place = {key: value for key, value in (("bus", bus), ("port", port)) if value}
    return [
        {"execute": "chardev-add", "arguments": {"id": f"{name}-cable", "backend": backend}},
        {
            "execute": "device_add",
            "arguments": {"driver": "usb-redir", "id": name, "chardev": f"{name}-cable", **place},
        },
    ]


def qmp_unplug(name: str) -> list[dict[str, Any]]:
    """The QMP command that takes QEMU's end away; the chardev goes with it."""
    return [{"execute": "device_del", "arguments": {"id": name}}]

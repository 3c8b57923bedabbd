"""libvirtd goes away and comes back: seen from us that is its socket closing and listening again."""

from __future__ import annotations

import queue
import socket
import threading
from pathlib import Path

from twinhull_hypervisor.domain.connection import Event, EventKind, Hypervisor

LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"
EVENT_SECONDS = 60


class Door:
    """A unix socket in front of the real libvirtd's, which can be shut and opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sockets: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        """Listen."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                inside, _ = listener.accept()
            except OSError:
                return
            outside = socket.socket(socket.AF_UNIX)
            outside.connect(LIBVIRT_SOCKET)
            self._sockets += [inside, outside]
            for one, other in ((inside, outside), (outside, inside)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def shut(self) -> None:
        """Stop listening and cut every connection."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink()
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other end was first
                continue
            finally:
                each.close()
        self._sockets.clear()


def test_a_lost_connection_is_told_and_made_again(tmp_path: Path) -> None:
    events: queue.Queue[Event] = queue.Queue()
    path = tmp_path / "sock"
    door = Door(path)
    hypervisor = Hypervisor(f"qemu+unix:///system?socket={path}", on_event=events.put)
    try:
        first = hypervisor.connection()
        assert hypervisor.connection() is first
        door.shut()
        assert events.get(timeout=EVENT_SECONDS) == Event(EventKind.LOST)
        door.open()
        assert events.get(timeout=EVENT_SECONDS) == Event(EventKind.RECONNECTED)
        assert hypervisor.connection() is not first
        assert hypervisor.connection().isAlive() == 1
    finally:
        hypervisor.close()
        door.shut()

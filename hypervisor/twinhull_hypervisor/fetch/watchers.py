"""Connections that asked to be told when something changed."""

from __future__ import annotations

import os
import select
import socket
import threading

import msgspec

from ..ipc import Reply, send_packet


class Watchers:
    """Wakes watching connections. What happens twice before a watcher looks is told once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[int, set[str]] = {}
        self._closing = False

    def tell(self, event: str) -> None:
        """Something changed: ``inbox`` or ``state``. Never waits."""
        with self._lock:
            for descriptor, events in self._pending.items():
                events.add(event)
                os.eventfd_write(descriptor, 1)

    def close(self) -> None:
        """End all watching."""
        self._closing = True
        self.tell("")

    def watch(self, connection: socket.socket) -> None:
        """Answer the request, then send events until the other side closes or speaks again."""
        wake = os.eventfd(0, os.EFD_CLOEXEC)
        with self._lock:
            self._pending[wake] = set()
        try:
            # Registered before the answer: what changes once the client has it is not missed.
            send_packet(connection, msgspec.json.encode(Reply(result={})))
            poll = select.poll()
            poll.register(wake, select.POLLIN)
            poll.register(connection, select.POLLIN | select.POLLHUP)
            while not self._closing:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if connection.fileno() in ready:
                    return
                os.eventfd_read(wake)
                with self._lock:
                    events, self._pending[wake] = self._pending[wake], set()
                for event in sorted(events - {""}):
                    send_packet(connection, msgspec.json.encode({"event": event}))
        except OSError:
            return  # the watcher went away
        finally:
            with self._lock:
                del self._pending[wake]
            os.close(wake)

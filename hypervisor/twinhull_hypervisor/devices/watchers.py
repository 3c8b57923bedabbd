"""The event half of the socket: who watches, and what is waiting for each of them.

A watcher that does not read, or a machine where something is plugged a thousand times a minute, costs a
bounded amount of memory: equal events that wait are one; past WAITING a watcher hears that some were lost.
"""

from __future__ import annotations

import os
import select
import socket
import threading

import msgspec

from ..ipc import Reply, send_packet
from .results import Event

WAITING = 256
"""Different events that may wait for one watcher."""
SEND_SECONDS = 5.0
"""A watcher that does not take a packet for this long is let go; it will connect again and look anew."""


class Watchers:
    """Told of events in any thread, sends them in the watching connections' own threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, dict[Event, None]] = {}

    def tell(self, event: Event) -> None:
        """Something happened. Never waits."""
        with self._lock:
            for wake, events in self._waiting.items():
                # Told again it moves to the end: after a pull, an earlier plug is not the last word.
                events.pop(event, None)
                events[event] = None
                if len(events) > WAITING:
                    events.clear()
                    events[Event(event="lost")] = None
                os.eventfd_write(wake, 1)

    def watch(self, connection: socket.socket) -> None:
        """Answer the request, then send events until the other side closes or speaks again."""
        wake = os.eventfd(0, os.EFD_CLOEXEC)
        with self._lock:
            self._waiting[wake] = {}
        try:
            # Registered before the answer: what happens once the client has it is not missed.
            connection.settimeout(SEND_SECONDS)
            send_packet(connection, msgspec.json.encode(Reply(result={})))
            poll = select.poll()
            poll.register(wake, select.POLLIN)
            poll.register(connection, select.POLLIN | select.POLLHUP)
            while True:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if connection.fileno() in ready:
                    return
                os.eventfd_read(wake)
                with self._lock:
                    events, self._waiting[wake] = self._waiting[wake], {}
                for event in events:
                    send_packet(connection, msgspec.json.encode(event))
        except OSError:
            return  # the watcher went away, or does not read
        finally:
            with self._lock:
                del self._waiting[wake]
            os.close(wake)

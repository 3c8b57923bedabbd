"""Open push streams, by device: who is listening, and what to tell them.

A stream costs no task switch and no timer of its own: a push is one write to each transport, and one
sweep over all streams keeps them alive. A reader that does not keep up is cut off and comes back; only
the newest statement matters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from twinhull_policy.server.limits import LIMITS


@dataclass(frozen=True)
class Event:
    """A statement to push: its sequence number and envelope."""

    seq: int
    envelope: bytes


class Listener:
    """Somebody who waits for a device's statements.

    Attributes:
        device_id: whose.
        ended: done when nothing more will come.
    """

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def push(self, event: Event) -> None:
        """Hand over a newer statement."""
        raise NotImplementedError

    def keep_alive(self) -> None:
        """Show the other end that the connection lives, and find out whether it does."""

    def close(self) -> None:
        """End it."""
        if not self.ended.done():
            self.ended.set_result(None)


class Waiter(Listener):
    """A long poll: the first statement newer than ``known`` ends it.

    Attributes:
        event: that statement, or None when it was closed before.
    """

    def __init__(self, device_id: str, known: int) -> None:
        super().__init__(device_id)
        self.event: Event | None = None
        self._known = known

    def push(self, event: Event) -> None:
        """See :class:`Listener`."""
        if event.seq > self._known and not self.ended.done():
            self.event = event
            self.close()


class Stream(Listener):
    """A stream of server-sent events in the chunks of an HTTP/1.1 response whose head has been sent."""

    def __init__(self, device_id: str, known: int) -> None:
        super().__init__(device_id)
        self._known = known
        self._transport: asyncio.Transport | None = None
        self._early: Event | None = None

    def attach(self, transport: asyncio.Transport, known: int) -> None:
        """From now on write to this transport; ``known`` is the newest statement sent so far."""
        self._transport = transport
        self._known = max(known, self._known)
        if self._early is not None:
            self.push(self._early)

    def push(self, event: Event) -> None:
        """See :class:`Listener`."""
        if self._transport is None:
            self._early = event
        elif event.seq > self._known:
            self._known = event.seq
            self._write(frame(event))

    def keep_alive(self) -> None:
        """See :class:`Listener`."""
        self._write(b": keep-alive\n\n")

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self.ended.done():
            return
        if transport.is_closing():
            self.close()
            return
        if transport.get_write_buffer_size() > LIMITS.stream_buffer_bytes:
            transport.abort()
            self.close()
            return
        transport.write(b"%x\r\n%s\r\n" % (len(data), data))


class Hub:
    """All listeners of this process.

    Args:
        on_alive: called with a device's id now and then while it listens.
    """

    def __init__(self, on_alive: Callable[[str], None] = lambda _device_id: None) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        self._on_alive = on_alive

    def add(self, listener: Listener) -> None:
        """Register a listener. Of too many for one device the oldest is closed."""
        listeners = self._listeners.setdefault(listener.device_id, [])
        listeners.append(listener)
        if len(listeners) > LIMITS.streams_per_device:
            listeners[0].close()

    def drop(self, listener: Listener) -> None:
        """Forget a listener that ended."""
        listeners = self._listeners.get(listener.device_id, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(listener.device_id, None)

    def listening(self) -> int:
        """How many devices listen."""
        return len(self._listeners)

    def is_open(self, device_id: str) -> bool:
        """Whether a device listens."""
        return device_id in self._listeners

    def push(self, device_id: str, event: Event) -> None:
        """Tell a device about a statement."""
        for listener in list(self._listeners.get(device_id, ())):
            listener.push(event)

    def close(self, device_id: str) -> None:
        """End a device's listeners."""
        for listener in list(self._listeners.get(device_id, ())):
            listener.close()

    def close_all(self) -> None:
        """End every listener."""
        for device_id in list(self._listeners):
            self.close(device_id)

    async def keep_alive(self) -> None:
        """Keep every stream alive, for ever; a slice of them at a time, so that no moment is crowded."""
        while True:
            devices = list(self._listeners)
            slices = max(1, round(LIMITS.keep_alive_seconds / LIMITS.keep_alive_slice_seconds))
            size = -(-len(devices) // slices)
            for number in range(slices):
                began = time.monotonic()
                for device_id in devices[number * size : (number + 1) * size]:
                    for listener in list(self._listeners.get(device_id, ())):
                        listener.keep_alive()
                        self._on_alive(device_id)
                spent = time.monotonic() - began
                await asyncio.sleep(max(0.0, LIMITS.keep_alive_slice_seconds - spent))


def frame(event: Event) -> bytes:
    """A statement as a server-sent event. The envelope is canonical JSON, so it holds no line break."""
    return b"event: statement\nid: %d\ndata: %s\n\n" % (event.seq, event.envelope)

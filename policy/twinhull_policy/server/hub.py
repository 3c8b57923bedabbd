"""Open push streams, by device: who is listening, and what to tell them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """A statement to push: its sequence number and envelope."""

    seq: int
    envelope: bytes


@dataclass(eq=False)
class Stream:
    """One open stream. Only the newest statement matters, so a slow reader skips those between.

    Attributes:
        device_id: whose it is.
        closed: set when the device was revoked or the server stops.
    """

    device_id: str
    closed: bool = False
    _next: Event | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, event: Event) -> None:
        """Hand over a newer statement."""
        self._next = event
        self._woken.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._woken.set()

    async def wait(self, seconds: float) -> Event | None:
        """The next statement, or None after ``seconds`` without one, or when closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return None
        self._woken.clear()
        event, self._next = self._next, None
        return event


class Hub:
    """All open streams of this process."""

    def __init__(self) -> None:
        self._streams: dict[str, set[Stream]] = {}

    def open(self, device_id: str) -> Stream:
        """Register a new stream."""
        stream = Stream(device_id)
        self._streams.setdefault(device_id, set()).add(stream)
        return stream

    def drop(self, stream: Stream) -> None:
        """Forget a stream that ended."""
        streams = self._streams.get(stream.device_id, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(stream.device_id, None)

    def listening(self) -> list[str]:
        """The devices with an open stream."""
        return list(self._streams)

    def is_open(self, device_id: str) -> bool:
        """Whether a device has an open stream."""
        return device_id in self._streams

    def push(self, device_id: str, event: Event) -> None:
        """Tell a device's streams about a statement."""
        for stream in self._streams.get(device_id, ()):
            stream.push(event)

    def close(self, device_id: str) -> None:
        """End a device's streams."""
        for stream in list(self._streams.get(device_id, ())):
            stream.close()

    def close_all(self) -> None:
        """End every stream."""
        for device_id in self.listening():
            self.close(device_id)

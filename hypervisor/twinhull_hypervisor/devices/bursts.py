"""Watching a keyboard that was just admitted for typing that no person does.

What is seen is when keys go down, never which.
"""

from __future__ import annotations

import collections
import logging
import os
import select
import struct
import time
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

WATCH_SECONDS = 600.0
"""How long a new keyboard is watched."""
BURST_KEYS = 20
BURST_SECONDS = 0.5
"""Forty keys a second. The fastest typists reach fifteen or so; a palm on the keys presses ten, once. Tools
that inject keystrokes send hundreds a second by default."""
_EVENT = struct.Struct("llHHi")
"""struct input_event on 64-bit (linux/input.h): time in seconds and microseconds, type, code, value."""
_EV_KEY, _PRESSED = 1, 1
"""A value of 2 is the kernel repeating a key that is held, and does not count."""
_LOOK_SECONDS = 1.0
_FIRST_LOOK_SECONDS = 0.02
"""Until there is a node: what is typed before it was opened is not seen."""


class Bursts:
    """Counts key presses. Pure."""

    def __init__(self) -> None:
        self._times: collections.deque[float] = collections.deque(maxlen=BURST_KEYS)

    def press(self, at: float) -> bool:
        """A key went down at ``at``, in seconds; whether that makes a burst."""
        self._times.append(at)
        return len(self._times) == BURST_KEYS and 0 <= at - self._times[0] <= BURST_SECONDS


def presses(events: bytes) -> Iterable[float]:
    """The times of the key presses among raw input events."""
    whole = len(events) - len(events) % _EVENT.size
    for seconds, microseconds, kind, _, value in _EVENT.iter_unpack(events[:whole]):
        if kind == _EV_KEY and value == _PRESSED:
            yield seconds + microseconds / 1e6


def watch(device: Path, inputs: Path = Path("/dev/input"), seconds: float = WATCH_SECONDS) -> bool:
    """Watch all input nodes of a USB device until it bursts (True), is gone, or ``seconds`` have passed.

    Args:
        device: its directory in sysfs.
        inputs: where the nodes are.
        seconds: for how long.
    """
    bursts = Bursts()
    nodes: dict[int, str] = {}
    poll = select.poll()
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until and device.exists():
            # Nodes come after the driver, and a keyboard may have several: looked for again each time.
            for name in sorted(
                {path.name for path in device.glob("*/*/input/input*/event*")} - set(nodes.values())
            ):
                try:
                    fd = os.open(inputs / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                except OSError:
                    continue  # not made yet
                nodes[fd] = name
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll((_LOOK_SECONDS if nodes else _FIRST_LOOK_SECONDS) * 1000):
                if any(bursts.press(at) for at in presses(_read(fd))):
                    return True
        return False
    except OSError as error:
        logger.info("%s: watched no longer: %s", device.name, error.strerror)
        return False
    finally:
        for fd in nodes:
            os.close(fd)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 64 * _EVENT.size)
    except BlockingIOError:
        return b""

"""Tell what is being done, how far it is and how long it takes: ``[3/9] Install packages ... 0:42``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Event:
    """A moment of a step: its place (from 1), its title, seconds so far, and whether it is over."""

    number: int
    total: int
    title: str
    elapsed: float
    done: bool

    def __str__(self) -> str:
        minutes, seconds = divmod(int(self.elapsed), 60)
        return f"[{self.number}/{self.total}] {self.title} ... {minutes}:{seconds:02d}"


Listener = Callable[[Event], None]


class Progress:
    """Counts steps and passes events to a listener.

    Attributes:
        title: the step under way.
    """

    def __init__(self, total: int, listener: Listener) -> None:
        self.title = ""
        self._total = total
        self._number = 0
        self._listener = listener
        self._started = 0.0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, and its end unless it fails."""
        self._number += 1
        self.title = title
        self._started = time.monotonic()
        self.tick()
        yield
        self.tick(done=True)

    def tick(self, *, done: bool = False) -> None:
        """Report the step under way again."""
        elapsed = time.monotonic() - self._started
        self._listener(Event(self._number, self._total, self.title, elapsed, done))


def lines(stream: TextIO | None = None) -> Listener:
    """A listener that rewrites one line on a terminal, and elsewhere prints one line at each step's end."""
    out = stream if stream is not None else sys.stderr
    live = out.isatty()

    def show(event: Event) -> None:
        if live:
            out.write(f"\r{event}\033[K" + ("\n" if event.done else ""))
        elif event.done:
            out.write(f"{event}\n")
        out.flush()

    return show

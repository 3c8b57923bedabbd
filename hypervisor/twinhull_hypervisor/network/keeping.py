"""When a tunnel needs a new handshake, and when the next gateway: pure, so that its table is its test.

WireGuard itself asks again every five seconds for a minute and a half and then waits for something to send
(white paper, sections 6.1 and 6.4), and it cannot know that the laptop slept or has moved. All that is
decided here is to start over sooner, or elsewhere. Nothing here lets anything out: without an answer there is
no session to send in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from .states import HANDSHAKE_STALE_SECONDS
from .underlay import Path

FIRST_SECONDS = 1.5
"""Wait for a first answer; then a quarter longer each time, so that a slow link gets through."""
LONGEST_SECONDS = 5.0
"""WireGuard's own REKEY_TIMEOUT: more often than that it would not ask."""
GROWTH = 1.25
SILENT_SECONDS = 12.0
"""Whoever gets data has to answer within KEEPALIVE_TIMEOUT, 10 s, if only with a keepalive."""
ROTATION_SECONDS = 3.0
"""The same while the key is being rotated: to start over for nothing costs one round trip."""
SILENT_BYTES = 200
"""More than keepalives, of 32 bytes each, come to before WireGuard itself renews a session."""
PATIENCE_SECONDS = 8.0
"""How long a gateway may leave us without an answer while there is another to try."""
SETTLING_SECONDS = 3.0
"""So long after a change of the underlay the gateway's packets may still come by the way before."""
SLEPT_SECONDS = 2.0
"""A gap between the clocks that go on in sleep and those that do not."""
BUSY_TICK_SECONDS = 0.5
CALM_TICK_SECONDS = 5.0


class Step(Enum):
    """What to do."""

    NOTHING = "nothing"
    RENEW = "renew"
    """Start over with the gateway: a new handshake at once."""
    NEXT = "next"
    """Start with the next gateway."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the tunnel.

    Attributes:
        now: seconds of a clock that stops for nothing but sleep.
        asleep: seconds this computer has slept since it started.
        path: the way to the gateway; None when there is none.
        answer_age: seconds since the gateway last completed a handshake; None when it has not since the
            tunnel was last started over.
        received: bytes, as WireGuard counts.
        sent: likewise.
        gateways: how many there are to choose from.
        rotating: the gateway may know us by another key at any moment.
    """

    now: float
    asleep: float
    path: Path | None
    answer_age: float | None
    received: int
    sent: int
    gateways: int
    rotating: bool = False


class Pulse:
    """Judges look after look; what it remembers is of the tunnel as last started over."""

    def __init__(self) -> None:
        self._before: Seen | None = None
        self._asked_at = -math.inf
        self._waiting = FIRST_SECONDS
        self._failing_since: float | None = None
        self._heard_at = 0.0
        self._heard = -1
        self._sent_when_heard = 0

    def judge(self, seen: Seen) -> tuple[Step, float]:
        """What to do now, and after how many seconds to look again at the latest."""
        before, self._before = self._before, seen
        if seen.path is None:
            self._failing_since = None
            return Step.NOTHING, CALM_TICK_SECONDS
        if before is not None and self._uprooted(before, seen):
            self._waiting = FIRST_SECONDS
            self._failing_since = None
            return self._step(Step.RENEW, seen), BUSY_TICK_SECONDS
        if self._answers(seen):
            self._failing_since = None
            self._waiting = FIRST_SECONDS
            return Step.NOTHING, BUSY_TICK_SECONDS if seen.rotating else CALM_TICK_SECONDS
        if self._failing_since is None:
            self._failing_since = seen.now
            if before is None or seen.answer_age is None:
                # It was just started, and has asked by itself.
                self._asked_at = seen.now
                return Step.NOTHING, BUSY_TICK_SECONDS
        if seen.gateways > 1 and seen.now - self._failing_since >= PATIENCE_SECONDS:
            self._failing_since = seen.now
            self._waiting = FIRST_SECONDS
            return self._step(Step.NEXT, seen), BUSY_TICK_SECONDS
        if seen.now - self._asked_at >= self._waiting:
            self._waiting = min(LONGEST_SECONDS, self._waiting * GROWTH)
            return self._step(Step.RENEW, seen), BUSY_TICK_SECONDS
        return Step.NOTHING, BUSY_TICK_SECONDS

    def _uprooted(self, before: Seen, seen: Seen) -> bool:
        slept = seen.asleep - before.asleep > SLEPT_SECONDS
        return slept or (seen.path is not None and seen.path.moved_from(before.path))

    def _answers(self, seen: Seen) -> bool:
        if seen.received != self._heard:
            self._heard, self._heard_at, self._sent_when_heard = seen.received, seen.now, seen.sent
        if seen.answer_age is None or seen.answer_age >= HANDSHAKE_STALE_SECONDS:
            return False
        unanswered = seen.sent - self._sent_when_heard
        patience = ROTATION_SECONDS if seen.rotating else SILENT_SECONDS
        return unanswered < SILENT_BYTES or seen.now - self._heard_at < patience

    def _step(self, step: Step, seen: Seen) -> Step:
        self._asked_at = seen.now
        self._heard, self._heard_at, self._sent_when_heard = -1, seen.now, 0
        return step

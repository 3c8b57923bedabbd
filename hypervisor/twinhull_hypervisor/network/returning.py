"""When the tunnel goes back to a gateway that the policy prefers: pure, a table from what is seen to a move.

After a failover an earlier gateway is asked beside the one in use: it becomes a second peer of the tunnel,
with no address behind it, so WireGuard shakes hands with it and nothing else can go there. The one in use
carries on. Only a gateway that has answered twice gets the routes, with the session of its second answer, so
a gateway that is still dead costs nobody a packet. One that comes and goes is asked less and less often.

A gateway with the key of the one in use cannot be asked so, because to WireGuard it is the same peer.
:func:`as_markdown` is the table in docs/network.md; tests/unit/test_tunnel_returning.py compares the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import Enum

FIRST_SECONDS = 60.0
"""Wait after a failover; then twice as long each time nobody answers, or the one returned to fails soon."""
LONGEST_SECONDS = 1800.0
ASK_SECONDS = 12.0
"""Three questions of WireGuard's, REKEY_TIMEOUT (5 s) apart (white paper, section 6.4)."""
APART_SECONDS = 10.0
"""Between the first answer and the question for the second."""
STEADY_SECONDS = 600.0
"""A gateway that carried the tunnel this long after a return has not merely come and gone."""


class Move(Enum):
    """What to do; the value is what the documentation calls it."""

    NOTHING = "nothing"
    ASK = "ask the earlier ones"
    ONCE_MORE = "stop asking; ask once more after 10 s"
    LESS_OFTEN = "stop asking; wait twice as long"
    STOP = "stop asking"
    GO_BACK = "go back to the earliest that answered"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so at one moment.

    Attributes:
        candidates: there is an earlier gateway with another key and a way to it, the one in use answers, and
            the tunnel's key is not being rotated.
        asking: the earlier ones are being asked.
        answered: one of them has answered this time.
        before: it had answered the time before as well.
        due: the wait is over; while asking, the time for an answer is.
    """

    candidates: bool
    asking: bool
    answered: bool
    before: bool
    due: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; None matches either way."""

    candidates: bool | None
    asking: bool | None
    answered: bool | None
    before: bool | None
    due: bool | None
    move: Move


TABLE: tuple[Row, ...] = (
    Row(False, True, None, None, None, Move.STOP),
    Row(False, False, None, None, None, Move.NOTHING),
    Row(True, False, None, None, False, Move.NOTHING),
    Row(True, False, None, None, True, Move.ASK),
    Row(True, True, True, True, None, Move.GO_BACK),
    Row(True, True, True, False, None, Move.ONCE_MORE),
    Row(True, True, False, None, True, Move.LESS_OFTEN),
    Row(True, True, False, None, False, Move.NOTHING),
)


def decide(facts: Facts) -> Move:
    """The first row that fits. The table is total: tests/unit/test_tunnel_returning.py tries everything."""
    for row in TABLE:
        if all(getattr(row, f.name) in (None, getattr(facts, f.name)) for f in fields(Facts)):
            return row.move
    raise AssertionError("the table of returning is not total")


def as_markdown() -> str:
    """The table as the documentation shows it."""
    names = [f.name for f in fields(Facts)]
    words = {None: "", True: "yes", False: "no"}
    lines = [
        f"| {' | '.join(names)} | what is done |",
        f"|{'---|' * (len(names) + 1)}",
        *(
            f"| {' | '.join(words[getattr(row, name)] for name in names)} | {row.move.value} |"
            for row in TABLE
        ),
    ]
    return "\n".join(lines) + "\n"


class Return:
    """Judges look after look."""

    def __init__(self) -> None:
        self._chosen = 0
        self._asking = False
        self._before: int | None = None
        """Who answered the time before."""
        self._due = math.inf
        self._waiting = FIRST_SECONDS
        self._back_at = -math.inf

    @property
    def asking(self) -> bool:
        """Whether the earlier gateways are being asked."""
        return self._asking

    def started_over(self, now: float) -> None:
        """The tunnel was: nobody is being asked any more, and another network may reach other gateways."""
        self._asking, self._before = False, None
        self._due = min(self._due, now + FIRST_SECONDS)

    def judge(
        self, now: float, chosen: int, candidates: frozenset[int], answered: frozenset[int]
    ) -> tuple[Move, int, float]:
        """What to do, with which gateway in use afterwards, and how many seconds until it is due again.

        Args:
            now: seconds of a clock that does not jump.
            chosen: the number of the gateway in use.
            candidates: the numbers of those that may be asked now.
            answered: of those that have answered since they were asked.
        """
        if chosen != self._chosen:
            self._failed_over(now, chosen)
        best = min(answered & candidates, default=None)
        move = decide(
            Facts(
                candidates=bool(candidates),
                asking=self._asking,
                answered=best is not None,
                before=best is not None and best == self._before,
                due=now >= self._due,
            )
        )
        if move is Move.GO_BACK and best is not None:
            self._chosen, self._back_at = best, now
        self._remember(move, now, best)
        return move, self._chosen, max(0.0, self._due - now)

    def _failed_over(self, now: float, chosen: int) -> None:
        soon = now - self._back_at < STEADY_SECONDS
        self._waiting = min(LONGEST_SECONDS, self._waiting * 2) if soon else FIRST_SECONDS
        self._chosen = chosen
        self._asking, self._before = False, None
        self._due = now + self._waiting

    def _remember(self, move: Move, now: float, best: int | None) -> None:
        if move is Move.NOTHING:
            return
        self._asking = move is Move.ASK
        if move is Move.ASK:
            self._due = now + ASK_SECONDS
            return
        self._before = best if move is Move.ONCE_MORE else None
        if move is Move.LESS_OFTEN:
            self._waiting = min(LONGEST_SECONDS, self._waiting * 2)
        self._due = now + (APART_SECONDS if move is Move.ONCE_MORE else self._waiting)

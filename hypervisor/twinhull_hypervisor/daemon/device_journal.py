"""The audit trail of devices: one line a decision, and no more than a person could read.

A device that is plugged a thousand times a minute must not wash everything else out of the owner's log: past
:data:`LINES_A_MINUTE` decisions are counted, and their number is one line.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.report import DeviceDecision

from .device_plan import Identity, Placement
from .state import State

LINES_A_MINUTE = 60
MAX_REPORTED_INTERFACES = 16
"""Interface classes told of one device; an honest one has fewer."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the body of a line holds: everything the decision rests on, and what came of it."""

    port: str
    facts: DeviceFacts
    facts_sha256: str
    rule: str
    actor: str
    outcome: str
    reason: str


def reported(info: DeviceInfo) -> DeviceDecision | None:
    """What of a device concerns the employer; None for all that the corporate layer did not decide (P6).

    That is: what its rules take or refuse, and what is in its partition. An owner's rule or answer that sent
    it there is not named.
    """
    corporate = info.rule.startswith("corporate:") and info.verdict in ("corporate", "deny")
    if not corporate and info.attached_to != "corporate":
        return None
    return DeviceDecision(
        model=info.model,
        interfaces=info.interfaces[:MAX_REPORTED_INTERFACES],
        rule=info.rule if corporate else "",
        outcome=info.state,
    )


class DeviceJournal:
    """Writes what changed since it was last told.

    Args:
        state: where the owner's log is.
        clock: seconds that only go up.
    """

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._last: dict[str, tuple[Identity, str, str, str]] = {}
        self._minute = 0.0
        self._written = 0
        self._left_out = 0

    def tell(self, name: str, identity: Identity, facts: DeviceFacts, placement: Placement) -> bool:
        """Write down where a device is now, unless that is what was written last; whether it was news."""
        outcome = placement.state + (f" {placement.partition}" if placement.partition else "")
        outcome += " read-only" if placement.read_only and placement.partition else ""
        entry = (identity, outcome, placement.rule, placement.reason)
        if self._last.get(identity.port) == entry:
            return False
        self._last[identity.port] = entry
        if self._may_write():
            line = Line(
                port=identity.port,
                facts=facts,
                facts_sha256=identity.sha256,
                rule=placement.rule,
                actor=actor(placement),
                outcome=outcome,
                reason=placement.reason,
            )
            self._state.log(
                "refused" if placement.state in ("blocked", "suspended") else "decided",
                f"{name}: {outcome} by {placement.rule}",
                msgspec.json.encode(line).decode(),
            )
        return True

    def note_pci(self, taken: bool, words: str) -> None:
        """Write down that a PCI function was taken from a machine that runs, or was not let go of."""
        if self._may_write():
            self._state.log("done" if taken else "refused", words)

    def keep_only(self, ports: set[str]) -> None:
        """Forget what was told of ports where nothing is any more."""
        for port in self._last.keys() - ports:
            del self._last[port]

    def _may_write(self) -> bool:
        now = self._clock()
        if now - self._minute >= 60:
            if self._left_out:
                self._state.log("decided", f"{self._left_out} more decisions on devices, too many to list")
            self._minute, self._written, self._left_out = now, 0, 0
        if self._written < LINES_A_MINUTE:
            self._written += 1
            return True
        self._left_out += 1
        return False


def actor(placement: Placement) -> str:
    """Who decided: host, corporate, owner, or person."""
    layer = placement.rule.partition(":")[0]
    if placement.state in ("asking", "admission") or layer == "answer":
        return "person"
    return {"corporate": "corporate", "owner": "owner"}.get(layer, "host")

"""The time that trust decisions use."""

from __future__ import annotations

from datetime import UTC, datetime


def reference_time(now: int, floor: int) -> int:
    """The later of the laptop's clock and the latest time ever proven, both in seconds since the epoch.

    ``floor`` is the greatest ``issued_at`` accepted so far, so a clock set back cannot revive what expired.
    """
    return max(now, floor)


def as_datetime(now: int) -> datetime:
    """``now`` in the form the TUF library compares with; years outside its range are clamped."""
    return datetime.fromtimestamp(min(max(now, 0), 253_402_300_799), UTC)

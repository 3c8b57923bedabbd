"""Rate limits by address, in bounded memory. Clocks come in, so that the rules can be tested without
waiting."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from twinhull_policy.server import errors as e
from twinhull_policy.server.limits import LIMITS

Clock = Callable[[], float]


class FailureCounter:
    """Counts failures by address (or any other key) over the last minute.

    Args:
        most: failures a minute before the key has to wait.
        clock: seconds that only go up.
    """

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, key: str) -> None:
        """Raise TooManyAttempts when the key has used up its failures."""
        recent = [at for at in self._failures.get(key, []) if at > self._clock() - 60]
        if len(recent) >= self._most:
            raise e.TooManyAttempts

    def count(self, key: str) -> None:
        """One more failure."""
        recent = [at for at in self._failures.pop(key, []) if at > self._clock() - 60]
        self._failures[key] = [*recent[-self._most :], self._clock()]
        while len(self._failures) > LIMITS.addresses_remembered:
            self._failures.popitem(last=False)


class RateLimiter:
    """A token bucket for each key: ``burst`` requests at once, then ``per_second``.

    Of too many keys the one not seen for longest is forgotten, which only gives it a full bucket again.
    """

    def __init__(self, burst: float, per_second: float, clock: Clock = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one request. Raises TooManyRequests when the bucket is empty."""
        now = self._clock()
        level, at = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_second)
        allowed = level >= 1
        self._buckets[key] = (level - 1 if allowed else level, now)
        while len(self._buckets) > LIMITS.addresses_remembered:
            self._buckets.popitem(last=False)
        if not allowed:
            raise e.TooManyRequests

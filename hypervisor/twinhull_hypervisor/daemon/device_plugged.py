"""What is true of a device for as long as it is plugged in, and goes when it goes.

A device that comes back is a new one: it has another address, so nothing here carries over, but across a
sleep of the computer. Everything is bounded by what is plugged in now. No I/O; times are handed in, in
seconds of one clock that only goes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..devices.results import Event, UsbDevice
from .device_plan import Choice, Device, Identity
from .device_view import Seen, identity_of, see

BACKOFF_SECONDS = (1.0, 4.0, 15.0)
"""Waits before what failed is tried again; then not before it is plugged in anew or asked for."""
WAKE_SECONDS = 30.0
"""After the computer woke up, what comes back as it was counts as not having been unplugged."""
ADMISSION_TRIES = 3
"""Wrong codes before a keyboard is given up."""
NEVER = float("inf")


@dataclass(slots=True)
class Admission:
    """A new keyboard that is to prove itself: the digits, and how many of them were typed."""

    code: str = ""
    typed: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """What did not work: why, how often, and when to try again."""

    reason: str
    tries: int = 1
    again_at: float = NEVER


@dataclass(frozen=True, slots=True)
class _Slept:
    """A device as it was when the computer went to sleep."""

    works: bool
    chosen: bool
    choice: Choice | None


class Plugged:
    """The devices that are plugged in, and what was said and tried since.

    Attributes:
        rows: as devd listed them last.
        seen: what their descriptors and strings tell.
        choices: where the person sent one; None: taken back.
        admissions: keyboards that wait for their code.
        suspended: keyboards that typed too fast.
        hosted: what the host was given.
        trusted: keyboards that proved themselves, and what worked before a sleep.
    """

    def __init__(self, choices: Mapping[Identity, Choice | None]) -> None:
        self.rows: dict[Identity, UsbDevice] = {}
        self.seen: dict[Identity, Seen] = {}
        self.choices = dict(choices)
        self.admissions: dict[Identity, Admission] = {}
        self.suspended: set[Identity] = set()
        self.hosted: set[Identity] = set()
        self.trusted: set[Identity] = set()
        self._failures: dict[Identity, Failure] = {}
        self._slept: dict[tuple[str, str], _Slept] = {}
        self._slept_until = 0.0

    def take(self, rows: Iterable[UsbDevice], now: float) -> None:
        """Take over a listing."""
        before = self.rows.keys()
        self.rows = {identity_of(row): row for row in rows}
        gone, new = before - self.rows.keys(), self.rows.keys() - before
        for identity in self.choices.keys() - self.rows.keys():  # also one kept from before a restart
            del self.choices[identity]
        for known in (self.seen, self.admissions, self._failures):
            for identity in gone:
                known.pop(identity, None)
        for group in (self.suspended, self.hosted, self.trusted):
            group -= gone
        for identity in new:
            self.seen[identity] = see(self.rows[identity])
        if now < self._slept_until:
            self._awake(new)
        else:
            self._slept = {}

    def _awake(self, new: Iterable[Identity]) -> None:
        for identity in new:
            slept = self._slept.get((identity.port, identity.sha256))
            if slept is not None and slept.works:
                self.trusted.add(identity)
            if slept is not None and slept.chosen:
                self.choices[identity] = slept.choice

    def sleep(self, devices: Iterable[Device]) -> None:
        """The computer goes to sleep with these."""
        self._slept = {
            (device.port, device.identity.sha256): _Slept(
                device.works, device.identity in self.choices, self.choices.get(device.identity)
            )
            for device in devices
        }
        self._slept_until = NEVER

    def wake(self, now: float) -> None:
        """It woke up."""
        self._slept_until = now + WAKE_SECONDS

    def hear(self, event: Event) -> None:
        """Take what devd tells of a keyboard: how its admission goes, or that it typed too fast."""
        identity = next((i for i in self.rows if i.port == event.port), None)
        if identity is None:
            return
        if event.event == "burst":
            self.suspended.add(identity)
        if event.event != "admission" or identity not in self.admissions:
            return
        if event.state == "typed":
            self.admissions[identity].typed = event.count
        elif event.state == "wrong" and event.count < ADMISSION_TRIES:
            self.admissions[identity].typed = 0
        elif event.state == "done":
            del self.admissions[identity]
            self.trusted.add(identity)
        else:
            del self.admissions[identity]
            self._failures[identity] = Failure("Its code was not typed.")

    def choose(self, identity: Identity, choice: Choice | None) -> None:
        """The person sends it somewhere, None for nowhere; what failed may be tried again."""
        self.choices[identity] = choice
        self._failures.pop(identity, None)

    def forget(self, identity: Identity) -> None:
        """Begin anew with a device."""
        self.choices.pop(identity, None)
        self._failures.pop(identity, None)
        self.suspended.discard(identity)
        self.hosted.discard(identity)

    def fail(self, identity: Identity, reason: str, now: float) -> float:
        """Something did not work; in how many seconds to try again, or NEVER."""
        tries = self._failures[identity].tries + 1 if identity in self._failures else 1
        wait = BACKOFF_SECONDS[tries - 1] if tries <= len(BACKOFF_SECONDS) else NEVER
        self._failures[identity] = Failure(reason, tries, now + wait)
        return wait

    def succeed(self, identity: Identity) -> None:
        """It worked after all."""
        self._failures.pop(identity, None)

    def failure(self, identity: Identity) -> str:
        """Why what was last tried did not work; empty if it did."""
        return self._failures[identity].reason if identity in self._failures else ""

    def failed(self, now: float) -> dict[Identity, str]:
        """What is not to be tried again yet, and why."""
        return {i: failure.reason for i, failure in self._failures.items() if failure.again_at > now}

"""How long the corporate partition works without the server: a clock nobody can turn back, and five stages.

A lease begins with each signed statement that is accepted, at the time the server wrote into it. From then on
the laptop counts, and what it counted never falls:

- what the kernel's CLOCK_BOOTTIME went on (it runs through sleep, clock_gettime(2)), boot after boot;
- what the wall clock is past the lease's beginning, if that is more; it alone tells how long it was off.

So a clock set back loses nothing that was counted. A clock set forward counts as time that went by, which
locks early; it destroys nothing, because for that only time counts that the server signed (or a command).
:data:`EFFECTS` and the two tables in docs/policy.md are the state machine; tests/unit/test_lease.py reads
those tables and runs them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import UNSET

from .model import LeaseSection

HOUR = 3600


class Stage(StrEnum):
    """Where a lease is; later ones are stricter and include the earlier."""

    HELD = "held"
    WARNING = "warning"
    NO_NETWORK = "no-network"
    LOCKED = "locked"
    DESTROY = "destroy"


Keys = Literal["kept", "closed", "destroyed"]
"""What becomes of the volume's key: ``closed``, it is in no memory, and its slots are as they were."""


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage does, to the corporate partition alone."""

    warns: bool
    network: bool
    runs: bool
    keys: Keys


EFFECTS = {
    Stage.HELD: Effects(warns=False, network=True, runs=True, keys="kept"),
    Stage.WARNING: Effects(warns=True, network=True, runs=True, keys="kept"),
    Stage.NO_NETWORK: Effects(warns=True, network=False, runs=True, keys="kept"),
    Stage.LOCKED: Effects(warns=True, network=False, runs=False, keys="closed"),
    Stage.DESTROY: Effects(warns=True, network=False, runs=False, keys="destroyed"),
}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The laptop's clocks at one moment, whole seconds."""

    wall: int
    """Since the epoch; anybody may have set it to anything."""
    boottime: int
    """CLOCK_BOOTTIME: since the boot, sleep included."""
    boot_id: str
    """What tells this boot from every other (random(4))."""


class LeaseClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was counted of one lease; kept over restarts. Seconds."""

    issued_at: int
    """When the server says the lease began, since the epoch."""
    counted: int = 0
    """By BOOTTIME alone, from the moment the lease was accepted on."""
    elapsed: int = 0
    """Since the lease began, as far as anything here can tell; never falls."""
    boottime: int
    boot_id: str
    """The reading up to which was counted."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """When a lease's stages begin, seconds after the lease did; ``destroy`` is None where it never comes."""

    warning: int
    network: int
    lock: int
    destroy: int | None


class LeaseDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An answer. It never acts."""

    verdict: Stage
    targets: tuple[Literal["corporate"], ...]
    """Whether the corporate partition may run."""
    rule: str
    """The field of the policy that began the stage."""
    reason: str


def terms(section: LeaseSection) -> Terms:
    """A policy's lease in seconds."""
    lock = section.offline_hours * HOUR
    warning = section.warning_hours * HOUR
    network = warning // 4 if section.network_hours is UNSET else section.network_hours * HOUR
    wait = 0 if section.destroy_hours is UNSET else section.destroy_hours * HOUR
    return Terms(
        warning=lock - warning,
        network=lock - network,
        lock=lock,
        destroy=lock + wait if section.action == "wipe" else None,
    )


def renew_after(section: LeaseSection) -> int:
    """Seconds after which the server renews the lease of a laptop that it reaches.

    At half of the time without a warning, so that nobody is warned who is in contact, and at least four times
    in a lease; no more often than every quarter of an hour.
    """
    limits = terms(section)
    return max(HOUR // 4, min(limits.lock // 4, limits.warning // 2))


def begin(issued_at: int, now: Reading, before: LeaseClock | None) -> LeaseClock:
    """The clock of a lease that is accepted now.

    A statement that was held up on its way is as old as it is. Set the wall clock aside, and the lease before
    still says that this moment is at least as much later than its own beginning as was counted since.
    """
    known = 0
    if before is not None:
        before = advance(before, now)
        known = before.issued_at + before.counted - issued_at
    return LeaseClock(
        issued_at=issued_at,
        elapsed=max(0, now.wall - issued_at, known),
        boottime=now.boottime,
        boot_id=now.boot_id,
    )


def advance(clock: LeaseClock, now: Reading) -> LeaseClock:
    """The clock counted on to ``now``."""
    went_on = now.boottime - clock.boottime
    if now.boot_id != clock.boot_id or went_on < 0:
        # Everything since that boot came after the last reading.
        went_on = now.boottime
    return msgspec.structs.replace(
        clock,
        counted=clock.counted + went_on,
        elapsed=max(clock.elapsed + went_on, now.wall - clock.issued_at),
        boottime=now.boottime,
        boot_id=now.boot_id,
    )


def stage(limits: Terms, elapsed: int, proven: int) -> Stage:
    """The stage after ``elapsed`` seconds of which the server's signed time proves ``proven``."""
    if limits.destroy is not None and proven >= limits.destroy:
        return Stage.DESTROY
    age = max(elapsed, proven)
    if age >= limits.lock:
        return Stage.LOCKED
    if age >= limits.network:
        return Stage.NO_NETWORK
    return Stage.WARNING if age >= limits.warning else Stage.HELD


def seconds_to_next(limits: Terms, age: int) -> int | None:
    """Seconds until time alone changes the stage; None when it will not."""
    ahead = [at - age for at in (limits.warning, limits.network, limits.lock) if at > age]
    return min(ahead, default=None)


def decide_lease(section: LeaseSection, elapsed: int, proven: int = 0) -> LeaseDecision:
    """The answer in words. Pure and total.

    Args:
        section: of the policy in force.
        elapsed: seconds since the last contact, as the laptop counted them.
        proven: how many of them the server's signed time proves.
    """
    limits = terms(section)
    now = stage(limits, elapsed, proven)
    age = max(elapsed, proven)
    rule, reason = {
        Stage.HELD: ("offline_hours", f"The server was heard of {_time(age)} ago."),
        Stage.WARNING: (
            "warning_hours",
            f"It locks in {_time(limits.lock - age)} unless the server is heard of.",
        ),
        Stage.NO_NETWORK: (
            "network_hours",
            f"It has no network now and locks in {_time(limits.lock - age)} unless the server is heard of.",
        ),
        Stage.LOCKED: (
            "offline_hours",
            f"The server was not heard of for {_time(age)}; the policy allows {_time(limits.lock)}.",
        ),
        Stage.DESTROY: (
            "action",
            f"The server's signed time proves {_time(proven)} without contact, and the policy says wipe.",
        ),
    }[now]
    return LeaseDecision(
        verdict=now,
        targets=("corporate",) if EFFECTS[now].runs else (),
        rule=f"corporate:lease.{rule}",
        reason=reason,
    )


def _time(seconds: int) -> str:
    """A length of time in words, in the largest unit of which there are at least two."""
    for unit, length in (("days", 24 * HOUR), ("hours", HOUR), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{max(0, seconds)} seconds"

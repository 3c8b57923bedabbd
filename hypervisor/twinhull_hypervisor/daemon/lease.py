"""The lease of the statement in force: counted here, and asked wherever the corporate partition would run.

What counts is pure (``twinhull_policy.lease``); this keeps it over restarts. A statement with another time of
issue is another lease, whoever put it in force: so a crash between the two leaves nothing to repair.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec
from twinhull_policy.api.types import LeaseInfo
from twinhull_policy.lease import (
    EFFECTS,
    Effects,
    LeaseClock,
    Reading,
    Stage,
    advance,
    begin,
    decide_lease,
    seconds_to_next,
    stage,
    terms,
)
from twinhull_policy.model import LeaseSection
from twinhull_policy.names import Partition

from ..domain.machine import MachineState
from .device_memory import boot_id
from .inbox import InForce
from .partition_errors import LeaseEnded, LockedByCommand
from .state import State

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often it is looked at. The timer stands still in sleep: without logind it is this late after one."""
SAVE_SECONDS = 60
"""So much of what was counted may be lost with the power; the wall clock usually makes up for it."""
_FREE = Effects(warns=False, network=True, runs=True, keys="kept")


class Clocks(Protocol):
    """The laptop's clocks."""

    def read(self) -> Reading:
        """All of them now."""


class SystemClocks:
    """The kernel's."""

    def __init__(self) -> None:
        self._boot_id = boot_id()

    def read(self) -> Reading:
        """All of them now."""
        return Reading(
            wall=int(time.time()),
            boottime=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
            boot_id=self._boot_id,
        )


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What survives a restart.

    ``held``: core paused the corporate machine itself, and lets it go on as soon as it may.
    """

    clock: LeaseClock
    stage: Stage = Stage.HELD
    held: bool = False


class Step(NamedTuple):
    """What to do to the corporate machine."""

    cut: bool
    """Take its network away."""
    pause: bool
    go_on: bool
    forget: bool
    """Core does not hold it any more."""
    evict: bool
    """End it and close its volume, so that its key is in no memory."""


def lease_step(allowed: Effects, machine: MachineState, *, held: bool, asleep: bool) -> Step:
    """From what the lease allows and what the machine does to what follows; nothing once that was done.

    Args:
        held: core paused the machine itself. It goes on by itself once it may; one that the person paused
            does not.
        asleep: the computer is about to sleep, or has not been seen to wake up. There is no time then to end
            a machine well; it stands still, and is ended before it would run again.
    """
    may_run = allowed.runs and not asleep
    evict = allowed.keys == "closed" and not asleep
    return Step(
        cut=not allowed.network and machine is not MachineState.ABSENT,
        pause=machine is MachineState.RUNNING and not may_run and not evict,
        go_on=machine is MachineState.PAUSED and held and may_run,
        forget=held and (may_run or evict),
        evict=evict,
    )


class LeaseKeeper:
    """Counts the lease in force and says what it allows. Not safe to use from several threads at once.

    Args:
        in_force: the statement and policy that count now, or None.
        on_change: told "lease" when the stage is another.
        locked: why a command of the employer forbids it to run, empty when none does.
        closed: why it may not run though nobody locked it, empty when it may; it stands still then.
    """

    def __init__(
        self,
        *,
        state: State,
        clocks: Clocks,
        in_force: Callable[[], InForce | None],
        on_change: Callable[[str], object],
        locked: Callable[[], str] = str,
        closed: Callable[[], str] = str,
    ) -> None:
        self._state = state
        self._commanded = locked
        self._closed = closed
        self._clocks = clocks
        self._in_force = in_force
        self._on_change = on_change
        self._kept = state.get("lease", _Kept)
        self._saved_at = 0

    def look(self) -> Stage | None:
        """Count up to now; the stage, None while no policy is in force."""
        in_force = self._in_force()
        if in_force is None:
            if self._kept is not None and not self._locked():
                self._kept = None
                self._state.forget("lease")
                self._on_change("lease")
            return None
        before, now = self._kept, self._clocks.read()
        issued = in_force.statement.issued_at
        if before is None or before.clock.issued_at != issued:
            clock = begin(issued, now, before.clock if before else None)
        else:
            clock = advance(before.clock, now)
        reached = stage(terms(in_force.policy.lease), clock.elapsed, self._proven(clock))
        self._keep(_Kept(clock=clock, stage=reached, held=before is not None and before.held))
        if before is None or before.stage is not reached:
            self._tell(in_force.policy.lease, clock, reached, quiet=before is None)
        return reached

    def _proven(self, clock: LeaseClock) -> int:
        return max(0, self._state.position().time_floor - clock.issued_at)

    def _keep(self, kept: _Kept) -> None:
        before, self._kept = self._kept, kept
        due = abs(kept.clock.boottime - self._saved_at) >= SAVE_SECONDS
        same = before is not None and (
            (before.clock.issued_at, before.clock.boot_id, before.stage, before.held)
            == (kept.clock.issued_at, kept.clock.boot_id, kept.stage, kept.held)
        )
        if due or not same:
            self._state.put("lease", kept)
            self._saved_at = kept.clock.boottime

    def _tell(self, section: LeaseSection, clock: LeaseClock, reached: Stage, *, quiet: bool) -> None:
        reason = decide_lease(section, clock.elapsed, self._proven(clock)).reason
        if not quiet or reached is not Stage.HELD:
            self._state.log("decided", f"Lease: {reached}. {reason}")
            logger.info("lease: %s. %s", reached, reason)
        self._on_change("lease")

    def effects(self) -> Effects:
        """What the corporate partition may do now; before a policy nothing is forbidden that exists."""
        reached = self.look()
        effects = _FREE if reached is None else EFFECTS[reached]
        if self._locked():
            effects = msgspec.structs.replace(effects, network=False, runs=False)
        if self._commanded() and effects.keys == "kept":
            effects = msgspec.structs.replace(effects, keys="closed")
        return effects

    def _locked(self) -> str:
        return self._commanded() or self._closed()

    def network_allowed(self, partition: Partition) -> bool:
        """Whether a partition may have its network; the personal one always may."""
        return partition is Partition.PERSONAL or self.effects().network

    def require(self, partition: Partition) -> None:
        """Refuse to let a locked corporate partition run. Raises LeaseEnded, LockedByCommand."""
        reason = self.barred(partition)
        if reason and self._locked():
            raise LockedByCommand(reason=reason)
        if reason:
            raise LeaseEnded(reason=reason)

    def barred(self, partition: Partition) -> str:
        """Why a partition may not run now, in words; empty when it may."""
        if partition is Partition.PERSONAL or self.effects().runs:
            return ""
        return self._locked() or self.info().reason

    @property
    def held(self) -> bool:
        """Whether core paused the corporate machine itself."""
        return self._kept is not None and self._kept.held

    def hold(self, held: bool) -> None:
        """Remember that core paused the corporate machine itself, or that it does no more."""
        if self._kept is not None and self._kept.held != held:
            self._keep(msgspec.structs.replace(self._kept, held=held))

    def info(self) -> LeaseInfo:
        """As the bus shows it."""
        reached, in_force, kept = self.look(), self._in_force(), self._kept
        if reached is None or in_force is None or kept is None:
            return LeaseInfo()
        limits = terms(in_force.policy.lease)
        age = max(kept.clock.elapsed, self._proven(kept.clock))
        return LeaseInfo(
            stage=reached.value,
            reason=decide_lease(in_force.policy.lease, kept.clock.elapsed, self._proven(kept.clock)).reason,
            offline_seconds=age,
            next_in_seconds=seconds_to_next(limits, age) or 0,
            locks_in_seconds=max(0, limits.lock - age),
        )

    def ends_at(self) -> float:
        """When the partition locks, by the wall clock as it is now; 0 without a policy."""
        in_force = self._in_force()
        if self.look() is None or in_force is None or self._kept is None:
            return 0.0
        clock = self._kept.clock
        left = terms(in_force.policy.lease).lock - max(clock.elapsed, self._proven(clock))
        return float(self._clocks.read().wall + left)

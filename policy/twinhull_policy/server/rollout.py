"""Rollouts: a new policy comes to 1 %, 10 %, then all of a group, and halts by itself when reports degrade.

:func:`judge` is the rule, and pure; the rest reads the store and writes down what it said.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.store import audit, groups, policies, rollouts
from twinhull_policy.server.store.rollouts import Progress, Rollout

RINGS = (1, 10, 100)
"""Per cent of the group, in this order."""
FAILED_PERCENT = 2
"""More failures than this, of the devices reached, halt a rollout; of fewer than 50 devices one is enough."""
APPLIED_PERCENT = 95
"""So many of the devices reached must have it before the next ring begins."""
SOAK_SECONDS = 600.0
"""A ring lasts at least so long, because not everything that breaks breaks at once."""
EVERYONE = 2**31 - 1
"""The highest ring number a device can have."""
ROBOT = "rollout"
"""The actor in the audit log when nobody asked."""


@dataclass(frozen=True)
class Judgement:
    """What to do with a rollout, and why in words."""

    action: Literal["wait", "next", "halt"]
    reason: str


def judge(progress: Progress, ring_seconds: float) -> Judgement:
    """Decide on a running rollout.

    Args:
        progress: what the devices say that it has reached.
        ring_seconds: since this ring began.
    """
    if progress.failed * 100 > progress.devices * FAILED_PERCENT:
        return Judgement("halt", f"{progress.failed} of {progress.devices} devices report a failure")
    if progress.applied * 100 < progress.devices * APPLIED_PERCENT:
        return Judgement("wait", f"{progress.applied} of {progress.devices} devices have it")
    if ring_seconds < SOAK_SECONDS and progress.devices:
        return Judgement("wait", f"all is well; the ring lasts at least {SOAK_SECONDS / 60:.0f} minutes")
    return Judgement("next", f"{progress.applied} of {progress.devices} devices have it")


def start(tx: s.Tx, group: str, policy_sha256: str, base: str | None, actor: str) -> Rollout:
    """Begin with the first ring.

    Args:
        tx: a writing transaction.
        group: who is to get it.
        policy_sha256: a published policy, whole hash.
        base: what the group has now, empty for none; None to replace whatever is there.
        actor: who asks.

    Raises UnknownGroup, UnknownPolicy, RolloutOpen, StaleBase.
    """
    found = groups.get(tx, group)
    if found is None:
        raise e.UnknownGroup(name=group)
    if policies.get(tx, policy_sha256) is None:
        raise e.UnknownPolicy(sha256=policy_sha256)
    check_free(tx, group)
    current = found.policy_sha256 or ""
    if base is not None and base != current:
        raise e.StaleBase(current=current or "none", base=base or "none")
    number = rollouts.add(
        tx, group=group, policy_sha256=policy_sha256, base_sha256=current, by=actor, now=time.time()
    )
    audit.append(tx, actor, "rollout start", f"rollout {number}, {policy_sha256} to group {group}")
    return _advance(tx, _get(tx, number), actor, "begins")


def check_free(tx: s.Tx, group: str) -> None:
    """Raise RolloutOpen while a rollout decides what a group has."""
    if rollouts.open_of(tx, group) is not None:
        raise e.RolloutOpen(group=group)


def steer(
    tx: s.Tx, number: int, action: Literal["advance", "halt", "resume", "withdraw"], actor: str
) -> Rollout:
    """What a person asks of an open rollout. Withdrawn, everybody gets the old policy back.

    Raises UnknownRollout, also when the rollout is not in a state for this.
    """
    rollout = _get(tx, number)
    if rollout.state not in ({"advance": ("running",), "halt": ("running",), "resume": ("halted",)}).get(
        action, rollouts.OPEN
    ):
        raise e.UnknownRollout(number=number)
    match action:
        case "advance":
            return _advance(tx, rollout, actor, f"advanced by {actor}")
        case "halt":
            return _set(tx, rollout, "halted", f"halted by {actor}", actor)
        case "resume":
            return _set(tx, rollout, "running", f"resumed by {actor}", actor)
        case "withdraw":
            return _set(tx, rollout, "withdrawn", f"withdrawn by {actor}", actor)


def tick(tx: s.Tx, now: float) -> list[Rollout]:
    """Judge every running rollout; returns those that changed. Needs a writing transaction."""
    changed = []
    for rollout in rollouts.open_ones(tx):
        if rollout.state != "running":
            continue
        judgement = judge(rollouts.progress(tx, rollout), now - rollout.ring_at)
        if judgement.action == "halt":
            changed.append(_set(tx, rollout, "halted", judgement.reason, ROBOT))
        elif judgement.action == "next":
            changed.append(_advance(tx, rollout, ROBOT, judgement.reason))
    return changed


def _advance(tx: s.Tx, rollout: Rollout, actor: str, reason: str) -> Rollout:
    later = [ring for ring in RINGS if ring > rollout.percent]
    if not later:
        groups.assign_policy(tx, rollout.group, rollout.policy_sha256)
        return _set(tx, rollout, "done", reason, actor)
    percent = later[0]
    cutoff = EVERYONE if percent == RINGS[-1] else rollouts.cutoff(tx, rollout.group, percent)
    rollouts.set_ring(tx, rollout.number, percent, cutoff, time.time())
    audit.append(tx, actor, "rollout ring", f"rollout {rollout.number}, {percent} %: {reason}")
    return _get(tx, rollout.number)


def _set(tx: s.Tx, rollout: Rollout, state: rollouts.State, reason: str, actor: str) -> Rollout:
    rollouts.set_state(tx, rollout.number, state, reason)
    audit.append(tx, actor, f"rollout {state}", f"rollout {rollout.number}: {reason}")
    return _get(tx, rollout.number)


def _get(tx: s.Tx, number: int) -> Rollout:
    rollout = rollouts.get(tx, number)
    if rollout is None:
        raise e.UnknownRollout(number=number)
    return rollout

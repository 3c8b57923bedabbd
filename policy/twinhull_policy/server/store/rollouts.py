"""Rollouts: a policy that comes to a group ring by ring."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import func, insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records

State = Literal["running", "halted", "done", "withdrawn"]
OPEN = ("running", "halted")


class Rollout(Record, frozen=True, kw_only=True):
    """One rollout. ``percent`` of the group, those whose ring number is at most ``cutoff``, are to have
    the policy.

    ``base_sha256`` (empty for none) is what the others go on having; ``ring_at`` is when this ring began.
    """

    number: int
    group: str
    policy_sha256: str
    base_sha256: str
    percent: int
    cutoff: int
    state: State
    reason: str
    started_by: str
    started_at: float
    ring_at: float


class Progress(Record, frozen=True, kw_only=True):
    """How the devices of the rings reached so far do: ``applied`` and ``failed`` of ``devices``."""

    devices: int
    applied: int
    failed: int


def add(tx: s.Tx, *, group: str, policy_sha256: str, base_sha256: str, by: str, now: float) -> int:
    """A new rollout that has reached nobody yet; its number."""
    row = insert(s.rollouts).values(
        group=group,
        policy_sha256=policy_sha256,
        base_sha256=base_sha256,
        percent=0,
        cutoff=-1,
        state="running",
        reason="",
        started_by=by,
        started_at=now,
        ring_at=now,
    )
    return int(tx.execute(row.returning(s.rollouts.c.number)).scalar_one())


def get(tx: s.Tx, number: int) -> Rollout | None:
    """A rollout, or None."""
    row = tx.execute(select(s.rollouts).where(s.rollouts.c.number == number)).first()
    return None if row is None else record(Rollout, row)


def open_ones(tx: s.Tx) -> list[Rollout]:
    """The rollouts that are not over, at most one a group."""
    return records(Rollout, tx.execute(select(s.rollouts).where(s.rollouts.c.state.in_(OPEN))))


def open_of(tx: s.Tx, group: str) -> Rollout | None:
    """A group's rollout that is not over, or None."""
    query = select(s.rollouts).where(s.rollouts.c.group == group, s.rollouts.c.state.in_(OPEN))
    row = tx.execute(query).first()
    return None if row is None else record(Rollout, row)


def newest(tx: s.Tx, limit: int) -> list[Rollout]:
    """Rollouts from the newest down."""
    query = select(s.rollouts).order_by(s.rollouts.c.number.desc()).limit(limit)
    return records(Rollout, tx.execute(query))


def set_ring(tx: s.Tx, number: int, percent: int, cutoff: int, now: float) -> None:
    """Begin a ring."""
    query = update(s.rollouts).where(s.rollouts.c.number == number)
    tx.execute(query.values(percent=percent, cutoff=cutoff, ring_at=now))


def set_state(tx: s.Tx, number: int, state: State, reason: str) -> None:
    """Halt, go on, or end."""
    tx.execute(update(s.rollouts).where(s.rollouts.c.number == number).values(state=state, reason=reason))


def cutoff(tx: s.Tx, group: str, percent: int) -> int:
    """The ring number up to which ``percent`` of a group's devices lie; at least one device if there is
    any."""
    table = s.devices
    of_group = (table.c.group == group, table.c.revoked_at.is_(None))
    number = int(tx.execute(select(func.count()).where(*of_group)).scalar_one())
    if number == 0:
        return -1
    last = -(-number * percent // 100) - 1
    query = select(table.c.ring).where(*of_group).order_by(table.c.ring).offset(last).limit(1)
    return int(tx.execute(query).scalar_one())


def progress(tx: s.Tx, rollout: Rollout) -> Progress:
    """What the devices that a rollout has reached say."""
    table = s.devices
    reached = (
        table.c.group == rollout.group,
        table.c.ring <= rollout.cutoff,
        table.c.revoked_at.is_(None),
    )
    applied = (table.c.health != "failed") & (table.c.applied_policy == rollout.policy_sha256)
    failed = (table.c.health == "failed") & (table.c.reported_at >= rollout.started_at)
    query = select(
        func.count(),
        func.count().filter(applied),
        func.count().filter(failed),
    ).where(*reached)
    devices, done, bad = tx.execute(query).one()
    return Progress(devices=devices, applied=done, failed=bad)

"""What was signed with keys that have been replaced, and what takes its place."""

from __future__ import annotations

from sqlalchemy import select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rollouts import OPEN
from twinhull_policy.server.store.rows import Record, records


class Body(Record, frozen=True, kw_only=True):
    """A policy that laptops are to have, with its text and its signed body."""

    sha256: str
    document: str
    envelope: bytes
    published_by: str


def assigned(tx: s.Tx) -> list[Body]:
    """The policies that a group has, or that a rollout is bringing or would go back to."""
    rollouts = s.rollouts.c.state.in_(OPEN)
    wanted = select(s.groups.c.policy_sha256).where(s.groups.c.policy_sha256.is_not(None))
    coming = select(s.rollouts.c.policy_sha256).where(rollouts)
    base = select(s.rollouts.c.base_sha256).where(rollouts)
    column = s.policies.c.sha256
    query = select(s.policies).where(column.in_(wanted) | column.in_(coming) | column.in_(base))
    return records(Body, tx.execute(query))


def replace(tx: s.Tx, old: str, new: str) -> None:
    """Everybody who has or is to have the one body has the other instead."""
    tx.execute(update(s.groups).where(s.groups.c.policy_sha256 == old).values(policy_sha256=new))
    for column in (s.rollouts.c.policy_sha256, s.rollouts.c.base_sha256):
        query = update(s.rollouts).where(column == old, s.rollouts.c.state.in_(OPEN))
        tx.execute(query.values({column: new}))

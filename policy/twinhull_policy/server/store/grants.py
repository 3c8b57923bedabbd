"""Device grants (RFC 8628): laptops that ask to be let in, and what an administrator answered."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import delete, func, insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records

State = Literal["pending", "approved", "denied", "used"]


class Grant(Record, frozen=True, kw_only=True):
    """One request. ``interval`` is the shortest time between two polls, in seconds."""

    device_code_sha256: str
    user_code: str
    key_sha256: str
    initiator: str
    address: str
    created_at: float
    expires_at: float
    polled_at: float
    interval: int
    state: State
    group: str | None
    decided_by: str


def add(tx: s.Tx, grant: Grant) -> None:
    """A new request."""
    tx.execute(insert(s.grants).values({name: getattr(grant, name) for name in Grant.__struct_fields__}))


def by_device_code(tx: s.Tx, device_code_sha256: str) -> Grant | None:
    """The request a laptop polls for, or None."""
    row = tx.execute(select(s.grants).where(s.grants.c.device_code_sha256 == device_code_sha256)).first()
    return None if row is None else record(Grant, row)


def by_user_code(tx: s.Tx, user_code: str) -> Grant | None:
    """The request a person names by its short code, or None."""
    row = tx.execute(select(s.grants).where(s.grants.c.user_code == user_code)).first()
    return None if row is None else record(Grant, row)


def pending(tx: s.Tx, now: float) -> list[Grant]:
    """The requests that wait for an answer, oldest first."""
    table = s.grants
    query = select(table).where(table.c.state == "pending", table.c.expires_at > now)
    return records(Grant, tx.execute(query.order_by(table.c.created_at)))


def pending_count(tx: s.Tx, now: float) -> int:
    """How many requests wait."""
    table = s.grants
    query = select(func.count()).where(table.c.state == "pending", table.c.expires_at > now)
    return int(tx.execute(query).scalar_one())


def polled(tx: s.Tx, device_code_sha256: str, interval: int, now: float) -> None:
    """Note a poll, and how long the next one has to wait."""
    query = update(s.grants).where(s.grants.c.device_code_sha256 == device_code_sha256)
    tx.execute(query.values(polled_at=now, interval=interval))


def decide(
    tx: s.Tx, user_code: str, state: State, group: str | None, by: str, now: float, expires_at: float
) -> bool:
    """Answer a request that waits; False when there is none of this code, or it is too late."""
    table = s.grants
    query = update(table).where(
        table.c.user_code == user_code, table.c.state == "pending", table.c.expires_at > now
    )
    values = {"state": state, "group": group, "decided_by": by, "expires_at": expires_at}
    return tx.execute(query.values(values)).rowcount == 1


def use(tx: s.Tx, device_code_sha256: str) -> bool:
    """Hand out what was approved, once; False when it was handed out."""
    query = update(s.grants).where(
        s.grants.c.device_code_sha256 == device_code_sha256, s.grants.c.state == "approved"
    )
    return tx.execute(query.values(state="used")).rowcount == 1


def drop(tx: s.Tx, before: float) -> None:
    """Forget requests that ended before a time."""
    tx.execute(delete(s.grants).where(s.grants.c.expires_at < before))

"""What needs two administrators: asked for by one, approved by another, used once."""

from __future__ import annotations

import msgspec
from sqlalchemy import insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records


class Approval(Record, frozen=True, kw_only=True):
    """One request. ``devices`` is a JSON list of device ids."""

    number: int
    action: str
    devices: str
    reason: str
    requested_by: str
    requested_at: float
    expires_at: float
    approved_by: str
    approved_at: float | None
    used_at: float | None

    def device_ids(self) -> list[str]:
        """Whom it is about."""
        return msgspec.json.decode(self.devices, type=list[str])


def add(
    tx: s.Tx, *, action: str, device_ids: list[str], reason: str, by: str, now: float, expires_at: float
) -> int:
    """A new request; its number."""
    row = insert(s.approvals).values(
        action=action,
        devices=msgspec.json.encode(device_ids).decode(),
        reason=reason,
        requested_by=by,
        requested_at=now,
        expires_at=expires_at,
    )
    return int(tx.execute(row.returning(s.approvals.c.number)).scalar_one())


def get(tx: s.Tx, number: int) -> Approval | None:
    """A request, or None."""
    row = tx.execute(select(s.approvals).where(s.approvals.c.number == number)).first()
    return None if row is None else record(Approval, row)


def newest(tx: s.Tx, limit: int) -> list[Approval]:
    """Requests from the newest down."""
    return records(
        Approval, tx.execute(select(s.approvals).order_by(s.approvals.c.number.desc()).limit(limit))
    )


def approve(tx: s.Tx, number: int, by: str, now: float) -> bool:
    """Approve an open request of somebody else; False when it is not that."""
    table = s.approvals
    query = update(table).where(
        table.c.number == number,
        table.c.requested_by != by,
        table.c.approved_at.is_(None),
        table.c.expires_at > now,
    )
    return tx.execute(query.values(approved_by=by, approved_at=now)).rowcount == 1


def use(tx: s.Tx, number: int, now: float) -> bool:
    """Use an approval up; False when it is not approved, over, or used."""
    table = s.approvals
    query = update(table).where(
        table.c.number == number,
        table.c.approved_at.is_not(None),
        table.c.used_at.is_(None),
        table.c.expires_at > now,
    )
    return tx.execute(query.values(used_at=now)).rowcount == 1

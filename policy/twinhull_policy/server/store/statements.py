"""Statements: what each device was told, the newest of which counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Row, bindparam, case, delete, insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records

CHUNK = 1000
"""Rows fetched at a time, so that a fleet of any size fits in memory."""


class Signed(Record, frozen=True, kw_only=True):
    """A statement as it was signed. Times are seconds since the epoch."""

    device_id: str
    seq: int
    sha256: str
    envelope: bytes
    desired_sha256: str
    issued_at: float
    expires_at: float


class Standing(Record, frozen=True, kw_only=True):
    """What a device's next statement depends on, and what the last one was (``seq`` 0 for none)."""

    device_id: str
    group: str
    ring: int
    enrol_epoch: int
    address: str | None
    seq: int
    sha256: str | None
    desired_sha256: str | None
    expires_at: float | None


def newest(tx: s.Tx, device_id: str) -> Signed | None:
    """A device's newest statement, or None."""
    table = s.statements
    query = select(table).where(table.c.device_id == device_id).order_by(table.c.seq.desc()).limit(1)
    row = tx.execute(query).first()
    return None if row is None else record(Signed, row)


def recent(tx: s.Tx, device_id: str, limit: int) -> list[Signed]:
    """A device's statements from the newest down."""
    table = s.statements
    query = select(table).where(table.c.device_id == device_id).order_by(table.c.seq.desc()).limit(limit)
    return records(Signed, tx.execute(query))


def standings(tx: s.Tx, device_id: str = "") -> Iterator[Standing]:
    """Where one device, or (empty) every one that is not revoked, stands: one query for them all."""
    last = s.statements
    query = (
        select(
            s.devices.c.device_id,
            s.devices.c.group,
            s.devices.c.ring,
            s.devices.c.enrol_epoch,
            s.devices.c.address,
            s.devices.c.seq,
            last.c.sha256,
            last.c.desired_sha256,
            last.c.expires_at,
        )
        .outerjoin(last, (last.c.device_id == s.devices.c.device_id) & (last.c.seq == s.devices.c.seq))
        .where(s.devices.c.revoked_at.is_(None))
    )
    if device_id:
        query = query.where(s.devices.c.device_id == device_id)
    for rows in tx.execute(query.execution_options(yield_per=CHUNK)).partitions():
        yield from map(_standing, rows)


def add(tx: s.Tx, signed: Iterable[Signed], kept: int) -> None:
    """Store new statements, one a device at most, and of each device only the newest ``kept``."""
    rows = [{name: getattr(one, name) for name in Signed.__struct_fields__} for one in signed]
    if not rows:
        return
    tx.execute(insert(s.statements), rows)
    parameters = [{"which": row["device_id"], "newest": row["seq"]} for row in rows]
    health = case((s.devices.c.health == "new", "new"), else_="pending")
    tx.execute(
        update(s.devices)
        .where(s.devices.c.device_id == bindparam("which"))
        .values(seq=bindparam("newest"), health=health),
        parameters,
    )
    old = [{"which": row["device_id"], "last": row["seq"] - kept} for row in rows if row["seq"] > kept]
    if old:
        table = s.statements
        tx.execute(
            delete(table).where(table.c.device_id == bindparam("which"), table.c.seq <= bindparam("last")),
            old,
        )


def _standing(row: Row[Any, Any, Any, Any, Any, Any, Any, Any, Any]) -> Standing:
    # Built by hand: of a large fleet there is one for each device at each publication.
    return Standing(
        device_id=row[0],
        group=row[1],
        ring=row[2],
        enrol_epoch=row[3],
        address=row[4],
        seq=row[5],
        sha256=row[6],
        desired_sha256=row[7],
        expires_at=row[8],
    )

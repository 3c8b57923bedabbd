"""Reports of devices, the newest few of each."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, records


class Report(Record, frozen=True, kw_only=True):
    """A report as it came; ``body`` is its JSON to the byte."""

    number: int
    device_id: str
    at: float
    body: str


def add(tx: s.Tx, rows: list[tuple[str, float, str]], kept: int) -> None:
    """Keep reports (device, time, body), and of each device no more than the newest ``kept``."""
    table = s.reports
    tx.execute(insert(table), [{"device_id": device, "at": at, "body": body} for device, at, body in rows])
    older = (
        select(table.c.number)
        .where(table.c.device_id == bindparam("which"))
        .order_by(table.c.number.desc())
        .limit(1)
        .offset(kept)
        .scalar_subquery()
    )
    query = delete(table).where(table.c.device_id == bindparam("which"), table.c.number <= older)
    tx.execute(query, [{"which": device} for device in {row[0] for row in rows}])


def recent(tx: s.Tx, device_id: str, limit: int) -> list[Report]:
    """A device's reports from the newest down."""
    table = s.reports
    query = select(table).where(table.c.device_id == device_id).order_by(table.c.number.desc()).limit(limit)
    return records(Report, tx.execute(query))


def everyone(tx: s.Tx) -> list[Report]:
    """All reports kept, oldest first."""
    return records(Report, tx.execute(select(s.reports).order_by(s.reports.c.number)))

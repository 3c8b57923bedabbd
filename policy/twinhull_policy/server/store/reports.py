"""Reports of devices, the newest few of each."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, records


class Report(Record, frozen=True, kw_only=True):
    """A report as it came; ``body`` is its JSON to the byte."""

    number: int
    device_id: str
    at: float
    body: str


def add(tx: s.Tx, device_id: str, at: float, body: str, kept: int) -> None:
    """Keep a report, and of this device no more than the newest ``kept``."""
    table = s.reports
    tx.execute(insert(table).values(device_id=device_id, at=at, body=body))
    newest = (
        select(table.c.number)
        .where(table.c.device_id == device_id)
        .order_by(table.c.number.desc())
        .limit(kept)
    )
    tx.execute(delete(table).where(table.c.device_id == device_id, table.c.number.not_in(newest)))


def recent(tx: s.Tx, device_id: str, limit: int) -> list[Report]:
    """A device's reports from the newest down."""
    table = s.reports
    query = select(table).where(table.c.device_id == device_id).order_by(table.c.number.desc()).limit(limit)
    return records(Report, tx.execute(query))


def everyone(tx: s.Tx) -> list[Report]:
    """All reports kept, oldest first."""
    return records(Report, tx.execute(select(s.reports).order_by(s.reports.c.number)))

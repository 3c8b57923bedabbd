"""The audit log: appended in the transaction that makes the change, chained, never changed."""

from __future__ import annotations

import time

from sqlalchemy import insert, select

from twinhull_policy.server import storage as s
from twinhull_policy.server.chain import link
from twinhull_policy.server.store.rows import Record, records

PAGE = 1000


class Line(Record, frozen=True, kw_only=True):
    """One line: when (seconds since the epoch), who, what, on what, and its hash in the chain."""

    number: int
    at: float
    actor: str
    action: str
    detail: str
    sha256: str


class Verdict(Record, frozen=True, kw_only=True):
    """What checking the chain found. ``broken_at`` is the first line that does not follow, or None."""

    lines: int
    head: str
    broken_at: int | None


def append(tx: s.Tx, actor: str, action: str, detail: str) -> None:
    """Write a line. Needs a writing transaction, which makes the order of lines the order of changes."""
    last = tx.execute(
        select(s.audit.c.number, s.audit.c.sha256).order_by(s.audit.c.number.desc()).limit(1)
    ).first()
    number, before = (1, "") if last is None else (last.number + 1, last.sha256)
    at = time.time()
    sha256 = link(before, number, at, actor, action, detail)
    tx.execute(
        insert(s.audit).values(number=number, at=at, actor=actor, action=action, detail=detail, sha256=sha256)
    )


def newest(tx: s.Tx, limit: int, before: int = 0, containing: str = "") -> list[Line]:
    """Lines from the newest down, of those below number ``before`` (0 for all) that hold a text (empty:
    all)."""
    query = select(s.audit).order_by(s.audit.c.number.desc()).limit(limit)
    if before:
        query = query.where(s.audit.c.number < before)
    if containing:
        columns = (s.audit.c.actor, s.audit.c.action, s.audit.c.detail)
        match = columns[0].contains(containing, autoescape=True)
        for column in columns[1:]:
            match |= column.contains(containing, autoescape=True)
        query = query.where(match)
    return records(Line, tx.execute(query))


def verify(tx: s.Tx) -> Verdict:
    """Walk the whole chain in bounded memory."""
    before, number = "", 0
    query = select(s.audit).order_by(s.audit.c.number).execution_options(yield_per=PAGE)
    for number, row in enumerate(tx.execute(query), 1):
        expected = link(before, number, row.at, row.actor, row.action, row.detail)
        if row.number != number or row.sha256 != expected:
            return Verdict(lines=number - 1, head=before, broken_at=row.number)
        before = row.sha256
    return Verdict(lines=number, head=before, broken_at=None)


def holds(tx: s.Tx, sha256: str) -> bool:
    """Whether a line has this hash."""
    return tx.execute(select(s.audit.c.number).where(s.audit.c.sha256 == sha256).limit(1)).first() is not None

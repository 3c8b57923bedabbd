"""Published policies, and drafts that wait for the policy key."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records

DraftState = Literal["open", "published", "withdrawn"]


class Policy(Record, frozen=True, kw_only=True):
    """A published policy without its text."""

    sha256: str
    published_at: float
    published_by: str


class Draft(Record, frozen=True, kw_only=True):
    """A policy somebody wants published. ``base_sha256`` (empty for none) is what the group had then."""

    number: int
    group: str
    base_sha256: str
    document: str
    note: str
    author: str
    created_at: float
    state: DraftState


def add(tx: s.Tx, sha256: str, document: str, envelope: bytes, by: str, now: float) -> None:
    """Store a signed policy body, unless it is there already."""
    if get(tx, sha256) is None:
        row = {"sha256": sha256, "document": document, "envelope": envelope}
        tx.execute(insert(s.policies).values(row | {"published_at": now, "published_by": by}))


def get(tx: s.Tx, sha256: str) -> Policy | None:
    """A policy by its whole hash, or None."""
    row = tx.execute(select(s.policies).where(s.policies.c.sha256 == sha256)).first()
    return None if row is None else record(Policy, row)


def envelope(tx: s.Tx, sha256: str) -> bytes | None:
    """The signed body, or None."""
    found = tx.execute(select(s.policies.c.envelope).where(s.policies.c.sha256 == sha256)).scalar()
    return None if found is None else bytes(found)


def documents(tx: s.Tx, beginning: str) -> list[str]:
    """The texts of the policies whose hash begins so; two are enough to say that it is not one."""
    query = select(s.policies.c.document).where(s.policies.c.sha256.startswith(beginning, autoescape=True))
    return [str(found) for found in tx.execute(query.limit(2)).scalars()]


def everyone(tx: s.Tx) -> list[Policy]:
    """All published policies, oldest first."""
    return records(Policy, tx.execute(select(s.policies).order_by(s.policies.c.published_at)))


def add_draft(
    tx: s.Tx, *, group: str, base_sha256: str, document: str, note: str, author: str, now: float
) -> int:
    """A new open draft; its number."""
    row = insert(s.drafts).values(
        group=group,
        base_sha256=base_sha256,
        document=document,
        note=note,
        author=author,
        created_at=now,
        state="open",
    )
    return int(tx.execute(row.returning(s.drafts.c.number)).scalar_one())


def draft(tx: s.Tx, number: int) -> Draft | None:
    """A draft, or None."""
    row = tx.execute(select(s.drafts).where(s.drafts.c.number == number)).first()
    return None if row is None else record(Draft, row)


def close_draft(tx: s.Tx, number: int, state: DraftState) -> bool:
    """End an open draft; False when it is not open."""
    query = update(s.drafts).where(s.drafts.c.number == number, s.drafts.c.state == "open")
    return tx.execute(query.values(state=state)).rowcount == 1


def drafts(tx: s.Tx, limit: int) -> list[Draft]:
    """Drafts from the newest down."""
    return records(Draft, tx.execute(select(s.drafts).order_by(s.drafts.c.number.desc()).limit(limit)))

"""Values that are fixed once, most of them by ``init``."""

from __future__ import annotations

from sqlalchemy import insert, select

from twinhull_policy.server import storage as s


def add(tx: s.Tx, values: dict[str, str]) -> None:
    """Fix values."""
    tx.execute(insert(s.settings), [{"key": key, "value": value} for key, value in values.items()])


def find(tx: s.Tx, key: str) -> str | None:
    """One that may be missing."""
    found = tx.execute(select(s.settings.c.value).where(s.settings.c.key == key)).scalar()
    return None if found is None else str(found)


def get(tx: s.Tx, key: str) -> str:
    """One of them; it must be there."""
    return str(tx.execute(select(s.settings.c.value).where(s.settings.c.key == key)).scalar_one())

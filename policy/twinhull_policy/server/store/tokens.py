"""Enrolment tokens; of their secrets only the hashes."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records


class Token(Record, frozen=True, kw_only=True):
    """One token. ``bound_key`` (empty for any) is the one device key it is good for."""

    number: int
    group: str
    created_at: float
    expires_at: float
    used_at: float | None
    device_id: str | None
    revoked_at: float | None
    created_by: str
    label: str


class SecretToken(Token, frozen=True, kw_only=True):
    """A token with what only enrolment needs."""

    used_key: str | None
    bound_key: str


def add(
    tx: s.Tx,
    *,
    hash_: str,
    group: str,
    created_at: float,
    expires_at: float,
    created_by: str,
    label: str = "",
    bound_key: str = "",
) -> int:
    """A new token; its number."""
    row = insert(s.tokens).values(
        hash=hash_,
        group=group,
        created_at=created_at,
        expires_at=expires_at,
        created_by=created_by,
        label=label,
        bound_key=bound_key,
    )
    return int(tx.execute(row.returning(s.tokens.c.number)).scalar_one())


def consume(tx: s.Tx, hash_: str, key: str, now: float) -> bool:
    """Use a token up for a device key, if it is open; of many at once exactly one succeeds."""
    table = s.tokens
    query = update(table).where(
        table.c.hash == hash_,
        table.c.used_at.is_(None),
        table.c.revoked_at.is_(None),
        table.c.expires_at > now,
        table.c.bound_key.in_(("", key)),
    )
    return tx.execute(query.values(used_at=now, used_key=key)).rowcount == 1


def by_hash(tx: s.Tx, hash_: str) -> SecretToken | None:
    """The token with this hash, or None."""
    row = tx.execute(select(s.tokens).where(s.tokens.c.hash == hash_)).first()
    return None if row is None else record(SecretToken, row)


def note_device(tx: s.Tx, number: int, device_id: str) -> None:
    """Note which device a token became."""
    tx.execute(update(s.tokens).where(s.tokens.c.number == number).values(device_id=device_id))


def revoke(tx: s.Tx, number: int, now: float) -> bool:
    """Withdraw an unused token; False when there is none with this number."""
    query = update(s.tokens).where(
        s.tokens.c.number == number, s.tokens.c.used_at.is_(None), s.tokens.c.revoked_at.is_(None)
    )
    return tx.execute(query.values(revoked_at=now)).rowcount == 1


def newest(tx: s.Tx, limit: int) -> list[Token]:
    """Tokens from the newest down."""
    return records(Token, tx.execute(select(s.tokens).order_by(s.tokens.c.number.desc()).limit(limit)))


def everyone(tx: s.Tx) -> list[Token]:
    """All tokens."""
    return records(Token, tx.execute(select(s.tokens).order_by(s.tokens.c.number)))

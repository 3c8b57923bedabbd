"""Administrators' accounts and their sessions."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records


class Account(Record, frozen=True, kw_only=True):
    """An account without its secrets."""

    name: str
    role: str
    created_at: float
    disabled_at: float | None


class SecretAccount(Account, frozen=True, kw_only=True):
    """An account with what signing in needs. ``totp_used`` is the last time step whose code was used."""

    password: str
    totp_secret: bytes
    totp_used: int


class Session(Record, frozen=True, kw_only=True):
    """Somebody who is signed in."""

    account: str
    role: str
    disabled_at: float | None
    csrf: str
    created_at: float
    used_at: float
    address: str


def get(tx: s.Tx, name: str) -> SecretAccount | None:
    """An account, or None."""
    row = tx.execute(select(s.accounts).where(s.accounts.c.name == name)).first()
    return None if row is None else record(SecretAccount, row)


def everyone(tx: s.Tx) -> list[Account]:
    """All accounts, by name."""
    return records(Account, tx.execute(select(s.accounts).order_by(s.accounts.c.name)))


def add(tx: s.Tx, account: SecretAccount) -> bool:
    """A new account; False when the name is taken."""
    if get(tx, account.name) is not None:
        return False
    values = {name: getattr(account, name) for name in SecretAccount.__struct_fields__}
    tx.execute(insert(s.accounts).values(values))
    return True


def use_code(tx: s.Tx, name: str, step: int) -> bool:
    """Mark a time step's code as used; False when it, or a later one, was used before."""
    query = update(s.accounts).where(s.accounts.c.name == name, s.accounts.c.totp_used < step)
    return tx.execute(query.values(totp_used=step)).rowcount == 1


def change(
    tx: s.Tx,
    name: str,
    *,
    role: str | None = None,
    password: str | None = None,
    totp_secret: bytes | None = None,
    disabled_at: float | None = None,
) -> None:
    """Change what is given of an account, and end its sessions."""
    values = {"role": role, "password": password, "totp_secret": totp_secret, "disabled_at": disabled_at}
    changes = {column: value for column, value in values.items() if value is not None}
    tx.execute(update(s.accounts).where(s.accounts.c.name == name).values(changes))
    tx.execute(delete(s.sessions).where(s.sessions.c.account == name))


def add_session(tx: s.Tx, token_sha256: str, account: str, csrf: str, address: str, now: float) -> None:
    """A new session."""
    row = {"token_sha256": token_sha256, "account": account, "csrf": csrf, "address": address}
    tx.execute(insert(s.sessions).values(row | {"created_at": now, "used_at": now}))


def session(tx: s.Tx, token_sha256: str) -> Session | None:
    """A session with its account's role as it is now, or None."""
    query = (
        select(s.sessions, s.accounts.c.role, s.accounts.c.disabled_at)
        .join(s.accounts, s.accounts.c.name == s.sessions.c.account)
        .where(s.sessions.c.token_sha256 == token_sha256)
    )
    row = tx.execute(query).first()
    return None if row is None else record(Session, row)


def touch_session(tx: s.Tx, token_sha256: str, now: float) -> None:
    """Note that a session is in use."""
    tx.execute(update(s.sessions).where(s.sessions.c.token_sha256 == token_sha256).values(used_at=now))


def end_session(tx: s.Tx, token_sha256: str) -> None:
    """Sign out."""
    tx.execute(delete(s.sessions).where(s.sessions.c.token_sha256 == token_sha256))


def drop_sessions(tx: s.Tx, *, created_before: float, used_before: float) -> None:
    """Forget sessions that are over."""
    table = s.sessions
    tx.execute(delete(table).where((table.c.created_at < created_before) | (table.c.used_at < used_before)))

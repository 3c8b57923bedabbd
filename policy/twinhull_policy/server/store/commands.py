"""Commands to laptops, and how far each is by the laptop's own receipts."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import func, insert, select, update

from twinhull_policy.server import storage as s
from twinhull_policy.server.store.rows import Record, record, records
from twinhull_policy.trust.documents import Action

State = Literal["queued", "delivered", "started", "done", "failed"]
"""``queued``: nothing was heard of it from the laptop, whatever was sent; the others are what its receipts
say."""
OPEN = ("queued", "delivered", "started")
ORDER: dict[str, int] = {"queued": 0, "delivered": 1, "started": 2, "done": 3, "failed": 3}


class Command(Record, frozen=True, kw_only=True):
    """One command to one device. Times are seconds since the epoch.

    Attributes:
        number: counts all commands of this server, so it rises for each device too.
        approval: of a batch that a second administrator approved.
        detail: the laptop's words about how it ended.
        withdrawn_at: when it stopped being sent. A laptop that had it already may carry it out all the same.
    """

    number: int
    device_id: str
    action: Action
    sha256: str
    issued_by: str
    issued_at: float
    not_after: float
    approval: int | None
    state: State
    delivered_at: float | None
    started_at: float | None
    ended_at: float | None
    withdrawn_at: float | None
    detail: str

    def shown(self, now: float) -> str:
        """The state as it is told: also ``withdrawn`` and ``expired`` for what no laptop has begun."""
        if self.state in ("queued", "delivered"):
            if self.withdrawn_at is not None:
                return "withdrawn"
            if self.not_after < now:
                return "expired"
        return self.state


def next_number(tx: s.Tx) -> int:
    """The number of the next command; good within this writing transaction."""
    return int(tx.execute(select(func.coalesce(func.max(s.commands.c.number), 0))).scalar_one()) + 1


def add(
    tx: s.Tx,
    *,
    number: int,
    device_id: str,
    action: Action,
    sha256: str,
    envelope: bytes,
    by: str,
    issued_at: float,
    not_after: float,
    approval: int | None,
) -> None:
    """A new command, queued."""
    row = insert(s.commands).values(
        number=number,
        device_id=device_id,
        action=action,
        sha256=sha256,
        envelope=envelope,
        issued_by=by,
        issued_at=issued_at,
        not_after=not_after,
        approval=approval,
        state="queued",
    )
    tx.execute(row)


def get(tx: s.Tx, number: int) -> Command | None:
    """A command, or None."""
    row = tx.execute(select(s.commands).where(s.commands.c.number == number)).first()
    return None if row is None else record(Command, row)


def receipt(tx: s.Tx, number: int) -> bytes | None:
    """The newest receipt of a command, as the laptop signed it, or None."""
    found = tx.execute(select(s.commands.c.receipt).where(s.commands.c.number == number)).scalar()
    return None if found is None else bytes(found)


def of_device(tx: s.Tx, device_id: str, limit: int) -> list[Command]:
    """A device's commands from the newest down."""
    query = select(s.commands).where(s.commands.c.device_id == device_id)
    return records(Command, tx.execute(query.order_by(s.commands.c.number.desc()).limit(limit)))


def newest(tx: s.Tx, limit: int) -> list[Command]:
    """Commands of all devices from the newest down."""
    return records(Command, tx.execute(select(s.commands).order_by(s.commands.c.number.desc()).limit(limit)))


def outstanding(tx: s.Tx, now: float) -> dict[str, list[tuple[int, bytes]]]:
    """What laptops are still to be told: number and envelope, by device, in order."""
    table = s.commands
    query = select(table.c.device_id, table.c.number, table.c.envelope).where(
        table.c.state.in_(OPEN), table.c.not_after >= now, table.c.withdrawn_at.is_(None)
    )
    found: dict[str, list[tuple[int, bytes]]] = {}
    for device_id, number, envelope in tx.execute(query.order_by(table.c.number)):
        found.setdefault(device_id, []).append((number, bytes(envelope)))
    return found


def progress(
    tx: s.Tx, number: int, device_id: str, *, state: State, detail: str, receipt: bytes, now: float
) -> bool:
    """Note what a receipt says, if it goes further than what was known. Returns whether it does."""
    earlier = [known for known, order in ORDER.items() if order < ORDER[state]]
    column = {"delivered": "delivered_at", "started": "started_at"}.get(state, "ended_at")
    query = (
        update(s.commands)
        .where(
            s.commands.c.number == number,
            s.commands.c.device_id == device_id,
            s.commands.c.state.in_(earlier),
        )
        .values({"state": state, column: now, "detail": detail, "receipt": receipt})
    )
    return tx.execute(query).rowcount == 1


def withdraw(tx: s.Tx, number: int, now: float) -> bool:
    """Stop sending a command that has not ended; False when there is no such command."""
    query = update(s.commands).where(
        s.commands.c.number == number, s.commands.c.state.in_(OPEN), s.commands.c.withdrawn_at.is_(None)
    )
    return tx.execute(query.values(withdrawn_at=now)).rowcount == 1


def signed_again(tx: s.Tx, number: int, sha256: str, envelope: bytes) -> None:
    """The same command under another key."""
    query = update(s.commands).where(s.commands.c.number == number)
    tx.execute(query.values(sha256=sha256, envelope=envelope))

"""What the employer commanded and how far each command is: one document, each step one transaction.

A command is written down before anything is done about it, and each step before it is taken, so whatever cuts
the work short, the next start goes on from what is written here. All functions are pure: book in, book out.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from twinhull_policy.trust.command import Marks, VerifiedCommand
from twinhull_policy.trust.documents import Action, Receipt

ENTRIES_KEPT = 64
"""Commands remembered after they ended; marks alone keep older ones from being done again."""
OUTBOX_KEPT = 64
"""Receipts that wait for the server; of more, the oldest go, which say least."""

ReceiptState = Literal["delivered", "started", "done", "failed"]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command that was accepted."""

    sha256: str
    number: int
    action: Action
    tenant: str
    device_id: str
    enrol_epoch: int
    step: Literal["intended", "started", "ended"] = "intended"

    def receipt(self, state: ReceiptState, at: float, **fields: object) -> Receipt:
        """A receipt for it; ``fields`` are the receipt's optional ones."""
        made = Receipt(
            tenant=self.tenant,
            device_id=self.device_id,
            enrol_epoch=self.enrol_epoch,
            command=self.sha256,
            number=self.number,
            action=self.action,
            state=state,
            at=max(0, int(at)),
        )
        return msgspec.structs.replace(made, **fields)


class Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The document.

    Attributes:
        marks: greatest command numbers by signing key (``trust.command``).
        entries: accepted commands, in order.
        outbox: receipts that the server has not taken yet, in order.
        locked_by: number of the lock in force, 0 for none.
        released: the laptop left the company, and only its receipt is still to be delivered.
    """

    marks: Marks = {}
    entries: list[Entry] = []
    outbox: list[Receipt] = []
    locked_by: Annotated[int, msgspec.Meta(ge=0)] = 0
    released: bool = False

    def knows(self, sha256: str) -> bool:
        """Whether a command was accepted before."""
        return any(entry.sha256 == sha256 for entry in self.entries)

    def next(self) -> Entry | None:
        """The command to carry out, or to go on with."""
        return next((entry for entry in self.entries if entry.step != "ended"), None)


def accept(book: Book, verified: VerifiedCommand, at: float) -> Book:
    """Write a verified command down as intended, with the receipt that says it is here."""
    command = verified.command
    entry = Entry(
        sha256=verified.sha256,
        number=command.number,
        action=command.action,
        tenant=command.tenant,
        device_id=command.device_id,
        enrol_epoch=command.enrol_epoch,
    )
    open_entries = [e for e in book.entries if e.step != "ended"]
    ended = [e for e in book.entries if e.step == "ended"][-ENTRIES_KEPT:]
    return msgspec.structs.replace(
        book,
        marks=verified.marks,
        entries=[*ended, *open_entries, entry],
        outbox=_posted(book, entry.receipt("delivered", at)),
    )


def start(book: Book, entry: Entry, at: float) -> Book:
    """The command is being carried out from now on; what it forbids is forbidden from the same moment.

    Starting again changes nothing.
    """
    if entry.step != "intended":
        return book
    locked_by = entry.number if entry.action == "lock" else book.locked_by
    return msgspec.structs.replace(
        _with_step(book, entry, "started"),
        outbox=_posted(book, entry.receipt("started", at)),
        locked_by=locked_by,
    )


def end(book: Book, entry: Entry, receipt: Receipt) -> Book:
    """The command is done, or cannot be."""
    done = receipt.state == "done"
    unlocked = done and entry.action in ("unlock", "wipe", "release")
    return msgspec.structs.replace(
        _with_step(book, entry, "ended"),
        outbox=_posted(book, receipt),
        locked_by=0 if unlocked else book.locked_by,
        released=book.released or (done and entry.action == "release"),
    )


def taken(book: Book, receipt: Receipt) -> Book:
    """The server has a receipt."""
    return msgspec.structs.replace(book, outbox=[other for other in book.outbox if other != receipt])


def _posted(book: Book, receipt: Receipt) -> list[Receipt]:
    return [*book.outbox, receipt][-OUTBOX_KEPT:]


def _with_step(book: Book, entry: Entry, step: Literal["started", "ended"]) -> Book:
    entries = [
        msgspec.structs.replace(other, step=step) if other.sha256 == entry.sha256 else other
        for other in book.entries
    ]
    return msgspec.structs.replace(book, entries=entries)

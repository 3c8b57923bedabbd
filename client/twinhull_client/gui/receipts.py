"""Receipts in the owner's log: which lines are some, and what they say. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import msgspec
from twinhull_policy.api.types import LogEntry
from twinhull_policy.trust.documents import Receipt, WipeReceipt

MOST_BYTES = 64 * 1024
"""Longest body that may be a receipt; an envelope of one has 4 KiB at most."""


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    signatures: list[dict[str, str]]


class _Kind(msgspec.Struct, frozen=True):
    type: str


@dataclass(frozen=True)
class Found:
    """A receipt of the log.

    Attributes:
        entry: the line; its body is the exact bytes.
        says: what is in it.
        signed: whether it is in an envelope with a signature, which is not verified here.
    """

    entry: LogEntry
    says: Receipt | WipeReceipt
    signed: bool

    @property
    def partition(self) -> str:
        """Whose it is."""
        return self.says.partition if isinstance(self.says, WipeReceipt) else "corporate"

    @property
    def removed(self) -> list[str]:
        """What is gone for good."""
        return [str(each) for each in self.says.removed]

    @property
    def other_untouched(self) -> bool | None:
        """Whether the other computer is as it was; None where the receipt does not speak of it."""
        if isinstance(self.says, WipeReceipt):
            return self.says.other_before == self.says.other_after
        if not self.says.personal_before or not self.says.personal_after:
            return None
        return self.says.personal_before == self.says.personal_after


def receipts(entries: list[LogEntry]) -> list[Found]:
    """The receipts among the log's lines, newest first."""
    return [found for entry in reversed(entries) if (found := _receipt(entry)) is not None]


def _receipt(entry: LogEntry) -> Found | None:
    if not entry.body.startswith("{") or len(entry.body) > MOST_BYTES:
        return None
    try:
        envelope = msgspec.json.decode(entry.body, type=_Envelope)
        payload, signed = base64.b64decode(envelope.payload), bool(envelope.signatures)
    except (msgspec.DecodeError, ValueError):
        payload, signed = entry.body.encode(), False
    try:
        match msgspec.json.decode(payload, type=_Kind).type:
            case "twinhull.receipt/1":
                return Found(entry, msgspec.json.decode(payload, type=Receipt), signed)
            case "twinhull.wipe/1":
                return Found(entry, msgspec.json.decode(payload, type=WipeReceipt), signed)
            case _:
                return None
    except (msgspec.DecodeError, ValueError):
        return None

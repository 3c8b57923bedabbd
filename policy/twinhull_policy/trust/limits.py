"""Every size, count and time limit of the trust rules, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrustLimits:
    """Bounds on what is read before and after its signature is known."""

    root_bytes: int = 512 * 1024
    """A root.json; TUF's own client uses the same figure."""
    root_rotations: int = 256
    """Roots followed in one go; TUF's own client uses the same figure."""
    envelope_bytes: int = 2 * 1024 * 1024
    """Any DSSE envelope: base64 of a policy body of 1 MiB and room for signatures."""
    signatures: int = 16
    """Signatures on one document."""
    statement_bytes: int = 64 * 1024
    """A statement's envelope."""
    timestamp_bytes: int = 16 * 1024
    snapshot_bytes: int = 2 * 1024 * 1024
    targets_bytes: int = 5 * 1024 * 1024
    """timestamp, snapshot and targets: TUF's own client uses the same figures."""
    future_seconds: int = 10 * 60
    """How far a statement may be issued ahead of the laptop's clock."""
    statement_valid_seconds: int = 90 * 24 * 3600
    """Longest time from a statement's issue to its expiry."""
    command_bytes: int = 2048
    """A command's envelope."""
    command_valid_seconds: int = 90 * 24 * 3600
    """Longest time from a command's issue to the last moment it may be begun."""
    receipt_bytes: int = 4096
    """A receipt's envelope."""
    wipe_receipt_bytes: int = 16 * 1024
    """The envelope of a wipe's receipt, which may have to name every snapshot."""


LIMITS = TrustLimits()

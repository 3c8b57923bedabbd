"""The signed documents of the director plane (docs/architecture.md, "Signed documents")."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

STATEMENT_TYPE = "application/vnd.twinhull.statement+json"
POLICY_TYPE = "application/vnd.twinhull.policy+json"
DELEGATIONS_FIELD = "x-twinhull-delegations"
DELEGATED_ROLES = ("policy", "director", "command", "escrow")

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class ImageReference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A golden image a partition is to have."""

    target: Annotated[str, msgspec.Meta(pattern=r"^images/[a-z0-9][a-z0-9.-]{0,127}\Z")]
    """Its name in the repository plane."""
    sha256: Sha256
    length: Annotated[int, msgspec.Meta(ge=1, le=64 * 2**30)]
    """Bytes."""


class Images(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Golden images by partition.

    ``personal`` is what the owner is *offered*: the first image of a partition that has none. A statement
    cannot change a personal partition that exists (P6); core enforces it.
    """

    corporate: ImageReference | None = None
    personal: ImageReference | None = None


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one device is to have, signed by the director key."""

    type: Literal["twinhull.statement/1"] = "twinhull.statement/1"
    tenant: Identifier
    device_id: Identifier
    enrol_epoch: Sequence
    seq: Sequence
    issued_at: Seconds
    expires_at: Seconds
    prev_hash: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    """SHA-256 of the previous statement's envelope, empty for the first."""
    root_version: Sequence
    policies: Annotated[list[Sha256], msgspec.Meta(max_length=8)]
    images: Images
    vpn_addresses: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=4)]
    """This device's addresses inside the tunnel, CIDR."""
    commands: Annotated[list[Annotated[str, msgspec.Meta(max_length=2048)]], msgspec.Meta(max_length=8)] = []
    """DSSE envelopes signed by the command key."""

"""The signed documents of the director plane and their answers (docs/architecture.md, "Signed documents")."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

STATEMENT_TYPE = "application/vnd.twinhull.statement+json"
POLICY_TYPE = "application/vnd.twinhull.policy+json"
COMMAND_TYPE = "application/vnd.twinhull.command+json"
"""Signed by the command role: what takes something away."""
REQUEST_TYPE = "application/vnd.twinhull.request+json"
"""Signed by the director role: what takes nothing away."""
RECEIPT_TYPE = "application/vnd.twinhull.receipt+json"
"""Signed by the device's own key."""
WIPE_TYPE = "application/vnd.twinhull.wipe+json"
"""Signed by the device's own key, and kept on the laptop."""
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
    """DSSE envelopes of commands and requests that are not done yet."""


Action = Literal["lock", "unlock", "wipe", "release", "rotate-vpn-key"]
"""All there is to command. ``lock``: the corporate partition is ended, its volume closed, and it does not
start; ``unlock``: it may again; ``wipe``: its keys and contents are destroyed; ``release``: that, and the
laptop leaves the company; ``rotate-vpn-key``: a new key for the tunnel."""


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing for one laptop to do once.

    It has no field for a partition: all of it is about the corporate one and nothing can be aimed at the
    personal one (P6).
    """

    type: Literal["twinhull.command/1"] = "twinhull.command/1"
    tenant: Identifier
    device_id: Identifier
    enrol_epoch: Sequence
    number: Sequence
    """Greater than of every earlier command to this device."""
    action: Action
    issued_at: Seconds
    not_after: Seconds
    """The last second in which it may be begun."""


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far a command is, in the laptop's own words and under its own signature."""

    type: Literal["twinhull.receipt/1"] = "twinhull.receipt/1"
    tenant: Identifier
    device_id: Identifier
    enrol_epoch: Sequence
    command: Sha256
    """Of the command's envelope."""
    number: Sequence
    action: Action
    state: Literal["delivered", "started", "done", "failed"]
    at: Seconds
    """The laptop's clock."""
    detail: Annotated[str, msgspec.Meta(max_length=400)] = ""
    """Why it failed, or what was done, in a sentence."""
    removed: Annotated[
        list[Literal["keys", "contents", "firmware-variables", "enrolment"]], msgspec.Meta(max_length=4)
    ] = []
    """What is gone for good."""
    personal_before: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    personal_after: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    """The personal volume before and after, under a key made for this receipt and thrown away: equal when it
    was not touched, and telling nothing else."""
    wireguard_public_key: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9+/]{43}=)?\Z")] = ""
    """The tunnel's new key, of a ``rotate-vpn-key`` that is done."""


class WipeReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the laptop says of a partition that its owner wiped; handed to the owner and to nobody else."""

    type: Literal["twinhull.wipe/1"] = "twinhull.wipe/1"
    tenant: Identifier
    device_id: Identifier
    enrol_epoch: Sequence
    partition: Literal["corporate", "personal"]
    at: Seconds
    """The laptop's clock."""
    removed: Annotated[
        list[Literal["keys", "headers", "header-backups", "snapshots", "contents", "firmware-variables"]],
        msgspec.Meta(max_length=6),
    ]
    """What is gone for good."""
    survived: Annotated[list[Annotated[str, msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=64)]
    """Files whose keys or headers could still be read through a descriptor from before; none when it held."""
    other_before: Sha256
    other_after: Sha256
    """The other partition's volume before and after, as ``personal_before`` of a :class:`Receipt` is."""

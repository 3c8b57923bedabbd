"""What a laptop reports to its employer's server: this closed shape, and nothing else.

The laptop builds it from here and keeps the exact bytes for its owner (``twinhull log --sent``); the
server refuses a report that holds anything more. There is no field for anything personal (P6). The schema
is served at ``/v1/report-schema``; docs/reports.md says in words what each field is for.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MAX_BYTES = 32 * 1024

Hash = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="SHA-256 in hex, or empty for none.")]


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing the laptop is to have, and how far it is."""

    name: Literal["policy", "corporate-image"]
    desired: Hash
    """What the statement in force names; empty when a statement was refused."""
    actual: Hash
    """What is there now."""
    state: Literal["active", "pending", "failed"]
    code: Annotated[str, Meta(pattern=r"^(TH-[A-Z]{3}-[0-9]{3})?$")] = ""
    """Why it failed: a code that docs and command line know."""
    reason: Annotated[str, Meta(max_length=200)] = ""
    """The same in words."""


class DeviceDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the corporate rules decided on a device that was plugged in; told only if the policy says so."""

    model: Annotated[str, Meta(max_length=400)]
    interfaces: Annotated[list[Annotated[str, Meta(max_length=8)]], Meta(max_length=16)]
    rule: Annotated[str, Meta(max_length=64)]
    outcome: Annotated[str, Meta(max_length=64)]


class TunnelProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the canaries of the corporate tunnel found last; told only if the policy says so."""

    proved_at: Annotated[int, Meta(ge=0, le=2**40)]
    passed: bool
    failed: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=32)]
    """Names of the canaries that got out."""


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What is in force on the laptop, item by item."""

    seq: Annotated[int, Meta(ge=0, le=2**53)]
    """Number of the statement in force, 0 for none."""
    policy: Hash
    """Of the policy body in force."""
    applied_at: Annotated[int, Meta(ge=0, le=2**40)]
    """Since when, in seconds since the epoch."""
    items: Annotated[tuple[Item, ...], Meta(max_length=8)] = ()
    devices: Annotated[tuple[DeviceDecision, ...], Meta(max_length=64)] = ()
    vpn: TunnelProof | None = None


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Twinhull report",
        **msgspec.json.schema(Report),
    }

"""The inbox: the newest statement and the policy bodies it names, for core to verify.

Nothing is verified here but hashes of bodies. A statement that core will refuse must reach core, which tells
the person why. Bodies are on disk before the statement that names them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

import msgspec
from twinhull_policy.trust.envelope import Envelope

from .durable import disk, write_durably
from .errors import BadServerAnswer, BodyMissing
from .fleet_client import FleetClient
from .layout import Layout
from .limits import LIMITS

STATEMENT = "statement.dsse"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Numbered(msgspec.Struct):
    """What is read of an unverified statement to ask for a newer one."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Named(msgspec.Struct):
    """What is read of an unverified statement to bring its bodies."""

    policies: list[str]


def named_bodies(untrusted_statement: bytes) -> list[str]:
    """The hashes of the bodies a statement names; none if it cannot be read (core will say so)."""
    try:
        payload = msgspec.json.decode(untrusted_statement, type=Envelope).payload
        names = msgspec.json.decode(payload, type=_Named).policies
    except (ValueError, RecursionError):
        return []
    return [name for name in names[: LIMITS.bodies] if _SHA256.fullmatch(name)]


def sequence(untrusted_statement: bytes) -> int:
    """The number a statement says it has; 0 if it cannot be read."""
    try:
        payload = msgspec.json.decode(untrusted_statement, type=Envelope).payload
        return msgspec.json.decode(payload, type=_Numbered).seq
    except (ValueError, RecursionError):
        return 0


async def bring_bodies(layout: Layout, client: FleetClient, names: list[str]) -> None:
    """Fetch the bodies that are not there. Raises BodyMissing, and like ``FleetClient.request``."""
    for name in names:
        path = layout.inbox / "bodies" / name
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == name:
            continue
        untrusted_body = await client.get(f"/v1/bodies/{name}", LIMITS.body_bytes)
        if hashlib.sha256(untrusted_body).hexdigest() != name:
            raise BodyMissing
        write_durably(path, untrusted_body)


def put_statement(layout: Layout, untrusted_statement: bytes, names: list[str]) -> bool:
    """Write a statement, and drop bodies it does not name. Returns whether it differs from the last one."""
    if len(untrusted_statement) > LIMITS.statement_bytes:
        raise BadServerAnswer(detail="its statement is too long")
    path = layout.inbox / STATEMENT
    if path.exists() and path.read_bytes() == untrusted_statement:
        return False
    write_durably(path, untrusted_statement)
    for body in (layout.inbox / "bodies").iterdir():
        if body.name not in names:
            disk.remove(body)
    return True

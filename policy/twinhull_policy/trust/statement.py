"""The statement verifier: what one laptop is to have, and every reason to refuse it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.signer import Signer

from ..canonical import CanonicalDecoder, encode
from . import envelope
from .documents import STATEMENT_TYPE, Statement
from .errors import (
    RootUpdateNeeded,
    StatementEquivocates,
    StatementExpired,
    StatementForAnotherDevice,
    StatementForAnotherEpoch,
    StatementForAnotherTenant,
    StatementFromTheFuture,
    StatementMalformed,
    StatementOlder,
    StatementOutOfChain,
    StatementValidTooLong,
)
from .limits import LIMITS
from .root import TrustedRoot

_decoder = CanonicalDecoder(Statement)


@dataclass(frozen=True)
class DeviceIdentity:
    """Who this laptop is since its enrolment."""

    tenant: str
    device_id: str
    enrol_epoch: int


@dataclass(frozen=True)
class LastStatement:
    """The newest statement accepted in this enrolment: its sequence and its envelope's SHA-256, hex."""

    seq: int
    sha256: str


@dataclass(frozen=True)
class VerifiedStatement:
    """A statement that may be acted on. ``unchanged`` says it is the one already in force, byte for byte."""

    statement: Statement
    sha256: str
    raw: bytes
    unchanged: bool


def verify_statement(
    untrusted: bytes,
    *,
    root: TrustedRoot,
    device: DeviceIdentity,
    last: LastStatement | None,
    now: int,
) -> VerifiedStatement:
    """Accept a statement only if all of this holds, checked in this order:

    1. The root of trust has not expired (RootExpired).
    2. The envelope has at most 64 KiB (DocumentTooLarge), is canonical (EnvelopeMalformed), and has the
       statement's payload type (WrongPayloadType).
    3. As many distinct keys of the role ``director`` as the root demands signed it (SignatureInvalid). Only
       now is the payload looked at.
    4. The payload is a canonical statement with valid tunnel addresses (StatementMalformed).
    5. Tenant, device and enrolment epoch are exactly this laptop's (StatementForAnother...).
    6. The root it was made under is not newer than the trusted one (RootUpdateNeeded): fetch roots first.
    7. Its sequence number is greater than the last one's (StatementOlder). The same number with the same
       hash is the statement in force, and returned as ``unchanged`` without the rules that follow; the same
       number with another hash is a lie of the server (StatementEquivocates).
    8. If it is the very next one, it names the hash of the last (StatementOutOfChain). Across a gap that
       cannot be checked; the sequence number alone decides.
    9. It expires after its issue, within 90 days of it (StatementValidTooLong).
    10. It was issued at most 10 minutes after ``now`` (StatementFromTheFuture).
    11. It has not expired at ``now`` (StatementExpired).

    ``now`` is in seconds since the epoch and already raised to the time floor (``reference_time``). ``last``
    is None when nothing was accepted in this enrolment.
    """
    root.check_expiry(now)
    keys, threshold = root.delegated_keys("director")
    payload = envelope.verify(
        untrusted,
        payload_type=STATEMENT_TYPE,
        keys=keys,
        threshold=threshold,
        role="director",
        what="statement",
        limit=LIMITS.statement_bytes,
    )
    try:
        statement = _decoder.decode(payload)
        for address in statement.vpn_addresses:
            if "%" in address or str(ipaddress.ip_interface(address)) != address:
                raise ValueError("a tunnel address is not written as address/bits")
    except ValueError as error:
        raise StatementMalformed(detail=str(error)) from error
    _check_addressee(statement, device)
    if statement.root_version > root.version:
        raise RootUpdateNeeded(needed=statement.root_version, have=root.version)
    sha256 = envelope.envelope_hash(untrusted)
    unchanged = last is not None and _check_order(statement, sha256, last)
    if not unchanged:
        _check_dates(statement, now)
    return VerifiedStatement(statement, sha256, untrusted, unchanged)


def _check_addressee(statement: Statement, device: DeviceIdentity) -> None:
    if statement.tenant != device.tenant:
        raise StatementForAnotherTenant
    if statement.device_id != device.device_id:
        raise StatementForAnotherDevice
    if statement.enrol_epoch != device.enrol_epoch:
        raise StatementForAnotherEpoch(found=statement.enrol_epoch, expected=device.enrol_epoch)


def _check_order(statement: Statement, sha256: str, last: LastStatement) -> bool:
    """Whether it is the last statement again; raises if it may not follow it."""
    if statement.seq < last.seq:
        raise StatementOlder(found=statement.seq, last=last.seq)
    if statement.seq == last.seq:
        if sha256 != last.sha256:
            raise StatementEquivocates(seq=last.seq)
        return True
    if statement.seq == last.seq + 1 and statement.prev_hash != last.sha256:
        raise StatementOutOfChain(seq=statement.seq)
    return False


def _check_dates(statement: Statement, now: int) -> None:
    valid = statement.expires_at - statement.issued_at
    if not 0 < valid <= LIMITS.statement_valid_seconds:
        raise StatementValidTooLong(seconds=valid)
    if statement.issued_at > now + LIMITS.future_seconds:
        raise StatementFromTheFuture(seconds=statement.issued_at - now)
    if statement.expires_at <= now:
        raise StatementExpired


def sign_statement(statement: Statement, signers: Sequence[Signer]) -> bytes:
    """The statement's envelope, signed with director keys."""
    return envelope.sign(STATEMENT_TYPE, encode(statement), signers)

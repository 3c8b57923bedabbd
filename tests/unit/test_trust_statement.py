"""Statements and policy bodies: a table of attacks, each made with real keys and refused by its own error."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_policy.canonical import encode
from twinhull_policy.errors import TwinhullError
from twinhull_policy.example import example_policy
from twinhull_policy.parse import PolicyInvalid, PolicyNotCanonical
from twinhull_policy.trust import envelope, errors
from twinhull_policy.trust.documents import POLICY_TYPE, STATEMENT_TYPE
from twinhull_policy.trust.limits import LIMITS
from twinhull_policy.trust.policy_body import sign_policy, verify_policy_body
from twinhull_policy.trust.root import update
from twinhull_policy.trust.statement import (
    DeviceIdentity,
    LastStatement,
    VerifiedStatement,
    sign_statement,
    verify_statement,
)
from twinhull_policy.trust.time import reference_time

from tests.support.signing import DAY, DEVICE, NOW, Corporate, key, statement

COMPANY = Corporate()
ROOT = COMPANY.trusted()
FIRST = COMPANY.statement()
LAST = LastStatement(5, "ab" * 32)


def verify(
    untrusted: bytes, last: LastStatement | None = None, now: int = NOW, device: DeviceIdentity = DEVICE
) -> VerifiedStatement:
    return verify_statement(untrusted, root=ROOT, device=device, last=last, now=now)


def test_a_good_statement() -> None:
    verified = verify(FIRST)
    assert verified.statement == statement()
    assert verified.sha256 == hashlib.sha256(FIRST).hexdigest()
    assert verified.raw == FIRST
    assert not verified.unchanged


def test_statements_follow_each_other_and_may_leave_gaps() -> None:
    assert not verify(COMPANY.statement(seq=6, prev_hash=LAST.sha256), LAST).unchanged
    assert not verify(COMPANY.statement(seq=8, prev_hash="cd" * 32), LAST).unchanged


def test_the_statement_in_force_again_is_unchanged_even_when_expired() -> None:
    last = LastStatement(1, hashlib.sha256(FIRST).hexdigest())
    assert verify(FIRST, last, now=NOW + 30 * DAY).unchanged


def rewrapped(**changes: Any) -> bytes:
    """The good statement's envelope with fields of the envelope replaced."""
    return encode(json.loads(FIRST) | changes)


def signature() -> dict[str, str]:
    only: dict[str, str] = json.loads(FIRST)["signatures"][0]
    return only


def signed(payload: bytes, payload_type: str = STATEMENT_TYPE) -> bytes:
    return envelope.sign(payload_type, payload, COMPANY.director_keys)


def forged_keyid() -> bytes:
    """A stranger's signature under the director's name."""
    stranger = json.loads(COMPANY.statement(signers=[key()]))
    stranger["signatures"][0]["keyid"] = signature()["keyid"]
    return encode(stranger)


def tampered() -> bytes:
    other = encode(statement(device_id="laptop-2"))
    return rewrapped(payload=base64.b64encode(other).decode())


PAYLOAD = encode(statement())
ATTACKS: dict[str, tuple[Callable[[], bytes], type[errors.TrustError]]] = {
    "payload changed": (tampered, errors.SignatureInvalid),
    "unknown key": (lambda: COMPANY.statement(signers=[key()]), errors.SignatureInvalid),
    "unknown key under the director's name": (forged_keyid, errors.SignatureInvalid),
    "policy key": (lambda: COMPANY.statement(signers=COMPANY.policy_keys), errors.SignatureInvalid),
    "command key": (lambda: COMPANY.statement(signers=COMPANY.command_keys), errors.SignatureInvalid),
    "root key": (lambda: COMPANY.statement(signers=COMPANY.root_keys), errors.SignatureInvalid),
    "unsigned": (lambda: rewrapped(signatures=[]), errors.EnvelopeMalformed),
    "empty signature": (
        lambda: rewrapped(signatures=[signature() | {"sig": ""}]),
        errors.EnvelopeMalformed,
    ),
    "one signature twice": (
        lambda: rewrapped(signatures=[signature(), signature()]),
        errors.EnvelopeMalformed,
    ),
    "seventeen signatures": (
        lambda: rewrapped(signatures=[signature() | {"keyid": f"{i:064x}"} for i in range(17)]),
        errors.EnvelopeMalformed,
    ),
    "a policy's type": (lambda: signed(PAYLOAD, POLICY_TYPE), errors.WrongPayloadType),
    "type changed after signing": (lambda: rewrapped(payloadType=POLICY_TYPE), errors.WrongPayloadType),
    "a director-signed policy passed off": (
        lambda: rewrapped(
            payload=json.loads(signed(PAYLOAD, POLICY_TYPE))["payload"],
            signatures=json.loads(signed(PAYLOAD, POLICY_TYPE))["signatures"],
        ),
        errors.SignatureInvalid,
    ),
    "unknown field in the envelope": (lambda: rewrapped(x=1), errors.EnvelopeMalformed),
    "white space in the envelope": (lambda: FIRST + b"\n", errors.EnvelopeMalformed),
    "key twice in the envelope": (
        lambda: FIRST.replace(b'{"payload"', b'{"payload":"","payload"', 1),
        errors.EnvelopeMalformed,
    ),
    "nested 200,000 deep": (lambda: b'{"signatures":' * 4000, errors.EnvelopeMalformed),
    "too large": (lambda: b"[" * (LIMITS.statement_bytes + 1), errors.DocumentTooLarge),
    "empty": (lambda: b"", errors.EnvelopeMalformed),
    "payload not canonical": (lambda: signed(PAYLOAD + b" "), errors.StatementMalformed),
    "key twice in the payload": (
        lambda: signed(PAYLOAD.replace(b'"seq":1', b'"seq":1,"seq":1')),
        errors.StatementMalformed,
    ),
    "unknown field": (lambda: signed(PAYLOAD[:-1] + b',"x":1}'), errors.StatementMalformed),
    "NaN": (lambda: signed(PAYLOAD.replace(b'"seq":1', b'"seq":NaN')), errors.StatementMalformed),
    "2^63": (
        lambda: signed(PAYLOAD.replace(b'"seq":1', b'"seq":9223372036854775808')),
        errors.StatementMalformed,
    ),
    "other type": (
        lambda: signed(PAYLOAD.replace(b"twinhull.statement/1", b"twinhull.statement/2")),
        errors.StatementMalformed,
    ),
    "payload is not JSON": (lambda: signed(b"\xff"), errors.StatementMalformed),
    "deep payload": (
        lambda: signed(PAYLOAD.replace(b'"commands":[]', b'"commands":' + b"[" * 30_000)),
        errors.StatementMalformed,
    ),
    "line break after a hash": (
        lambda: COMPANY.statement(policies=["0" * 64 + "\n"]),
        errors.StatementMalformed,
    ),
    "line break after the device": (
        lambda: COMPANY.statement(device_id=DEVICE.device_id + "\n"),
        errors.StatementMalformed,
    ),
    "no tunnel address": (
        lambda: COMPANY.statement(vpn_addresses=["intranet"]),
        errors.StatementMalformed,
    ),
    "tunnel address without bits": (
        lambda: COMPANY.statement(vpn_addresses=["10.77.1.2"]),
        errors.StatementMalformed,
    ),
    "tunnel address with a zone": (
        lambda: COMPANY.statement(vpn_addresses=["fe80::1%x/64"]),
        errors.StatementMalformed,
    ),
    "other tenant": (lambda: COMPANY.statement(tenant="example2"), errors.StatementForAnotherTenant),
    "other device": (lambda: COMPANY.statement(device_id="laptop-2"), errors.StatementForAnotherDevice),
    "later epoch": (lambda: COMPANY.statement(enrol_epoch=2), errors.StatementForAnotherEpoch),
    "newer root": (lambda: COMPANY.statement(root_version=2, seq=9), errors.RootUpdateNeeded),
    "older": (lambda: COMPANY.statement(seq=4), errors.StatementOlder),
    "same number, other content": (lambda: COMPANY.statement(seq=5), errors.StatementEquivocates),
    "next number, other chain": (
        lambda: COMPANY.statement(seq=6, prev_hash="cd" * 32),
        errors.StatementOutOfChain,
    ),
    "expired": (lambda: COMPANY.statement(seq=9, expires_at=NOW, issued_at=NOW - 9), errors.StatementExpired),
    "from the future": (
        lambda: COMPANY.statement(seq=9, issued_at=NOW + 601, expires_at=NOW + DAY),
        errors.StatementFromTheFuture,
    ),
    "expires before it was issued": (
        lambda: COMPANY.statement(seq=9, issued_at=NOW, expires_at=NOW - 1),
        errors.StatementValidTooLong,
    ),
    "good for ever": (
        lambda: COMPANY.statement(seq=9, expires_at=NOW + 91 * DAY),
        errors.StatementValidTooLong,
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(attack: str) -> None:
    build, expected = ATTACKS[attack]
    with pytest.raises(errors.TrustError) as refused:
        verify(build(), LAST)
    assert type(refused.value) is expected


def test_earlier_epoch() -> None:
    with pytest.raises(errors.StatementForAnotherEpoch):
        verify(FIRST, device=DeviceIdentity(DEVICE.tenant, DEVICE.device_id, 2))


@pytest.mark.parametrize(("ahead", "accepted"), [(600, True), (601, False)])
def test_clocks_may_differ_by_ten_minutes(ahead: int, accepted: bool) -> None:
    untrusted = COMPANY.statement(issued_at=NOW + ahead, expires_at=NOW + DAY)
    if accepted:
        assert verify(untrusted).statement.issued_at == NOW + ahead
    else:
        with pytest.raises(errors.StatementFromTheFuture):
            verify(untrusted)


def test_a_clock_set_back_revives_nothing() -> None:
    old = COMPANY.statement(issued_at=NOW - 30 * DAY, expires_at=NOW - 20 * DAY)
    set_back = NOW - 25 * DAY
    assert verify(old, now=set_back)
    with pytest.raises(errors.StatementExpired):
        verify(old, now=reference_time(set_back, floor=NOW))


def test_an_expired_root_stops_changes() -> None:
    with pytest.raises(errors.RootExpired):
        verify(FIRST, now=NOW + 366 * DAY)


def test_a_threshold_counts_distinct_keys() -> None:
    company = Corporate(director_keys=[key(), key()], director_threshold=2)
    root = company.trusted()

    def check(untrusted: bytes) -> VerifiedStatement:
        return verify_statement(untrusted, root=root, device=DEVICE, last=None, now=NOW)

    assert check(company.statement())
    with pytest.raises(errors.SignatureInvalid):
        check(company.statement(signers=company.director_keys[:1]))
    once = json.loads(company.statement(signers=company.director_keys[:1]))
    (only,) = once["signatures"]
    with pytest.raises(errors.EnvelopeMalformed):
        check(encode(once | {"signatures": [only, only]}))
    renamed = only | {"keyid": company.director_keys[1].public_key.keyid}
    with pytest.raises(errors.SignatureInvalid):
        check(encode(once | {"signatures": [only, renamed]}))


def test_a_revoked_director_key_counts_for_nothing() -> None:
    company = Corporate()
    before = company.trusted()
    untrusted = company.statement()
    company.director_keys = [key()]
    after = update(before, company.root(2))
    with pytest.raises(errors.SignatureInvalid):
        verify_statement(untrusted, root=after, device=DEVICE, last=None, now=NOW)


def test_every_truncation_is_refused() -> None:
    for length in range(len(FIRST)):
        with pytest.raises(errors.EnvelopeMalformed):
            verify(FIRST[:length])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(untrusted: bytes) -> None:
    with pytest.raises(TwinhullError):
        verify(untrusted)


@given(st.binary(max_size=300))
def test_random_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(TwinhullError):
        verify(signed(payload))


@given(st.integers(0, len(FIRST) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    bent = bytearray(FIRST)
    bent[place] ^= change
    with pytest.raises(TwinhullError):
        verify(bytes(bent))


BODY = COMPANY.body()
POLICY_PAYLOAD = encode(example_policy())


def policy_signed(payload: bytes, payload_type: str = POLICY_TYPE) -> bytes:
    return envelope.sign(payload_type, payload, COMPANY.policy_keys)


def test_a_good_body() -> None:
    digest = envelope.envelope_hash(BODY)
    assert verify_policy_body(BODY, expected_sha256=digest, root=ROOT) == example_policy()


BODY_ATTACKS: dict[str, tuple[bytes, type[TwinhullError]]] = {
    "director key": (sign_policy(example_policy(), COMPANY.director_keys), errors.SignatureInvalid),
    "unknown key": (sign_policy(example_policy(), [key()]), errors.SignatureInvalid),
    "a statement's type": (policy_signed(POLICY_PAYLOAD, STATEMENT_TYPE), errors.WrongPayloadType),
    "a statement": (sign_statement(statement(), COMPANY.policy_keys), errors.WrongPayloadType),
    "not canonical": (policy_signed(POLICY_PAYLOAD + b"\n"), PolicyNotCanonical),
    "not a policy": (policy_signed(PAYLOAD), PolicyInvalid),
    "truncated": (BODY[:-1], errors.EnvelopeMalformed),
    "too large": (b" " * (LIMITS.envelope_bytes + 1), errors.DocumentTooLarge),
}


@pytest.mark.parametrize("attack", BODY_ATTACKS)
def test_bad_bodies_are_refused_although_named(attack: str) -> None:
    untrusted, expected = BODY_ATTACKS[attack]
    with pytest.raises(TwinhullError) as refused:
        verify_policy_body(untrusted, expected_sha256=envelope.envelope_hash(untrusted), root=ROOT)
    assert type(refused.value) is expected


def test_a_body_that_is_not_named_is_refused() -> None:
    with pytest.raises(errors.BodyHashWrong):
        verify_policy_body(BODY, expected_sha256="0" * 64, root=ROOT)

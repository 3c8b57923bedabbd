"""Commands and receipts: a table of attacks, each made with real keys and refused by its own error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, Signer
from twinhull_policy.canonical import encode
from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust import envelope, errors
from twinhull_policy.trust.command import (
    ACTIONS,
    Marks,
    VerifiedCommand,
    role_of,
    sign_command,
    verify_command,
)
from twinhull_policy.trust.documents import (
    COMMAND_TYPE,
    REQUEST_TYPE,
    STATEMENT_TYPE,
    WIPE_TYPE,
    Command,
    Receipt,
    WipeReceipt,
)
from twinhull_policy.trust.limits import LIMITS
from twinhull_policy.trust.receipt import sign_receipt, sign_wipe, verify_receipt, verify_wipe
from twinhull_policy.trust.root import TrustedRoot, update
from twinhull_policy.trust.statement import DeviceIdentity
from twinhull_policy.trust.time import reference_time

from tests.support.signing import DAY, DEVICE, NOW, Corporate, key

COMPANY = Corporate()
ROOT = COMPANY.trusted()


def command(**fields: Any) -> Command:
    defaults: dict[str, Any] = {
        "tenant": DEVICE.tenant,
        "device_id": DEVICE.device_id,
        "enrol_epoch": DEVICE.enrol_epoch,
        "number": 1,
        "action": "wipe",
        "issued_at": NOW,
        "not_after": NOW + 30 * DAY,
    }
    return Command(**(defaults | fields))


def signed(signers: list[CryptoSigner] | None = None, **fields: Any) -> bytes:
    made = command(**fields)
    own = COMPANY.command_keys if role_of(made.action) == "command" else COMPANY.director_keys
    return sign_command(made, own if signers is None else signers)


def raw(payload: bytes, kind: str = COMMAND_TYPE, signers: list[CryptoSigner] | None = None) -> bytes:
    return envelope.sign(kind, payload, COMPANY.command_keys if signers is None else signers)


def verify(
    untrusted: bytes,
    marks: Marks | None = None,
    now: int = NOW,
    root: TrustedRoot = ROOT,
    device: DeviceIdentity = DEVICE,
) -> VerifiedCommand:
    return verify_command(untrusted, root=root, device=device, marks=marks or {}, now=now)


@pytest.mark.parametrize("action", [action for actions in ACTIONS.values() for action in actions])
def test_each_action_by_its_role(action: str) -> None:
    untrusted = signed(action=action)
    verified = verify(untrusted)
    assert verified.command == command(action=action)
    assert verified.sha256 == envelope.envelope_hash(untrusted)
    assert verified.raw == untrusted
    assert list(verified.marks.values()) == [1]


def test_what_takes_something_away_is_of_the_command_role() -> None:
    assert set(ACTIONS["director"]) == {"rotate-vpn-key"}
    assert {role_of(action) for action in ("lock", "unlock", "wipe", "release")} == {"command"}


PAYLOAD = encode(command())
DIRECTOR = COMPANY.director_keys
ATTACKS: dict[str, tuple[Callable[[], bytes], type[errors.TrustError]]] = {
    "director key": (lambda: signed(signers=DIRECTOR), errors.SignatureInvalid),
    "policy key": (lambda: signed(signers=COMPANY.policy_keys), errors.SignatureInvalid),
    "unknown key": (lambda: signed(signers=[key()]), errors.SignatureInvalid),
    "wipe as a director's request": (
        lambda: raw(PAYLOAD, REQUEST_TYPE, DIRECTOR),
        errors.CommandNotOfRole,
    ),
    "wipe as a request, signed by the command key": (
        lambda: raw(PAYLOAD, REQUEST_TYPE),
        errors.SignatureInvalid,
    ),
    "a request as a command": (
        lambda: raw(encode(command(action="rotate-vpn-key"))),
        errors.CommandNotOfRole,
    ),
    "a statement's type": (lambda: raw(PAYLOAD, STATEMENT_TYPE), errors.WrongPayloadType),
    "aimed at the personal partition": (
        lambda: raw(encode(json.loads(PAYLOAD) | {"partition": "personal"})),
        errors.CommandMalformed,
    ),
    "an action that is none": (
        lambda: raw(encode(json.loads(PAYLOAD) | {"action": "wipe-personal"})),
        errors.CommandMalformed,
    ),
    "not canonical": (lambda: raw(PAYLOAD + b" "), errors.CommandMalformed),
    "not JSON": (lambda: raw(b"\xff"), errors.CommandMalformed),
    "action twice": (
        lambda: raw(PAYLOAD.replace(b'"action":"wipe"', b'"action":"lock","action":"wipe"')),
        errors.CommandMalformed,
    ),
    "2^63": (
        lambda: raw(PAYLOAD.replace(b'"number":1', b'"number":9223372036854775808')),
        errors.CommandMalformed,
    ),
    "too large": (lambda: b"[" * (LIMITS.command_bytes + 1), errors.DocumentTooLarge),
    "truncated": (lambda: signed()[:-1], errors.EnvelopeMalformed),
    "empty": (lambda: b"", errors.EnvelopeMalformed),
    "other tenant": (lambda: signed(tenant="example2"), errors.CommandForAnother),
    "other device": (lambda: signed(device_id="laptop-2"), errors.CommandForAnother),
    "later epoch": (lambda: signed(enrol_epoch=2), errors.CommandForAnother),
    "good for ever": (lambda: signed(not_after=NOW + 91 * DAY), errors.CommandValidTooLong),
    "over before it was issued": (lambda: signed(not_after=NOW - 1), errors.CommandValidTooLong),
    "from the future": (
        lambda: signed(issued_at=NOW + 601, not_after=NOW + DAY),
        errors.CommandFromTheFuture,
    ),
    "expired": (lambda: signed(issued_at=NOW - 9, not_after=NOW - 1), errors.CommandExpired),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(attack: str) -> None:
    build, expected = ATTACKS[attack]
    with pytest.raises(errors.TrustError) as refused:
        verify(build())
    assert type(refused.value) is expected


def test_a_command_is_carried_out_once() -> None:
    first = verify(signed(number=5))
    for number in (5, 4, 1):
        with pytest.raises(errors.CommandReplayed):
            verify(signed(number=number), first.marks)
    assert verify(signed(number=6), first.marks).command.number == 6


def test_a_director_gone_mad_cannot_use_up_the_numbers_of_wipes() -> None:
    marks = verify(signed(action="rotate-vpn-key", number=2**53)).marks
    assert verify(signed(number=1), marks).command.action == "wipe"
    with pytest.raises(errors.CommandReplayed):
        verify(signed(action="rotate-vpn-key", number=2**53), marks)


def test_a_thief_at_the_top_is_undone_by_rotation_and_nothing_old_comes_back() -> None:
    """Two command keys, one stolen: its numbers go with it, those of the other stay."""
    company = Corporate(command_keys=[key(), key()])
    kept, stolen = company.command_keys
    before = company.trusted()

    def by(signer: Signer, number: int) -> bytes:
        return sign_command(command(number=number), [signer])

    marks = verify(by(kept, 7), root=before).marks
    marks = verify(by(stolen, 2**53), marks, root=before).marks
    with pytest.raises(errors.CommandReplayed):
        verify(by(kept, 8), marks, root=before)
    company.command_keys = [kept, key()]
    after = update(before, company.root(2))
    assert verify(by(kept, 8), marks, root=after).command.number == 8
    with pytest.raises(errors.CommandReplayed):
        verify(by(kept, 7), marks, root=after)
    with pytest.raises(errors.SignatureInvalid):
        verify(by(stolen, 2**53), marks, root=after)


def test_both_signers_of_one_command_are_marked() -> None:
    company = Corporate(command_keys=[key(), key()])
    before = company.trusted()
    both = sign_command(command(number=9), company.command_keys)
    marks = verify(both, root=before).marks
    company.command_keys = company.command_keys[1:]
    with pytest.raises(errors.CommandReplayed):
        verify(both, marks, root=update(before, company.root(2)))


def test_an_expired_root_stops_commands() -> None:
    with pytest.raises(errors.RootExpired):
        verify(signed(), now=NOW + 366 * DAY)


def test_a_clock_set_back_revives_no_command() -> None:
    old = signed(issued_at=NOW - 30 * DAY, not_after=NOW - 20 * DAY)
    set_back = NOW - 25 * DAY
    assert verify(old, now=set_back)
    with pytest.raises(errors.CommandExpired):
        verify(old, now=reference_time(set_back, floor=NOW))


@pytest.mark.parametrize(("late", "accepted"), [(0, True), (1, False)])
def test_the_last_second_counts(late: int, accepted: bool) -> None:
    untrusted = signed(not_after=NOW + DAY)
    if accepted:
        assert verify(untrusted, now=NOW + DAY + late)
    else:
        with pytest.raises(errors.CommandExpired):
            verify(untrusted, now=NOW + DAY + late)


@given(st.binary(max_size=300))
def test_random_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(TwinhullError):
        verify(raw(payload))


GOOD = signed()


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    bent = bytearray(GOOD)
    bent[place] ^= change
    with pytest.raises(TwinhullError):
        verify(bytes(bent))


DEVICE_KEY = CryptoSigner.generate_ecdsa()


def receipt(**fields: Any) -> Receipt:
    defaults: dict[str, Any] = {
        "tenant": DEVICE.tenant,
        "device_id": DEVICE.device_id,
        "enrol_epoch": DEVICE.enrol_epoch,
        "command": "ab" * 32,
        "number": 1,
        "action": "wipe",
        "state": "done",
        "at": NOW,
        "removed": ["keys", "contents"],
    }
    return Receipt(**(defaults | fields))


def check(untrusted: bytes) -> Receipt:
    return verify_receipt(untrusted, key=DEVICE_KEY.public_key, device=DEVICE)


def test_a_good_receipt() -> None:
    assert check(sign_receipt(receipt(), DEVICE_KEY)) == receipt()


RECEIPT = encode(receipt())
BAD_RECEIPTS: dict[str, tuple[Callable[[], bytes], type[errors.TrustError]]] = {
    "another device's key": (
        lambda: sign_receipt(receipt(), CryptoSigner.generate_ecdsa()),
        errors.SignatureInvalid,
    ),
    "another device": (
        lambda: sign_receipt(receipt(device_id="laptop-2"), DEVICE_KEY),
        errors.ReceiptForAnother,
    ),
    "another tenant": (lambda: sign_receipt(receipt(tenant="x"), DEVICE_KEY), errors.ReceiptForAnother),
    "another enrolment": (lambda: sign_receipt(receipt(enrol_epoch=2), DEVICE_KEY), errors.ReceiptForAnother),
    "an unknown state": (
        lambda: envelope.sign(
            "application/vnd.twinhull.receipt+json", RECEIPT.replace(b'"done"', b'"maybe"'), [DEVICE_KEY]
        ),
        errors.ReceiptMalformed,
    ),
    "a command's type": (lambda: envelope.sign(COMMAND_TYPE, RECEIPT, [DEVICE_KEY]), errors.WrongPayloadType),
    "too large": (lambda: b"[" * (LIMITS.receipt_bytes + 1), errors.DocumentTooLarge),
}


@pytest.mark.parametrize("case", BAD_RECEIPTS)
def test_bad_receipts_are_refused(case: str) -> None:
    build, expected = BAD_RECEIPTS[case]
    with pytest.raises(errors.TrustError) as refused:
        check(build())
    assert type(refused.value) is expected


def wiped(**fields: Any) -> WipeReceipt:
    defaults: dict[str, Any] = {
        "tenant": DEVICE.tenant,
        "device_id": DEVICE.device_id,
        "enrol_epoch": DEVICE.enrol_epoch,
        "partition": "personal",
        "at": NOW,
        "removed": ["keys"],
        "survived": [],
        "other_before": "ab" * 32,
        "other_after": "ab" * 32,
    }
    return WipeReceipt(**(defaults | fields))


WIPED = encode(wiped())
BAD_WIPES: dict[str, tuple[Callable[[], bytes], type[errors.TrustError]]] = {
    "another device's key": (
        lambda: sign_wipe(wiped(), CryptoSigner.generate_ecdsa()),
        errors.SignatureInvalid,
    ),
    "another device": (lambda: sign_wipe(wiped(device_id="laptop-2"), DEVICE_KEY), errors.ReceiptForAnother),
    "another enrolment": (lambda: sign_wipe(wiped(enrol_epoch=2), DEVICE_KEY), errors.ReceiptForAnother),
    "no such partition": (
        lambda: envelope.sign(WIPE_TYPE, WIPED.replace(b"personal", b"net"), [DEVICE_KEY]),
        errors.ReceiptMalformed,
    ),
    "a command's receipt": (lambda: sign_receipt(receipt(), DEVICE_KEY), errors.WrongPayloadType),
    "too large": (lambda: b"[" * (LIMITS.wipe_receipt_bytes + 1), errors.DocumentTooLarge),
}


def test_a_wipes_receipt() -> None:
    """Even one that names as much as it may; and it is no receipt of a command."""
    most = wiped(survived=["s" * 100] * 64)
    for one in (wiped(), most):
        assert verify_wipe(sign_wipe(one, DEVICE_KEY), key=DEVICE_KEY.public_key, device=DEVICE) == one
    with pytest.raises(errors.WrongPayloadType):
        check(sign_wipe(wiped(), DEVICE_KEY))


@pytest.mark.parametrize("case", BAD_WIPES)
def test_bad_receipts_of_wipes_are_refused(case: str) -> None:
    build, expected = BAD_WIPES[case]
    with pytest.raises(errors.TrustError) as refused:
        verify_wipe(build(), key=DEVICE_KEY.public_key, device=DEVICE)
    assert type(refused.value) is expected

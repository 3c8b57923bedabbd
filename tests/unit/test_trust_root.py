"""The root of trust: pinned, rotated, bounded, and every way to cheat refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Root, Timestamp
from twinhull_policy.trust import errors
from twinhull_policy.trust.documents import DELEGATIONS_FIELD
from twinhull_policy.trust.limits import LIMITS
from twinhull_policy.trust.root import TrustedRoot, load_first, load_stored, update, update_chain

from tests.support.signing import DAY, NOW, Corporate, key, moment, sign_metadata


def pinned(raw: bytes) -> TrustedRoot:
    return load_first(raw, hashlib.sha256(raw).hexdigest())


def test_the_token_pins_the_first_root() -> None:
    company = Corporate()
    trusted = company.trusted()
    assert trusted.version == 1
    assert trusted.expires_at == company.root_expires
    assert load_stored(trusted.raw).raw == trusted.raw
    with pytest.raises(errors.RootNotPinned):
        load_first(Corporate().root(), hashlib.sha256(trusted.raw).hexdigest())


def test_the_first_root_is_version_1() -> None:
    with pytest.raises(errors.RootVersionWrong):
        pinned(Corporate().root(version=2))


def test_three_rotations_each_with_new_keys() -> None:
    company = Corporate()
    trusted = company.trusted()
    chain = [trusted.raw]
    for version in (2, 3, 4):
        old = company.root_keys
        company.root_keys = [key(), key(), key()]
        chain.append(company.root(version, [*old[:2], *company.root_keys[:2]]))
    newest = update_chain(trusted, chain)
    assert newest.version == 4
    assert newest.raw == chain[-1]


def rotations() -> dict[str, tuple[Callable[[Corporate, Corporate], bytes], type[errors.TrustError]]]:
    """Rotations to refuse: how each is made from the old and the new company."""
    return {
        "signed by the old keys only": (lambda o, n: n.root(2, o.root_keys), errors.SignatureInvalid),
        "signed by the new keys only": (lambda o, n: n.root(2, n.root_keys), errors.SignatureInvalid),
        "one of two old signatures": (
            lambda o, n: n.root(2, [o.root_keys[0], *n.root_keys]),
            errors.SignatureInvalid,
        ),
        "one of two new signatures": (
            lambda o, n: n.root(2, [*o.root_keys, n.root_keys[0]]),
            errors.SignatureInvalid,
        ),
        "a version left out": (
            lambda o, n: n.root(3, [*o.root_keys, *n.root_keys]),
            errors.RootVersionWrong,
        ),
        "the same version again": (
            lambda o, n: n.root(1, [*o.root_keys, *n.root_keys]),
            errors.RootVersionWrong,
        ),
        "not JSON": (lambda o, n: b"{", errors.RootMalformed),
        "nested 200,000 deep": (lambda o, n: b"[" * 200_000, errors.RootMalformed),
        "too large": (lambda o, n: b" " * (LIMITS.root_bytes + 1), errors.DocumentTooLarge),
        "another role's metadata": (lambda o, n: n.repository().targets, errors.RootMalformed),
        "seventeen signatures": (
            lambda o, n: n.root(2, [key() for _ in range(17)]),
            errors.RootMalformed,
        ),
        "a number with a fraction": (
            lambda o, n: n.root(2).replace(b'"version":2', b'"version":2,"x":0.5'),
            errors.RootMalformed,
        ),
    }


@pytest.mark.parametrize("case", rotations())
def test_bad_rotations_are_refused(case: str) -> None:
    build, expected = rotations()[case]
    old = Corporate()
    with pytest.raises(expected):
        update(old.trusted(), build(old, Corporate()))


def test_a_threshold_change_counts_both_ways() -> None:
    company = Corporate()
    trusted = company.trusted()
    company.root_threshold = 3
    with pytest.raises(errors.SignatureInvalid):
        update(trusted, company.root(2, company.root_keys[:2]))
    assert update(trusted, company.root(2, company.root_keys)).version == 2


def test_at_most_so_many_rotations() -> None:
    trusted = Corporate().trusted()
    with pytest.raises(errors.TooManyRotations):
        update_chain(trusted, (trusted.raw for _ in range(LIMITS.root_rotations + 1)))


def test_expiry_counts_for_the_last_root_only() -> None:
    company = Corporate(root_expires=NOW - DAY)
    trusted = company.trusted()
    with pytest.raises(errors.RootExpired):
        trusted.check_expiry(NOW)
    company.root_expires = NOW + DAY
    newer = update(trusted, company.root(2))
    newer.check_expiry(NOW)
    with pytest.raises(errors.RootExpired):
        newer.check_expiry(10**15)


def twin(signer: CryptoSigner, keyid: str = "f" * 64) -> CryptoSigner:
    """The same key under another name."""
    public = signer.public_key
    return CryptoSigner(
        signer._private_key, SSlibKey(keyid, public.keytype, public.scheme, dict(public.keyval))
    )


def test_one_key_under_two_names_is_refused() -> None:
    company = Corporate(root_threshold=2)
    company.root_keys = [company.root_keys[0], twin(company.root_keys[0])]
    with pytest.raises(errors.RootMalformed, match="listed twice"):
        pinned(company.root())


def bent_key(**changes: Any) -> Callable[[Root], None]:
    def bend(root: Root) -> None:
        last = next(reversed(root.keys.values()))
        for name, value in changes.items():
            setattr(last, name, value)

    return bend


def bent_delegation(value: object) -> Callable[[Root], None]:
    def bend(root: Root) -> None:
        root.unrecognized_fields[DELEGATIONS_FIELD] = value

    return bend


def first_key(root: Root) -> str:
    return next(iter(root.keys))


P256 = CryptoSigner.generate_ecdsa().public_key
RSA = CryptoSigner.generate_rsa().public_key
BAD_ROOTS: dict[str, Callable[[Root], None]] = {
    "an RSA key": lambda r: r.keys.update({RSA.keyid: RSA}),
    "no public part": bent_key(keyval={"public": None}),
    "a short key": bent_key(keyval={"public": "00"}),
    "not hexadecimal": bent_key(keyval={"public": "zz"}),
    "Ed25519 that says it is ECDSA": bent_key(keytype="ecdsa", scheme="ecdsa-sha2-nistp256"),
    "RSA that says it is ECDSA": bent_key(keytype="ecdsa", scheme="ecdsa-sha2-nistp256", keyval=RSA.keyval),
    "delegations are a list": bent_delegation([]),
    "unknown role": bent_delegation({"owner": {"keyids": ["0" * 64], "threshold": 1}}),
    "unknown field": lambda r: bent_delegation(
        {"policy": {"keyids": [first_key(r)], "threshold": 1, "x": 1}}
    )(r),
    "no keys": bent_delegation({"policy": {"keyids": [], "threshold": 1}}),
    "key not in the root": bent_delegation({"policy": {"keyids": ["0" * 64], "threshold": 1}}),
    "threshold 0": lambda r: bent_delegation({"policy": {"keyids": [first_key(r)], "threshold": 0}})(r),
    "threshold of 2 with 1 key": lambda r: bent_delegation(
        {"policy": {"keyids": [first_key(r)], "threshold": 2}}
    )(r),
    "one key twice": lambda r: bent_delegation({"policy": {"keyids": [first_key(r)] * 2, "threshold": 2}})(r),
    "one key for two roles": lambda r: bent_delegation(
        {role: {"keyids": [first_key(r)], "threshold": 1} for role in ("policy", "director")}
    )(r),
}


@pytest.mark.parametrize("case", BAD_ROOTS)
def test_malformed_roots_are_refused_although_signed(case: str) -> None:
    company = Corporate()
    root = company.root_signed()
    BAD_ROOTS[case](root)
    with pytest.raises(errors.RootMalformed):
        pinned(sign_metadata(root, company.root_keys))


def test_a_p256_key_may_sign() -> None:
    company = Corporate()
    company.director_keys = [CryptoSigner.generate_ecdsa()]
    keys, threshold = company.trusted().delegated_keys("director")
    assert [k.keyid for k in keys] == [company.director_keys[0].public_key.keyid]
    assert threshold == 1


def test_roles_that_are_not_delegated_have_no_keys() -> None:
    with pytest.raises(errors.RoleNotDelegated):
        Corporate().trusted().delegated_keys("escrow")


def test_every_truncation_and_a_changed_byte_are_refused() -> None:
    company = Corporate()
    trusted = company.trusted()
    following = company.root(2)
    for length in range(0, len(following), 37):
        with pytest.raises(errors.TrustError):
            update(trusted, following[:length])
    changed = json.loads(following)
    changed["signed"]["expires"] = moment(NOW + 9999 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(errors.SignatureInvalid):
        update(trusted, json.dumps(changed).encode())


def test_a_timestamp_signed_by_root_keys_is_not_a_root() -> None:
    company = Corporate()
    fake = sign_metadata(Timestamp(version=2, expires=moment(NOW + DAY)), company.root_keys)
    with pytest.raises(errors.RootMalformed):
        update(company.trusted(), fake)

"""What needs two administrators, and device grants, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server import two_persons
from twinhull_policy.server.device_grants import AccessToken, DeviceGrants, OAuthError, normal_code
from twinhull_policy.server.enrolment import hash_secret
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store import audit, devices, tokens
from twinhull_policy.trust.token import parse_token

from tests.support.server_store import empty_storage, fill


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[s.Storage]:
    with empty_storage(tmp_path) as storage:
        fill(storage, 5)
        yield storage


def ids(storage: s.Storage) -> list[str]:
    with storage.read() as tx:
        return [device.device_id for device in devices.everyone(tx)]


def asked(storage: s.Storage, device_ids: list[str]) -> int:
    with storage.write() as tx:
        return two_persons.ask(tx, device_ids, "stolen van", "alice")


def test_two_persons_and_once(storage: s.Storage) -> None:
    wanted = ids(storage)[:3]
    number = asked(storage, wanted)
    with pytest.raises(e.NotApproved), storage.write() as tx:
        two_persons.use(tx, number, wanted, "root")
    with pytest.raises(e.SecondPersonNeeded), storage.write() as tx:
        two_persons.approve(tx, number, "alice")
    with storage.write() as tx:
        two_persons.approve(tx, number, "bob")
    with pytest.raises(e.UnknownApproval), storage.write() as tx:
        two_persons.approve(tx, number, "carol")
    for others in (wanted[:2], ids(storage)[:4], []):
        with pytest.raises(e.NotApproved), storage.write() as tx:
            two_persons.use(tx, number, others, "root")
    with storage.write() as tx:
        two_persons.use(tx, number, list(reversed(wanted)), "root")
        assert [line.actor for line in audit.newest(tx, 3)] == ["root", "bob", "alice"]
    with pytest.raises(e.NotApproved), storage.write() as tx:
        two_persons.use(tx, number, wanted, "root")


def test_an_approval_does_not_keep(storage: s.Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    number = asked(storage, ids(storage))
    with storage.write() as tx:
        tx.execute(s.approvals.update().values(expires_at=0.0))
    with pytest.raises(e.UnknownApproval), storage.write() as tx:
        two_persons.approve(tx, number, "bob")
    with storage.write() as tx:
        tx.execute(s.approvals.update().values(approved_by="bob", approved_at=0.0))
    with pytest.raises(e.NotApproved), storage.write() as tx:
        two_persons.use(tx, number, ids(storage), "root")


@pytest.mark.parametrize("wanted", [[], ["d-none"], [f"d-{n}" for n in range(1001)]])
def test_requests_that_are_refused(storage: s.Storage, wanted: list[str]) -> None:
    with pytest.raises((e.UnknownDevice, e.BadRequest)):
        asked(storage, wanted)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def csr() -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def desk(storage: s.Storage, clock: Clock) -> DeviceGrants:
    grants = DeviceGrants(storage, "0" * 64, "1" * 64, "localhost", clock)
    grants.open_at(8444)
    return grants


def test_a_grant_yields_one_token_for_one_key(storage: s.Storage) -> None:
    clock = Clock()
    grants = desk(storage, clock)
    begun = grants.begin(csr(), "bob at a new laptop\x1b[2J", "192.0.2.7")
    assert grants.poll(begun.device_code) == OAuthError(error="authorization_pending")
    (waiting,) = grants.waiting()
    assert (waiting.address, waiting.initiator) == ("192.0.2.7", "bob at a new laptop�[2J")
    clock.now += 6
    grants.decide(begun.user_code.lower().replace("-", " "), "sales", "alice")
    answer = grants.poll(begun.device_code)
    assert isinstance(answer, AccessToken)
    with storage.read() as tx:
        token = tokens.by_hash(tx, hash_secret(parse_token(answer.access_token).secret))
    assert token is not None
    assert (token.group, token.bound_key, token.created_by) == ("sales", waiting.key_sha256, "alice")
    clock.now += 6
    again = grants.poll(begun.device_code)
    assert isinstance(again, OAuthError) and again.error == "invalid_grant"
    assert grants.waiting() == []


def test_polling_too_fast_is_slowed_down(storage: s.Storage) -> None:
    clock = Clock()
    grants = desk(storage, clock)
    begun = grants.begin(csr(), "", "::1")
    told = []
    for step in (0, 1, 6, 11, 16):
        clock.now += step
        answer = grants.poll(begun.device_code)
        assert isinstance(answer, OAuthError)
        told.append(answer.error)
    assert told == ["authorization_pending", "slow_down", "slow_down", "slow_down", "slow_down"]


@pytest.mark.parametrize(
    ("seconds", "group", "error"),
    [(LIMITS.grant_seconds, None, "expired_token"), (6, "", "access_denied")],
)
def test_grants_that_end(storage: s.Storage, seconds: float, group: str | None, error: str) -> None:
    clock = Clock()
    grants = desk(storage, clock)
    begun = grants.begin(csr(), "", "::1")
    if group is not None:
        grants.decide(begun.user_code, None, "alice")
    clock.now += seconds
    assert grants.poll(begun.device_code) == OAuthError(error=error)
    with pytest.raises(e.UnknownGrant):
        grants.decide(begun.user_code, "sales", "alice")


@pytest.mark.parametrize("code", ["", "BBBB-BBBB", "BBBBBBBBB", "bbbb", "AEIO-UAEI", "x" * 1000, "🦊"])
def test_codes_nobody_was_given(storage: s.Storage, code: str) -> None:
    with pytest.raises(e.UnknownGrant):
        desk(storage, Clock()).decide(code, None, "alice")
    assert len(normal_code(code)) in (1, 9)


def test_a_grant_into_no_group_and_too_many_at_once(
    storage: s.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = desk(storage, Clock())
    request = csr()
    begun = grants.begin(request, "", "::1")
    with pytest.raises(e.UnknownGroup):
        grants.decide(begun.user_code, "nowhere", "alice")
    for _ in range(LIMITS.grants_pending - 1):
        grants.begin(request, "", "::1")
    with pytest.raises(e.GrantsFull):
        grants.begin(request, "", "::1")

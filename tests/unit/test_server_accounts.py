"""Accounts: who gets in with what, once, and for how long; and rate limits. On a clock of the test's own."""

from __future__ import annotations

import urllib.parse
from base64 import b32decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_policy.errors import TwinhullError
from twinhull_policy.server import errors as e
from twinhull_policy.server.accounts import Accounts, NewAccount, Role
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limiter import FailureCounter, RateLimiter
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store import audit, settings

from tests.support.administrators import PHRASE, code
from tests.support.server_store import empty_storage

OTHER = "another long phrase"


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Accounts over a fresh database, and alice, who is an operator."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.clock = clock
        self.layout = Layout(directory)
        self.layout.online.mkdir()
        self._opened = empty_storage(directory)
        self.storage = self._opened.__enter__()
        with self.storage.write() as tx:
            settings.add(tx, {"tenant": "example"})
        self.accounts = Accounts(self.layout, self.storage, clock)
        self.alice = self.accounts.new("alice", Role.OPERATOR, PHRASE, "test")

    def close(self) -> None:
        self._opened.__exit__(None, None, None)

    def code(self, account: NewAccount | None = None, drift: float = 0) -> str:
        return code((account or self.alice).totp_uri, self.clock.now + drift)

    def sign_in(self, **changes: str) -> str:
        given = {"name": "alice", "password": PHRASE, "code": self.code(), "address": "::1"} | changes
        return self.accounts.sign_in(**given).token


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, Clock())
    try:
        yield desk
    finally:
        desk.close()


def test_signing_in_and_out(desk: Desk) -> None:
    token = desk.sign_in()
    who = desk.accounts.who(token)
    assert (who.name, who.role) == ("alice", Role.OPERATOR)
    desk.accounts.sign_out(token)
    with pytest.raises(e.SignInNeeded):
        desk.accounts.who(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "correct horse batterz"},
        {"password": ""},
        {"password": "\udc80" * 12},
        {"password": "x" * 10_000},
        {"name": "bob"},
        {"name": "Alice"},
        {"name": "alice'--"},
        {"code": ""},
        {"code": "12345"},
        {"code": "١٢٣٤٥٦"},
        {"code": "abcdef"},
    ],
)
def test_whatever_is_wrong_the_answer_is_the_same(desk: Desk, changes: dict[str, str]) -> None:
    with pytest.raises(e.SignInRefused) as caught:
        desk.sign_in(**changes)
    assert caught.value.message == "Name, password or code is wrong."
    with desk.storage.read() as tx:
        (line, *_) = audit.newest(tx, 1)
    assert line.action == "sign-in refused"
    assert PHRASE not in line.actor + line.detail


@pytest.mark.parametrize(
    ("drift", "accepted"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_clocks_may_differ_by_one_step(desk: Desk, drift: float, accepted: bool) -> None:
    code = desk.code(drift=drift)
    if accepted:
        desk.sign_in(code=code)
    else:
        with pytest.raises(e.SignInRefused):
            desk.sign_in(code=code)


def test_a_code_is_good_once_and_so_are_older_ones(desk: Desk) -> None:
    older, code = desk.code(drift=-30), desk.code()
    desk.sign_in(code=code)
    for used in (code, older):
        with pytest.raises(e.SignInRefused):
            desk.sign_in(code=used)
    desk.clock.now += 30
    desk.sign_in()


@pytest.mark.parametrize(
    ("step", "times"),
    [(LIMITS.session_idle_seconds, 1), (LIMITS.session_idle_seconds - 1, 25)],
)
def test_sessions_end(desk: Desk, step: float, times: int) -> None:
    """After half an hour without a request; and after twelve hours, however busy."""
    token = desk.sign_in()
    began = desk.clock.now
    for _ in range(times):
        desk.clock.now += step
        if desk.clock.now - began >= LIMITS.session_seconds or times == 1:
            break
        desk.accounts.who(token)
    with pytest.raises(e.SignInNeeded):
        desk.accounts.who(token)


def test_what_an_owner_changes_holds_at_once(desk: Desk) -> None:
    token = desk.sign_in()
    desk.accounts.set_role("alice", Role.VIEWER, "test")
    with pytest.raises(e.SignInNeeded):
        desk.accounts.who(token)
    desk.clock.now += 30
    again = desk.sign_in()
    assert desk.accounts.who(again).role == Role.VIEWER
    desk.accounts.disable("alice", "test")
    with pytest.raises(e.SignInNeeded):
        desk.accounts.who(again)
    desk.clock.now += 30
    with pytest.raises(e.SignInRefused):
        desk.sign_in()


def test_reset_makes_the_old_password_and_authenticator_worthless(desk: Desk) -> None:
    renewed = desk.accounts.reset("alice", OTHER, "test")
    with pytest.raises(e.SignInRefused):
        desk.sign_in(code=desk.code(renewed))
    with pytest.raises(e.SignInRefused):
        desk.sign_in(password=OTHER)
    desk.sign_in(password=OTHER, code=desk.code(renewed))


def test_the_database_alone_signs_nobody_in(desk: Desk) -> None:
    """It holds neither passwords, nor TOTP secrets, nor session tokens."""
    token = desk.sign_in()
    query = urllib.parse.parse_qs(urllib.parse.urlparse(desk.alice.totp_uri).query)
    secret = b32decode(query["secret"][0])
    held = b"".join(path.read_bytes() for path in desk.layout.directory.glob("server.sqlite*"))
    assert b"alice" in held
    for wanted in (PHRASE.encode(), secret, query["secret"][0].encode(), token.encode()):
        assert wanted not in held
    (desk.layout.online / "accounts.key").write_bytes(bytes(32))
    desk.clock.now += 30
    with pytest.raises(e.KeyUnavailable):
        desk.sign_in()


@pytest.mark.parametrize("password", ["short", "x" * 257, "alice alice alice", "", "ALICE in wonderland"])
def test_weak_passwords(desk: Desk, password: str) -> None:
    with pytest.raises(e.WeakPassword):
        desk.accounts.reset("alice", password, "test")


def test_names_are_taken_once(desk: Desk) -> None:
    for name, refusal in (("alice", e.AccountExists), ("A b", e.BadName)):
        with pytest.raises(refusal):
            desk.accounts.new(name, Role.VIEWER, OTHER, "test")


@pytest.mark.parametrize("held", Role)
@pytest.mark.parametrize("needed", Role)
def test_each_role_may_what_the_lower_ones_may(desk: Desk, held: Role, needed: Role) -> None:
    desk.accounts.set_role("alice", held, "test")
    desk.clock.now += 30
    who = desk.accounts.who(desk.sign_in())
    try:
        who.need(needed)
        allowed = True
    except TwinhullError as error:
        assert isinstance(error, e.RoleNeeded)
        allowed = False
    assert allowed == (held >= needed)


def test_a_bucket_empties_fills_and_is_one_addresss_own() -> None:
    clock = Clock()
    limiter = RateLimiter(3, 0.5, clock)
    for _ in range(3):
        limiter.take("a")
    with pytest.raises(e.TooManyRequests):
        limiter.take("a")
    limiter.take("b")
    clock.now += 2
    limiter.take("a")
    with pytest.raises(e.TooManyRequests):
        limiter.take("a")
    clock.now += 1000
    for _ in range(3):
        limiter.take("a")
    with pytest.raises(e.TooManyRequests):
        limiter.take("a")


def test_failures_are_forgotten_after_a_minute() -> None:
    clock = Clock()
    counter = FailureCounter(2, clock)
    for _ in range(2):
        counter.check("a")
        counter.count("a")
    with pytest.raises(e.TooManyAttempts):
        counter.check("a")
    counter.check("b")
    clock.now += 61
    counter.check("a")


def test_limiters_remember_a_bounded_number_of_addresses() -> None:
    limiter, counter = RateLimiter(1, 1.0, Clock()), FailureCounter(1, Clock())
    for number in range(LIMITS.addresses_remembered + 50):
        limiter.take(str(number))
        counter.count(str(number))
    assert len(limiter._buckets) == len(counter._failures) == LIMITS.addresses_remembered

"""Administrators: roles, passwords with a second factor, sessions.

Passwords are kept as Argon2id (RFC 9106, its second recommended setting). The second factor is TOTP (RFC
6238) with the values every authenticator app knows; a code is good once. TOTP secrets are encrypted with
a key beside the database, so that a copy of the database alone signs nobody in. Session tokens are random and
stored hashed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from enum import IntEnum

import msgspec
from cryptography.exceptions import InvalidKey, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from twinhull_policy.names import is_name
from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.layout import Layout, write_file
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store import accounts, audit, settings

TOTP_STEP = 30
TOTP_DIGITS = 6
TOTP_BYTES = 20
"""RFC 4226, section 4, R6: a secret of 160 bits is recommended."""
TOTP_DRIFT = 1
"""Steps a clock may be off, either way (RFC 6238, section 5.2)."""
PASSWORD_SHORTEST = 12
PASSWORD_LONGEST = 256
_NONCE = 12


class Role(IntEnum):
    """What an account may do; each may do what the ones before it may."""

    VIEWER = 1
    """Reads everything but accounts."""
    OPERATOR = 2
    """Tokens, device grants, revoking devices, asking for and approving what needs two."""
    AUTHOR = 3
    """Drafts, publishes signed policies, runs rollouts."""
    OWNER = 4
    """Groups and accounts."""

    @classmethod
    def named(cls, name: str) -> Role:
        """The role of a name in lower case. Raises BadSetting."""
        try:
            return cls[name.upper()]
        except KeyError as error:
            raise e.BadSetting(option="role", value=name) from error

    @property
    def label(self) -> str:
        """Its name in lower case."""
        return self.name.lower()


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is signed in. ``csrf`` has to come with every form of the session."""

    name: str
    role: Role
    csrf: str
    expires_at: float

    def need(self, role: Role) -> None:
        """Raise RoleNeeded unless this role, or a higher one, is held."""
        if self.role < role:
            raise e.RoleNeeded(role=role.label)


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What the person needs once: the address an authenticator app reads (otpauth:…)."""

    name: str
    role: str
    totp_uri: str


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A new session and the secret that names it."""

    token: str
    who: Who


class Accounts:
    """Over one server's database.

    Args:
        layout: where the key for TOTP secrets is; made when the first account is.
        storage: the database.
        clock: seconds since the epoch.
    """

    def __init__(self, layout: Layout, storage: s.Storage, clock: Callable[[], float] = time.time) -> None:
        self._path = layout.online / "accounts.key"
        self._storage = storage
        self._clock = clock

    def new(self, name: str, role: Role, password: str, actor: str) -> NewAccount:
        """Make an account. Raises BadName, WeakPassword, AccountExists."""
        if not is_name(name):
            raise e.BadName(name=name)
        check_password(name, password)
        secret = secrets.token_bytes(TOTP_BYTES)
        account = accounts.SecretAccount(
            name=name,
            role=role.label,
            password=hash_password(password),
            totp_secret=self._seal(name, secret),
            totp_used=0,
            created_at=self._clock(),
            disabled_at=None,
        )
        with self._storage.write() as tx:
            if not accounts.add(tx, account):
                raise e.AccountExists(name=name)
            audit.append(tx, actor, "account new", f"{name}, {role.label}")
            tenant = settings.get(tx, "tenant")
        return NewAccount(name=name, role=role.label, totp_uri=_uri(tenant, name, secret))

    def reset(self, name: str, password: str, actor: str) -> NewAccount:
        """A new password and a new second factor, when either was lost. Raises UnknownAccount,
        WeakPassword."""
        check_password(name, password)
        secret = secrets.token_bytes(TOTP_BYTES)
        with self._storage.write() as tx:
            account = _known(tx, name)
            sealed = self._seal(name, secret)
            accounts.change(tx, name, password=hash_password(password), totp_secret=sealed)
            audit.append(tx, actor, "account reset", name)
            tenant = settings.get(tx, "tenant")
        return NewAccount(name=name, role=account.role, totp_uri=_uri(tenant, name, secret))

    def set_role(self, name: str, role: Role, actor: str) -> None:
        """Give an account another role; it has to sign in again. Raises UnknownAccount."""
        with self._storage.write() as tx:
            _known(tx, name)
            accounts.change(tx, name, role=role.label)
            audit.append(tx, actor, "account role", f"{name}, {role.label}")

    def disable(self, name: str, actor: str) -> None:
        """Shut an account out for good, now. Raises UnknownAccount."""
        with self._storage.write() as tx:
            if _known(tx, name).disabled_at is None:
                accounts.change(tx, name, disabled_at=self._clock())
                audit.append(tx, actor, "account disable", name)

    def everyone(self) -> list[accounts.Account]:
        """All accounts, without secrets."""
        with self._storage.read() as tx:
            return accounts.everyone(tx)

    def sign_in(self, name: str, password: str, code: str, address: str) -> SignedIn:
        """Begin a session. Whatever is wrong, it takes as long and says the same.

        Raises SignInRefused.
        """
        with self._storage.read() as tx:
            account = accounts.get(tx, name) if is_name(name) else None
        right = verify_password(password[: PASSWORD_LONGEST + 1], account.password if account else _DUMMY)
        step = self._step(account, code) if account is not None else None
        now = self._clock()
        if account is None or account.disabled_at is not None or not right or step is None:
            with self._storage.write() as tx:
                audit.append(tx, printable_name(name), "sign-in refused", f"from {address}")
            raise e.SignInRefused
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        with self._storage.write() as tx:
            if not accounts.use_code(tx, name, step):
                raise e.SignInRefused
            accounts.drop_sessions(
                tx, created_before=now - LIMITS.session_seconds, used_before=now - LIMITS.session_idle_seconds
            )
            accounts.add_session(tx, _hash(token), name, csrf, address, now)
            audit.append(tx, name, "sign-in", f"from {address}")
        who = Who(
            name=name, role=Role.named(account.role), csrf=csrf, expires_at=now + LIMITS.session_seconds
        )
        return SignedIn(token=token, who=who)

    def who(self, untrusted_token: str) -> Who:
        """Whose session it is. Raises SignInNeeded."""
        key, now = _hash(untrusted_token), self._clock()
        with self._storage.read() as tx:
            session = accounts.session(tx, key)
        if (
            session is None
            or session.disabled_at is not None
            or now - session.created_at >= LIMITS.session_seconds
            or now - session.used_at >= LIMITS.session_idle_seconds
        ):
            raise e.SignInNeeded
        if now - session.used_at >= LIMITS.session_noted_seconds:
            with self._storage.write() as tx:
                accounts.touch_session(tx, key, now)
        return Who(
            name=session.account,
            role=Role.named(session.role),
            csrf=session.csrf,
            expires_at=session.created_at + LIMITS.session_seconds,
        )

    def sign_out(self, untrusted_token: str) -> None:
        """End a session."""
        with self._storage.write() as tx:
            accounts.end_session(tx, _hash(untrusted_token))

    def _step(self, account: accounts.SecretAccount, untrusted_code: str) -> int | None:
        """The time step whose code it is, if it is one that may be used now."""
        if len(untrusted_code) != TOTP_DIGITS or not untrusted_code.isascii() or not untrusted_code.isdigit():
            return None
        totp = _totp(self._open(account.name, account.totp_secret))
        current = int(self._clock()) // TOTP_STEP
        for step in range(current - TOTP_DRIFT, current + TOTP_DRIFT + 1):
            expected = totp.generate(step * TOTP_STEP)
            if hmac.compare_digest(expected, untrusted_code.encode()) and step > account.totp_used:
                return step
        return None

    def _key(self) -> bytes:
        if not self._path.exists():
            write_file(self._path, secrets.token_bytes(32), 0o600)
            owner = self._path.parent.stat()
            if owner.st_uid != os.geteuid():
                os.chown(self._path, owner.st_uid, owner.st_gid)
        return self._path.read_bytes()

    def _seal(self, name: str, secret: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._key()).encrypt(nonce, secret, name.encode())

    def _open(self, name: str, sealed: bytes) -> bytes:
        try:
            return AESGCM(self._key()).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise e.KeyUnavailable(role="accounts", path=self._path) from error


def check_password(name: str, password: str) -> None:
    """Length alone decides (NIST SP 800-63B, 5.1.1.2), and that it is not the name. Raises WeakPassword."""
    if not PASSWORD_SHORTEST <= len(password) <= PASSWORD_LONGEST or name in password.lower():
        raise e.WeakPassword(shortest=PASSWORD_SHORTEST, longest=PASSWORD_LONGEST)


def hash_password(password: str) -> str:
    """Argon2id with 64 MiB, three passes and four lanes (RFC 9106, section 4), as a PHC string."""
    salt = secrets.token_bytes(16)
    return Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 * 1024).derive_phc_encoded(
        password.encode()
    )


def verify_password(untrusted_password: str, phc: str) -> bool:
    """Whether it is the password that was hashed so."""
    try:
        Argon2id.verify_phc_encoded(untrusted_password.encode("utf-8", "surrogatepass"), phc)
    except InvalidKey:
        return False
    return True


def printable_name(untrusted_name: str) -> str:
    """A name for the log: what was typed if it could be a name (people type passwords there), else a
    stand-in."""
    return untrusted_name if is_name(untrusted_name) else "?"


_DUMMY = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""Of no password: an account that does not exist takes as long to refuse as one that does."""


def _known(tx: s.Tx, name: str) -> accounts.SecretAccount:
    account = accounts.get(tx, name)
    if account is None:
        raise e.UnknownAccount(name=name)
    return account


def _totp(secret: bytes) -> TOTP:
    # SHA-1 is what authenticator apps know; HMAC-SHA-1 stands (RFC 6194, section 3.3).
    return TOTP(secret, TOTP_DIGITS, SHA1(), TOTP_STEP)  # noqa: S303


def _uri(tenant: str, name: str, secret: bytes) -> str:
    return _totp(secret).get_provisioning_uri(name, f"Twinhull {tenant}")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

"""The OAuth 2.0 device grant (RFC 8628): a laptop asks, a person compares a short code and says yes or no.

All it yields is an enrolment token, good once, for a few minutes, and only with the device key whose
fingerprint the person saw. The server never learns a password of the person on the laptop, and the laptop
learns nothing else.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

import msgspec

from twinhull_policy.errors import printable
from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.enrolment import hash_secret
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import check_csr, key_sha256
from twinhull_policy.server.store import audit, grants, groups, tokens
from twinhull_policy.trust.fingerprint import server_fingerprint
from twinhull_policy.trust.token import EnrolmentToken, format_token

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits to confuse (RFC 8628, section 6.1)."""
CODE_LETTERS = 8
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID = "twinhull"


class DeviceAuthorization(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of the device authorization endpoint (RFC 8628, section 3.2). Times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of the token endpoint: ``access_token`` is an enrolment token."""

    access_token: str
    token_type: str
    expires_in: int


class OAuthError(msgspec.Struct, frozen=True, kw_only=True):
    """Refusal of the token endpoint (RFC 6749, section 5.2; RFC 8628, section 3.5)."""

    error: str
    error_description: str = ""


class DeviceGrants:
    """Over one server's database.

    Args:
        storage: the database.
        root_sha256: hash of version 1 of the root, which enrolment tokens carry.
        ca_sha256: hash of the server's CA, which enrolment tokens carry.
        host: name of this server, as administrators reach it.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        storage: s.Storage,
        root_sha256: str,
        ca_sha256: str,
        host: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storage = storage
        self._root_sha256 = root_sha256
        self._ca_sha256 = ca_sha256
        self._host = host
        self._console = ""
        self._clock = clock

    @property
    def server_fingerprint(self) -> str:
        """What a person compares with the laptop's screen."""
        return server_fingerprint(self._root_sha256, self._ca_sha256)

    def open_at(self, port: int) -> None:
        """From now on there is a console at this port to answer requests in."""
        self._console = f"https://{self._host}:{port}/grants"

    def begin(self, untrusted_csr: str, untrusted_initiator: str, address: str) -> DeviceAuthorization:
        """A laptop asks. ``untrusted_initiator`` is who it says started this, for the person to recognise.

        Raises BadRequest, GrantsFull, NoConsole.
        """
        if not self._console:
            raise e.NoConsole
        key = key_sha256(check_csr(untrusted_csr))
        now = self._clock()
        device_code = secrets.token_urlsafe(32)
        letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS))
        user_code = f"{letters[:4]}-{letters[4:]}"
        with self._storage.write() as tx:
            grants.drop(tx, now - LIMITS.grant_seconds)
            if grants.pending_count(tx, now) >= LIMITS.grants_pending:
                raise e.GrantsFull
            grant = grants.Grant(
                device_code_sha256=_hash(device_code),
                user_code=user_code,
                key_sha256=key,
                initiator=printable(untrusted_initiator, 100),
                address=address,
                created_at=now,
                expires_at=now + LIMITS.grant_seconds,
                polled_at=0.0,
                interval=LIMITS.grant_poll_seconds,
                state="pending",
                group=None,
                decided_by="",
            )
            grants.add(tx, grant)
        return DeviceAuthorization(
            device_code=device_code,
            user_code=user_code,
            verification_uri=self._console,
            verification_uri_complete=f"{self._console}?code={user_code}",
            expires_in=int(LIMITS.grant_seconds),
            interval=LIMITS.grant_poll_seconds,
        )

    def poll(self, untrusted_device_code: str) -> AccessToken | OAuthError:
        """The laptop asks whether it was let in."""
        now = self._clock()
        key = _hash(untrusted_device_code)
        with self._storage.write() as tx:
            grant = grants.by_device_code(tx, key)
            if grant is None or grant.state == "used":
                return OAuthError(error="invalid_grant", error_description="no such device code")
            if grant.expires_at <= now:
                return OAuthError(error="expired_token")
            if now - grant.polled_at < grant.interval:
                # RFC 8628, section 3.5: five seconds more from now on.
                grants.polled(tx, key, min(grant.interval + 5, 60), now)
                return OAuthError(error="slow_down")
            grants.polled(tx, key, grant.interval, now)
            if grant.state == "pending":
                return OAuthError(error="authorization_pending")
            if grant.state == "denied" or grant.group is None:
                return OAuthError(error="access_denied")
            grants.use(tx, key)
            token = EnrolmentToken(secrets.token_bytes(32), self._root_sha256, self._ca_sha256)
            tokens.add(
                tx,
                hash_=hash_secret(token.secret),
                group=grant.group,
                created_at=now,
                expires_at=now + LIMITS.grant_seconds,
                created_by=grant.decided_by,
                bound_key=grant.key_sha256,
            )
        return AccessToken(
            access_token=format_token(token),
            token_type="enrolment",  # noqa: S106 - a kind of token and no token
            expires_in=int(LIMITS.grant_seconds),
        )

    def waiting(self) -> list[grants.Grant]:
        """The laptops that wait for an answer."""
        with self._storage.read() as tx:
            return grants.pending(tx, self._clock())

    def decide(self, untrusted_user_code: str, group: str | None, actor: str) -> None:
        """Let a laptop into ``group``, or (None) refuse it. Raises UnknownGrant, UnknownGroup."""
        code = normal_code(untrusted_user_code)
        now = self._clock()
        with self._storage.write() as tx:
            if group is not None and groups.get(tx, group) is None:
                raise e.UnknownGroup(name=group)
            grant = grants.by_user_code(tx, code)
            state: grants.State = "denied" if group is None else "approved"
            until = now + LIMITS.grant_seconds
            if grant is None or not grants.decide(tx, code, state, group, actor, now, until):
                raise e.UnknownGrant(user_code=code)
            detail = f"key {grant.key_sha256}, from {grant.address}, group {group or '-'}"
            audit.append(tx, actor, f"grant {state}", detail)


def normal_code(untrusted_code: str) -> str:
    """A code as a person typed it, in its one form; what cannot be one becomes one that never is."""
    letters = "".join(c for c in untrusted_code[:32].upper() if c in ALPHABET)
    return f"{letters[:4]}-{letters[4:]}" if len(letters) == CODE_LETTERS else "?"


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()

"""The device grant (RFC 8628), the laptop's side: ask, show a code, ask again until somebody has answered.

No token names what to trust here, so what enrolment pins is brought first, and a person compares its
fingerprint. From then on the connection is TLS verified against that CA, and the token that comes in the end
has to name the same CA and the same root. Nothing is enrolled before both hold.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Annotated, TypeVar
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Meta
from twinhull_policy.errors import printable
from twinhull_policy.trust.token import EnrolmentToken, parse_token

from .client import GrantPrompt
from .enrol import fetch_ca
from .errors import BadServerAnswer, GrantDenied, GrantExpired, GrantForAnotherServer, ServerUnreachable
from .fleet_client import FleetClient, check_url
from .identity import IdentityStore, pinned_context
from .limits import LIMITS

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID = "twinhull"
T = TypeVar("T")
SLOWER_SECONDS = 5.0
"""What ``slow_down`` adds to the interval (RFC 8628, section 3.5)."""


class DeviceAuthorization(msgspec.Struct, frozen=True):
    """The server's answer (RFC 8628, section 3.2), bounded. Times in seconds."""

    device_code: Annotated[str, Meta(min_length=16, max_length=128, pattern="^[A-Za-z0-9._~-]+$")]
    user_code: Annotated[str, Meta(pattern="^[A-Z0-9-]{4,16}$")]
    verification_uri: Annotated[str, Meta(max_length=256, pattern="^https://[!-~]+$")]
    expires_in: Annotated[int, Meta(ge=1, le=3600)]
    verification_uri_complete: Annotated[str, Meta(max_length=256, pattern="^(https://[!-~]+)?$")] = ""
    interval: Annotated[int, Meta(ge=1, le=60)] = 5


class _AccessToken(msgspec.Struct, frozen=True):
    access_token: Annotated[str, Meta(max_length=LIMITS.token_bytes)]


class _Refusal(msgspec.Struct, frozen=True):
    error: Annotated[str, Meta(max_length=64)]


class Grant:
    """One request to be let in.

    Attributes:
        prompt: what is shown.
        problem: why the last time of asking brought no answer; empty when it brought one.
    """

    def __init__(
        self,
        asked: DeviceAuthorization,
        prompt: GrantPrompt,
        server_ca: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.prompt = prompt
        self.problem = ""
        self._server_ca = server_ca
        self._device_code = asked.device_code
        self._interval = float(asked.interval)
        self._clock = clock
        self._expires = clock() + asked.expires_in
        self._next = clock() + self._interval
        self._token: EnrolmentToken | None = None

    def wait_seconds(self) -> float:
        """Until the server may be asked again."""
        return max(0.0, self._next - self._clock())

    async def poll(self) -> EnrolmentToken | None:
        """Ask the server if it is time to; the token once there is one, and again when asked again.

        A server that cannot be reached is asked half as often each time (RFC 8628, section 3.5).

        Raises:
            GrantDenied, GrantExpired: it is over.
            GrantForAnotherServer: the token is for something else than what was shown.
            BadServerAnswer, WrongServer.
        """
        if self._token is not None:
            return self._token
        if self._clock() >= self._expires:
            raise GrantExpired
        if self.wait_seconds() > 0:
            return None
        self.problem = ""
        try:
            self._token = await self._ask()
        except ServerUnreachable as error:
            self.problem = error.message
            self._interval = min(LIMITS.grant_interval_seconds, self._interval * 2)
        self._next = self._clock() + self._interval
        return self._token

    async def _ask(self) -> EnrolmentToken | None:
        form = {"client_id": CLIENT_ID, "device_code": self._device_code, "grant_type": GRANT_TYPE}
        async with FleetClient(self.prompt.server, pinned_context(self._server_ca)) as client:
            body = urlencode(form).encode()
            status, untrusted_answer = await client.form("/v1/token", body, LIMITS.error_bytes)
        if status == 200:
            token = parse_token(_decoded(untrusted_answer, _AccessToken).access_token)
            if (token.root_sha256, token.ca_sha256) != (self.prompt.root_sha256, self.prompt.ca_sha256):
                raise GrantForAnotherServer
            return token
        error = _decoded(untrusted_answer, _Refusal).error
        match error:
            case "authorization_pending":
                return None
            case "slow_down":
                self._interval = min(LIMITS.grant_interval_seconds, self._interval + SLOWER_SECONDS)
                return None
            case "access_denied":
                raise GrantDenied
            case "expired_token" | "invalid_grant":
                raise GrantExpired
            case _:
                raise BadServerAnswer(detail=f"the device grant ended with {printable(error, 64)}")


async def begin(store: IdentityStore, untrusted_url: str, initiator: str) -> Grant:
    """Ask the server at ``untrusted_url`` to be let in; ``initiator`` is who it is told has started this.

    Raises BadServerAddress, ServerUnreachable, BadServerAnswer, WrongServer, RemoteError.
    """
    server = check_url(untrusted_url)
    server_ca, ca_sha256 = await fetch_ca(server)
    form = {"client_id": CLIENT_ID, "csr": store.request(), "initiator": initiator}
    async with FleetClient(server, pinned_context(server_ca)) as client:
        untrusted_root = await client.get("/repository/metadata/1.root.json", LIMITS.root_bytes)
        body = urlencode(form).encode()
        status, untrusted_answer = await client.form("/v1/device-authorization", body, LIMITS.error_bytes)
    if status != 200:
        error = _decoded(untrusted_answer, _Refusal).error
        raise BadServerAnswer(detail=f"it refused the device grant with {printable(error, 64)}")
    asked = _decoded(untrusted_answer, DeviceAuthorization)
    key = store.key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    prompt = GrantPrompt(
        server=server,
        user_code=asked.user_code,
        verification_uri=asked.verification_uri,
        verification_uri_complete=asked.verification_uri_complete,
        expires_in=asked.expires_in,
        key_sha256=hashlib.sha256(key).hexdigest(),
        root_sha256=hashlib.sha256(untrusted_root).hexdigest(),
        ca_sha256=ca_sha256,
    )
    return Grant(asked, prompt, server_ca)


def _decoded(untrusted_answer: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(untrusted_answer, type=kind)
    except (ValueError, RecursionError) as error:
        raise BadServerAnswer(detail=printable(str(error), 200)) from error

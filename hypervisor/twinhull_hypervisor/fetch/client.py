"""Core's side of the fetch socket: one typed method a verb, and the events as an async iterator."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ..ipc import BadPacket, call, follow

T = TypeVar("T")
INBOX = "inbox"
STATE = "state"


class Enrolled(msgspec.Struct, frozen=True):
    """Who the laptop is now."""

    tenant: str
    device_id: str
    enrol_epoch: int
    server: str


class GrantPrompt(msgspec.Struct, frozen=True):
    """A request to be let in, as it is shown to a person. Times in seconds, hashes in hexadecimal."""

    server: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    key_sha256: str
    root_sha256: str
    ca_sha256: str


class GrantProgress(msgspec.Struct, frozen=True):
    """What came of a request so far. ``wait_seconds``: until it is worth asking again."""

    wait_seconds: float
    problem: str = ""
    enrolled: Enrolled | None = None


class FetchState(msgspec.Struct, frozen=True):
    """How fetch stands with the server; strings are empty and numbers 0 before enrolment."""

    enrolled: bool
    server: str
    tenant: str
    device_id: str
    enrol_epoch: int
    enrolled_at: float
    connected: bool
    error: str


class ImageProgress(msgspec.Struct, frozen=True):
    """A download. ``error`` is set once when it was given up; asking again starts over."""

    received: int
    done: bool
    error: str


class Signed(msgspec.Struct, frozen=True):
    """A signed receipt."""

    envelope: str


class Shared(msgspec.Struct, frozen=True):
    """The server's part of a key."""

    share: bytes


class Resolved(msgspec.Struct, frozen=True):
    """Addresses of a name; each an IP address by fetch's word alone."""

    addresses: list[str]


class Outside(msgspec.Struct, frozen=True):
    """What the laptop's network is like; ``location``, at ``addresses``, is where a portal sends people.

    ``resolvers`` are the network's own name servers.
    """

    reach: Literal["open", "portal", "nothing"]
    location: str = ""
    addresses: list[str] = []
    resolvers: list[str] = []


class FetchClient:
    """Talks to ``twinhull-fetch serve``. Methods block (call them in a thread); all raise HelperUnreachable,
    and RemoteError with fetch's or the server's own words."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def enrol(self, url: str, wireguard_public_key: str, token: bytes | bytearray) -> Enrolled:
        """Enrol with the server at ``url``. The token travels through a pipe; the caller wipes its copy."""
        reading, writing = os.pipe()
        try:
            with os.fdopen(writing, "wb", buffering=0) as pipe:
                pipe.write(token)  # at most 1 KiB, so it fits the pipe's buffer
            arguments = {"url": url, "wireguard_public_key": wireguard_public_key}
            return self._call("enrol", Enrolled, arguments, fds=[reading], timeout=300.0)
        finally:
            os.close(reading)

    def grant(self, url: str, initiator: str) -> GrantPrompt:
        """Ask the server at ``url`` to let this laptop in; it is told that ``initiator`` has started this."""
        arguments = {"url": url, "initiator": initiator}
        return self._call("grant", GrantPrompt, arguments, timeout=180.0)

    def grant_poll(self, agreed: GrantPrompt, wireguard_public_key: str) -> GrantProgress:
        """Ask whether it was let in, and enrol once it was. ``agreed`` is what a person has compared."""
        arguments = {
            "wireguard_public_key": wireguard_public_key,
            "server": agreed.server,
            "root_sha256": agreed.root_sha256,
            "ca_sha256": agreed.ca_sha256,
        }
        return self._call("grant_poll", GrantProgress, arguments, timeout=300.0)

    def state(self) -> FetchState:
        """How fetch stands with the server."""
        return self._call("state", FetchState)

    def sync(self) -> None:
        """Fetch the newest statement now."""
        self._call("sync", dict, timeout=120.0)

    def image(self, target: str, sha256: str, length: int) -> ImageProgress:
        """Start or resume a download, or ask how far it is. It ends up below ``repository/targets/``."""
        return self._call("image", ImageProgress, {"target": target, "sha256": sha256, "length": length})

    def report(self, body: str) -> None:
        """Post a report, JSON of at most 32 KiB."""
        self._call("report", dict, {"body": body}, timeout=120.0)

    def share(self, generation: str) -> bytes:
        """The server's part of a generation of the corporate volume's key."""
        return self._call("share", Shared, {"generation": generation}, timeout=60.0).share

    def receipt(self, body: str) -> str:
        """Sign a receipt (its canonical text) with the device key and post it; the signed envelope."""
        return self._call("receipt", Signed, {"body": body}, timeout=120.0).envelope

    def sign_wipe(self, body: str) -> str:
        """Sign the receipt of an owner's wipe (its canonical text); the signed envelope, sent nowhere."""
        return self._call("sign_wipe", Signed, {"body": body}).envelope

    def resolve(self, name: str) -> list[str]:
        """The addresses of a host's name, as the network the laptop is on has them; none when it has none."""
        return self._call("resolve", Resolved, {"name": name}).addresses

    def portal(self, url: str) -> Outside:
        """Whether a page that answers 204 does so, or something else answers in its place."""
        return self._call("portal", Outside, {"url": url})

    def forget(self) -> None:
        """Drop the enrolment."""
        self._call("forget", dict, timeout=120.0)

    async def watch(self) -> AsyncIterator[str]:
        """Events: :data:`INBOX` or :data:`STATE`. Both come once at the start, for what was missed before.

        Raises:
            HelperUnreachable: fetch is not there, or went away; try again later.
        """
        answered = False
        async for untrusted_payload in follow(self._path):
            if not answered:
                answered = True
                yield STATE
                yield INBOX
            elif event := _event(untrusted_payload):
                yield event

    def _call(
        self,
        verb: str,
        kind: type[T],
        arguments: Mapping[str, Any] | None = None,
        *,
        fds: list[int] | None = None,
        timeout: float = 30.0,
    ) -> T:
        answer = call(self._path, verb, arguments, fds=fds, timeout=timeout)
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise BadPacket(detail=str(error)) from error


def _event(untrusted_payload: bytes) -> str:
    """The event of a packet; empty for one that a newer fetch may know."""
    try:
        event = msgspec.json.decode(untrusted_payload, type=dict[str, Any]).get("event")
    except msgspec.DecodeError as error:
        raise BadPacket(detail="not an event") from error
    return str(event) if event in {INBOX, STATE} else ""

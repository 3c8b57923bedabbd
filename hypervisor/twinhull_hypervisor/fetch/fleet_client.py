"""Requests to the fleet server: bounded answers, refusals in the server's own words, no redirects."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from twinhull_policy.errors import Blame, ErrorReport, RemoteError, TwinhullError
from yarl import URL

from .errors import BadServerAddress, BadServerAnswer, ServerUnreachable, WrongServer
from .limits import LIMITS, FetchLimits

FORM = "application/x-www-form-urlencoded"


def check_url(untrusted_url: str) -> str:
    """The server's address in its one form, ``https://host[:port]``. Raises BadServerAddress."""
    try:
        url = URL(untrusted_url) if len(untrusted_url) <= LIMITS.url_characters else URL()
    except ValueError as error:
        raise BadServerAddress(url=untrusted_url) from error
    bare = not (url.user or url.password or url.query_string or url.fragment or url.path not in {"", "/"})
    if url.scheme != "https" or not url.host or not bare:
        raise BadServerAddress(url=untrusted_url)
    return str(url.origin())


class FleetClient:
    """One server, one TLS context.

    Attributes:
        server: its address, as :func:`check_url` returns it.
    """

    def __init__(self, server: str, context: ssl.SSLContext, limits: FetchLimits = LIMITS) -> None:
        self.server = server
        self._limits = limits
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_seconds, sock_read=limits.silence_seconds
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=4), timeout=timeout, auto_decompress=False
        )

    async def __aenter__(self) -> FleetClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        # The transports are closed by callbacks that the loop has only scheduled so far.
        await asyncio.sleep(0)

    async def get(self, path: str, limit: int) -> bytes:
        """GET a whole answer of at most ``limit`` bytes. Raises like :meth:`request`."""
        return await self.request("GET", path, limit)

    async def post(self, path: str, body: bytes, limit: int) -> bytes:
        """POST JSON. Raises like :meth:`request`."""
        return await self.request("POST", path, limit, body)

    async def form(self, path: str, body: bytes, limit: int) -> tuple[int, bytes]:
        """POST an OAuth form; the status and the answer, which is a refusal of OAuth's if it is not 200.

        Raises like :meth:`request`.
        """
        try:
            async with (
                asyncio.timeout(self._limits.request_seconds),
                self._send("POST", path, body, {"Content-Type": FORM}) as response,
            ):
                untrusted_answer = await _bounded(response, limit)
        except TimeoutError as error:
            raise ServerUnreachable(server=self.server, detail="it does not answer in time") from error
        if response.status != 200 and (refusal := _report(untrusted_answer)) is not None:
            raise refusal
        return response.status, untrusted_answer

    async def request(self, method: str, path: str, limit: int, body: bytes | None = None) -> bytes:
        """One request with a bounded answer, within ``LIMITS.request_seconds``.

        Raises:
            ServerUnreachable: no connection, or it broke or stalled.
            WrongServer: its certificate is not of the pinned CA, or for another name.
            RemoteError: the server refused, in its own words.
            BadServerAnswer: too long.
        """
        try:
            async with (
                asyncio.timeout(self._limits.request_seconds),
                self.open(method, path, body=body) as response,
            ):
                return await _bounded(response, limit)
        except TimeoutError as error:
            raise ServerUnreachable(server=self.server, detail="it does not answer in time") from error

    @asynccontextmanager
    async def open(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response of status 200 or 204, its body still to be read. Raises like :meth:`request`."""
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        async with self._send(method, path, body, sent) as response:
            if response.status not in (200, 204):
                raise _refusal(response.status, await _bounded(response, LIMITS.error_bytes))
            yield response

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Whatever response there is; failures of the connection are ours also while it is read."""
        arguments: dict[str, Any] = {"data": body, "headers": headers, "allow_redirects": False}
        try:
            async with self._session.request(method, f"{self.server}{path}", **arguments) as response:
                try:
                    yield response
                finally:
                    _cut(response)
        except aiohttp.ClientConnectorCertificateError as error:
            raise WrongServer from error
        except (aiohttp.ClientError, OSError) as error:
            detail = str(error) or type(error).__name__
            raise ServerUnreachable(server=self.server, detail=detail) from error


def _cut(response: aiohttp.ClientResponse) -> None:
    """End the connection of an answer that is not read to its end.

    Closing it would wait for the server's part of the TLS shutdown, half a minute from one that is silent
    (asyncio's ``ssl_shutdown_timeout``), with the descriptor held and nobody awaiting it.
    """
    connection = response.connection  # none once the answer was read whole
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            raise BadServerAnswer(detail=f"it is longer than {limit} bytes")
    return bytes(content)


def _refusal(status: int, untrusted_body: bytes) -> TwinhullError:
    return _report(untrusted_body) or BadServerAnswer(detail=f"HTTP status {status}")


def _report(untrusted_body: bytes) -> RemoteError | None:
    """The server's own words, if it is them."""
    try:
        report = msgspec.json.decode(untrusted_body, type=ErrorReport)
        Blame(report.blame)
    except (msgspec.MsgspecError, ValueError):
        return None
    return RemoteError(report)

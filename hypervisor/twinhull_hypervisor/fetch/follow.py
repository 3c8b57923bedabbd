"""Following the server: one push stream, opened again with full-jitter back-off, and a jittered reconcile."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec
from twinhull_policy.errors import TwinhullError

from . import inbox
from .errors import BadServerAnswer, ServerUnreachable
from .fleet_client import FleetClient
from .http import PoolFetcher
from .identity import Identity, IdentityStore, check_certificate, pinned_context
from .layout import Layout
from .limits import LIMITS
from .repository import Repository

log = logging.getLogger("twinhull.fetch")


class Follower:
    """Keeps the inbox right while the laptop is enrolled.

    Attributes:
        identity: replaced when the certificate is renewed.
        connected: whether the push stream is open.
        error: why it is not, or what went wrong last; empty when all is well.
    """

    def __init__(
        self,
        layout: Layout,
        store: IdentityStore,
        identity: Identity,
        on_inbox: Callable[[], None],
        on_state: Callable[[], None],
    ) -> None:
        self.identity = identity
        self.connected = False
        self.error = ""
        self._layout = layout
        self._store = store
        self._on_inbox = on_inbox
        self._on_state = on_state
        self._receiving = asyncio.Lock()
        self._last_id = ""
        self._fruitful = False

    async def run(self) -> None:
        """Follow for ever; returns only when cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stream_for_ever())
            tasks.create_task(self._reconcile_for_ever())

    async def sync(self) -> None:
        """Fetch the newest statement and what it names now. Raises like ``FleetClient.request``."""
        async with self._client() as client:
            untrusted_statement = await client.get("/v1/statement", LIMITS.statement_bytes)
            await self._receive(client, untrusted_statement)

    async def report(self, body: str) -> None:
        """Post a report. Raises like ``FleetClient.request``."""
        async with self._client() as client:
            await client.post("/v1/report", body.encode(), LIMITS.error_bytes)

    async def post_receipt(self, envelope: bytes) -> None:
        """Post a signed receipt. Raises like ``FleetClient.request``."""
        async with self._client() as client:
            await client.post("/v1/receipt", envelope, LIMITS.error_bytes)

    def repository(self) -> tuple[Repository, PoolFetcher]:
        """The repository plane of this server, over a connection pinned to it."""
        context: ssl.SSLContext = pinned_context(self.identity.server_ca)
        fetcher = PoolFetcher(context)
        return Repository(self._layout.metadata, fetcher), fetcher

    def _client(self) -> FleetClient:
        return FleetClient(self.identity.server, self._store.tls_context(self.identity))

    async def _stream_for_ever(self) -> None:
        failures = 0
        while True:
            self._fruitful = False
            began = time.monotonic()
            try:
                await self._renew_if_due()
                await self._stream()
                error = "the server closed the connection"
            except (TwinhullError, OSError) as caught:
                error = str(caught)
            except Exception:  # a fault of ours must not end the following for good
                log.exception("following failed")
                error = "the fetcher failed; its log says why"
            # A connection that was good for something starts the back-off over.
            useful = self._fruitful or (self.connected and time.monotonic() - began > LIMITS.silence_seconds)
            failures = 0 if useful else failures + 1
            self._set(connected=False, error=error)
            longest = min(LIMITS.retry_cap_seconds, LIMITS.retry_base_seconds * 2 ** min(failures, 16))
            # Full jitter: a fleet that lost its server must not come back in step.
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311

    async def _stream(self) -> None:
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        async with self._client() as client, client.open("GET", "/v1/stream", headers=headers) as response:
            self._set(connected=True, error="")
            log.info("stream open server=%s", self.identity.server)
            try:
                # The certificate is good for the connection's beginning only; renew by coming back.
                async with asyncio.timeout(max(60.0, self.identity.renewal_at() - time.time())):
                    async for event_id, data in _events(response):
                        await self._receive(client, data)
                        self._last_id = event_id
                        self._fruitful = True
            except TimeoutError as error:
                if time.time() < self.identity.renewal_at():
                    raise ServerUnreachable(server=client.server, detail="the stream went silent") from error

    async def _receive(self, client: FleetClient, untrusted_statement: bytes) -> None:
        """Bring what a statement needs, then put it in the inbox and tell."""
        async with self._receiving:
            names = inbox.named_bodies(untrusted_statement)
            await inbox.bring_bodies(self._layout, client, names)
            problem = await asyncio.to_thread(self._refresh)
            changed = inbox.put_statement(self._layout, untrusted_statement, names)
        log.info("statement received changed=%s bodies=%d", changed, len(names))
        self._set(connected=self.connected, error=problem)
        self._on_inbox()

    def _refresh(self) -> str:
        """Bring the repository's metadata up to date. A failure is told, and stops no policy."""
        repository, fetcher = self.repository()
        try:
            repository.refresh(f"{self.identity.server}/repository/metadata")
        except TwinhullError as error:
            log.warning("repository: %s %s", error.code, error.message)
            return str(error)
        finally:
            fetcher.close()
        return ""

    async def _reconcile_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LIMITS.reconcile_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.sync()
            except (TwinhullError, OSError) as error:
                log.info("reconcile failed: %s", error)

    async def _renew_if_due(self) -> None:
        if time.time() < self.identity.renewal_at():
            return
        async with self._client() as client:
            body = msgspec.json.encode({"csr": self._store.request()})
            untrusted_answer = await client.post("/v1/renew", body, LIMITS.ca_bytes)
        try:
            answer = msgspec.json.decode(untrusted_answer, type=dict[str, str])
            certificate = answer["certificate"]
        except (ValueError, KeyError) as error:
            raise BadServerAnswer(detail="it holds no certificate") from error
        key = self._store.key().public_key()
        check_certificate(certificate, self.identity.device_ca, key, self.identity.device_id)
        self.identity = msgspec.structs.replace(self.identity, certificate=certificate)
        self._store.save(self.identity)
        log.info("certificate renewed")

    def _set(self, *, connected: bool, error: str) -> None:
        if (connected, error) != (self.connected, self.error):
            self.connected, self.error = connected, error
            if error:
                log.info("connected=%s: %s", connected, error)
            self._on_state()


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, bytes]]:
    """Events named ``statement``, as (id, data), from a text/event-stream (WHATWG HTML, section 9.2)."""
    pending = bytearray()
    async for chunk in response.content.iter_any():
        pending += chunk
        while (end := pending.find(b"\n\n")) >= 0:
            block = bytes(pending[:end])
            del pending[: end + 2]
            fields: dict[str, bytes] = {}
            for line in block.split(b"\n"):
                name, _, value = line.partition(b":")
                fields[name.decode("ascii", "replace")] = value.removeprefix(b" ")
            if fields.get("event") == b"statement" and "data" in fields:
                event_id = fields.get("id", b"").decode("ascii", "replace")
                yield event_id if event_id.isdigit() and len(event_id) < 17 else "", fields["data"]
        if len(pending) > LIMITS.event_bytes:
            raise BadServerAnswer(detail="an event is too long")

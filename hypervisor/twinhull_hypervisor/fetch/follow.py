"""Following the server: one push stream, opened again with full-jitter back-off, and a jittered reconcile.

The server writes to a stream as soon as it is open. Where nothing of it arrives although another request is
answered at once, something between holds streams back; then the laptop asks in long polls, which end, and
tries the stream again later.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterator

import msgspec
from twinhull_policy.errors import TwinhullError

from . import inbox
from .errors import BadServerAnswer, ServerUnreachable, StreamHeldBack
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
        self._refreshing: asyncio.Future[str] | None = None

    async def run(self) -> None:
        """Follow for ever; returns only when cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stream_for_ever())
            tasks.create_task(self._reconcile_for_ever())

    async def settled(self) -> None:
        """Wait until nothing of this follower, which has been cancelled, writes any more."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    async def sync(self) -> None:
        """Fetch the newest statement and what it names now. Raises like ``FleetClient.request``."""
        async with self._client() as client:
            untrusted_statement = await client.get("/v1/statement", LIMITS.statement_bytes)
            await self._receive(client, untrusted_statement)

    async def report(self, body: str) -> None:
        """Post a report. Raises like ``FleetClient.request``."""
        async with self._client() as client:
            await client.post("/v1/report", body.encode(), LIMITS.error_bytes)

    async def share(self, generation: str) -> bytes:
        """The server's part of a key. Raises like ``FleetClient.request``, and BadServerAnswer."""
        async with self._client() as client:
            untrusted = await client.get(f"/v1/share?generation={generation}", LIMITS.error_bytes)
        try:
            return msgspec.json.decode(untrusted, type=dict[str, bytes])["share"]
        except (msgspec.MsgspecError, KeyError) as error:
            raise BadServerAnswer(detail="it holds no share") from error

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
                try:
                    await self._stream()
                except StreamHeldBack:
                    await self._poll()
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
        """Follow the stream until it ends. Raises StreamHeldBack, and like ``FleetClient.open``."""
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        loop = asyncio.get_running_loop()
        events, heard = _Events(), False
        try:
            async with (
                self._client() as client,
                asyncio.timeout(LIMITS.held_seconds) as patience,
                client.open("GET", "/v1/stream", headers=headers) as response,
            ):
                async for chunk in response.content.iter_any():
                    if not heard:
                        heard = True
                        # The certificate is good for the connection's beginning only; renew by coming back.
                        patience.reschedule(loop.time() + max(60.0, self.identity.renewal_at() - time.time()))
                        self._set(connected=True, error="")
                        log.info("stream open server=%s", self.identity.server)
                    for event_id, data in events.feed(chunk):
                        await self._receive(client, data)
                        self._last_id = event_id
                        self._fruitful = True
        except TimeoutError as error:
            if not heard:
                raise StreamHeldBack(seconds=round(LIMITS.held_seconds)) from error
            if time.time() < self.identity.renewal_at():
                raise ServerUnreachable(server=client.server, detail="the stream went silent") from error

    async def _poll(self) -> None:
        """Ask in long polls for a while. Raises like ``FleetClient.request``, soon if nothing is answered."""
        async with self._client() as client:
            async with asyncio.timeout(LIMITS.held_seconds):
                await self._ask(client, 0)
            log.info("stream held back, polling server=%s", self.identity.server)
            # Jittered, so that an office behind one proxy does not try its streams in step.
            until = time.monotonic() + LIMITS.polling_seconds * random.uniform(0.5, 1.5)  # noqa: S311
            self._set(connected=True, error="")
            while time.monotonic() < until and time.time() < self.identity.renewal_at():
                began = time.monotonic()
                await self._ask(client, LIMITS.long_poll_seconds)
                self._fruitful = True
                # Whoever answers at once with nothing new is not asked in a circle.
                await asyncio.sleep(max(0.0, LIMITS.poll_pause_seconds - (time.monotonic() - began)))

    async def _ask(self, client: FleetClient, wait: int) -> None:
        untrusted_statement = await client.get(
            f"/v1/statement?after={self._last_id or 0}&wait={wait}", LIMITS.statement_bytes
        )
        if untrusted_statement:
            await self._receive(client, untrusted_statement)
            self._last_id = str(max(int(self._last_id or 0), inbox.sequence(untrusted_statement)))

    async def _receive(self, client: FleetClient, untrusted_statement: bytes) -> None:
        """Bring what a statement needs, then put it in the inbox and tell."""
        async with self._receiving:
            names = inbox.named_bodies(untrusted_statement)
            await inbox.bring_bodies(self._layout, client, names)
            # Not cancelled with us: a thread cannot be, and whoever forgets the enrolment has to wait for it.
            self._refreshing = asyncio.ensure_future(asyncio.to_thread(self._refresh))
            problem = await asyncio.shield(self._refreshing)
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


class _Events:
    """Events named ``statement`` of a text/event-stream (WHATWG HTML, section 9.2), as its bytes come."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, untrusted_chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that a chunk completes, as (id, data). Raises BadServerAnswer."""
        self._pending += untrusted_chunk
        while (end := self._pending.find(b"\n\n")) >= 0:
            block = bytes(self._pending[:end])
            del self._pending[: end + 2]
            fields: dict[str, bytes] = {}
            for line in block.split(b"\n"):
                name, _, value = line.partition(b":")
                fields[name.decode("ascii", "replace")] = value.removeprefix(b" ")
            if fields.get("event") == b"statement" and "data" in fields:
                event_id = fields.get("id", b"").decode("ascii", "replace")
                yield event_id if event_id.isdigit() and len(event_id) < 17 else "", fields["data"]
        if len(self._pending) > LIMITS.event_bytes:
            raise BadServerAnswer(detail="an event is too long")

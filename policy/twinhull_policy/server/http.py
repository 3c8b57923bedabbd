"""The laptops' HTTP interface of docs/architecture.md, "The fleet server's HTTP interface"."""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from twinhull_policy import report as report_schema
from twinhull_policy.errors import TwinhullError
from twinhull_policy.server import errors as e
from twinhull_policy.server import openapi
from twinhull_policy.server.answers import (
    RETRY,
    Handler,
    convert,
    decode,
    guard,
    json_answer,
    read_body,
    read_json,
    refusal,
)
from twinhull_policy.server.batch import Batch
from twinhull_policy.server.device_grants import GRANT_TYPE, DeviceGrants, OAuthError
from twinhull_policy.server.device_requests import (
    DeviceAuthorizationRequest,
    ShareQuery,
    StatementQuery,
    TokenRequest,
)
from twinhull_policy.server.enrolment import EnrolRequest, RenewRequest
from twinhull_policy.server.hub import Hub, Stream, Waiter, frame
from twinhull_policy.server.limiter import FailureCounter, RateLimiter
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.service import FleetService, ReportIn

log = logging.getLogger("twinhull.server")
STATIC = "/repository/"
T = TypeVar("T")


class Interface:
    """Handlers over a service and a hub.

    Args:
        service: what can be done.
        hub: who listens.
        push: tells laptops what changed.
        grants: laptops that ask to be let in.

    Attributes:
        seen: devices seen since that was last written down.
    """

    def __init__(
        self,
        service: FleetService,
        hub: Hub,
        push: Callable[[], Awaitable[None]],
        grants: DeviceGrants,
    ) -> None:
        self._service = service
        self._hub = hub
        self._push = push
        self._grants = grants
        self._failures = FailureCounter(LIMITS.failures_a_minute)
        self._anonymous = RateLimiter(LIMITS.anonymous_burst, LIMITS.anonymous_per_second)
        self._static = RateLimiter(LIMITS.static_burst, LIMITS.static_per_second)
        self._enrolments = asyncio.Semaphore(LIMITS.enrolments_at_once)
        self._reports: Batch[ReportIn] = Batch(self._commit_reports, LIMITS.reports_at_once)
        self._loop = asyncio.get_event_loop()
        self.seen: dict[str, float] = {}

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(middlewares=[self._guard], client_max_size=LIMITS.body_bytes)
        application.add_routes(
            [
                web.get("/v1/ca", self._ca),
                web.get("/v1/report-schema", self._report_schema),
                web.post("/v1/enrol", self._enrol),
                web.post("/v1/device-authorization", self._device_authorization),
                web.post("/v1/token", self._token),
                web.post("/v1/renew", self._renew),
                web.get("/v1/stream", self._stream, allow_head=False),
                web.get("/v1/statement", self._statement),
                web.get("/v1/share", self._share, allow_head=False),
                web.get("/v1/bodies/{sha256:[0-9a-f]{64}}", self._body),
                web.post("/v1/report", self._report),
                web.post("/v1/receipt", self._receipt),
                web.get("/v1/openapi.json", self._openapi),
                web.static("/repository/metadata", self._service.layout.metadata),
                web.static("/repository/targets", self._service.layout.targets),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        async def limited(request: web.Request) -> web.StreamResponse:
            if request.path.startswith(STATIC):
                self._static.take(request.remote or "")
            return await handler(request)

        return await guard(request, limited, refusal)

    async def _ca(self, request: web.Request) -> web.StreamResponse:
        self._anonymous.take(request.remote or "")
        return web.Response(text=self._service.server_ca, content_type="application/x-pem-file")

    async def _report_schema(self, request: web.Request) -> web.StreamResponse:
        self._anonymous.take(request.remote or "")
        return json_answer(report_schema.schema())

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        self._anonymous.take(request.remote or "")
        return json_answer(openapi.document())

    async def _enrol(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        try:
            self._failures.check(address)
            self._anonymous.take(address)
            async with self._enrolments:
                untrusted_request = await read_json(request, EnrolRequest)
                answer = await asyncio.to_thread(self._service.enrol, untrusted_request)
        except TwinhullError as error:
            if not isinstance(error, e.TooManyAttempts | e.TooManyRequests):
                self._failures.count(address)
            log.warning("enrolment refused address=%s code=%s why=%s", address, error.code, error.message)
            raise
        log.info("enrolled address=%s device=%s", address, answer.device_id)
        return json_answer(answer)

    async def _device_authorization(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        self._anonymous.take(address)
        asked = await _read_form(request, DeviceAuthorizationRequest)
        async with self._enrolments:
            answer = await asyncio.to_thread(self._grants.begin, asked.csr, asked.initiator, address)
        log.info("device grant asked address=%s", address)
        return json_answer(answer)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        """Refusals as RFC 6749 has them, because that is what OAuth clients read."""
        try:
            self._anonymous.take(request.remote or "")
        except e.TooManyRequests:
            return web.json_response({"error": "slow_down"}, status=429, headers=RETRY)
        try:
            asked = await _read_form(request, TokenRequest)
        except e.BadRequest as error:
            return json_answer(OAuthError(error="invalid_request", error_description=error.message), 400)
        if asked.grant_type != GRANT_TYPE:
            return json_answer(OAuthError(error="unsupported_grant_type"), 400)
        answer = await asyncio.to_thread(self._grants.poll, asked.device_code)
        return json_answer(answer, 400 if isinstance(answer, OAuthError) else 200)

    async def _renew(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        untrusted_request = await read_json(request, RenewRequest)
        answer = await asyncio.to_thread(self._service.renew, device_id, untrusted_request)
        log.info("renewed device=%s", device_id)
        return json_answer(answer)

    async def _statement(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        query = convert(dict(request.query), StatementQuery)
        waiter = Waiter(device_id, query.after)
        self._hub.add(waiter)
        try:
            event = await asyncio.to_thread(self._service.statement, device_id)
            if query.wait and event.seq <= query.after:
                await asyncio.wait([waiter.ended], timeout=query.wait)
                if waiter.event is None:
                    # Revoked meanwhile, or nothing new.
                    await asyncio.to_thread(self._service.statement, device_id)
                    return web.Response(status=204)
                event = waiter.event
        finally:
            self._hub.drop(waiter)
        return web.Response(body=event.envelope, content_type="application/json")

    async def _share(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        query = convert(dict(request.query), ShareQuery)
        answer = await asyncio.to_thread(self._service.share, device_id, query.generation)
        log.info("share given device=%s", device_id)
        return json_answer(answer)

    async def _body(self, request: web.Request) -> web.StreamResponse:
        await self._device(request)
        body = await asyncio.to_thread(self._service.body, request.match_info["sha256"])
        return web.Response(body=body, content_type="application/json")

    async def _report(self, request: web.Request) -> web.StreamResponse:
        """Answered once it is on the disk; many devices share a commit."""
        device_id = await self._device(request)
        untrusted_body = await read_body(request)
        if len(untrusted_body) > report_schema.MAX_BYTES:
            raise e.BadRequest(detail=f"a report of more than {report_schema.MAX_BYTES} bytes")
        report = decode(untrusted_body, report_schema.Report)
        await self._reports.add(ReportIn(device_id, report, untrusted_body.decode()))
        return web.Response(text="{}", content_type="application/json")

    async def _receipt(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        untrusted_receipt = await read_body(request)
        await asyncio.to_thread(self._service.keep_receipt, self._certificate(request), untrusted_receipt)
        log.info("receipt device=%s", device_id)
        return json_answer({})

    def _commit_reports(self, batch: list[ReportIn]) -> None:
        """In a worker thread."""
        if self._service.keep_reports(batch):
            asyncio.run_coroutine_threadsafe(_awaited(self._push()), self._loop)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        known = _last_event_id(request)
        stream = Stream(device_id, known)
        self._hub.add(stream)
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        try:
            event = await asyncio.to_thread(self._service.statement, device_id)
            await response.prepare(request)
            log.info("stream opened device=%s known=%d newest=%d", device_id, known, event.seq)
            await response.write(frame(event) if event.seq > known else b": newest known\n\n")
            if request.transport is not None:
                stream.attach(request.transport, event.seq)
                # Through the transport from here on; nothing of this coroutine runs until the end.
                await stream.ended
        except ConnectionError:
            pass
        except e.DeviceRevoked:
            if not response.prepared:
                raise
        finally:
            self._hub.drop(stream)
            log.info("stream closed device=%s", device_id)
        # The connection is cut, so that a revoked device loses it at once and not at its convenience.
        response.force_close()
        if request.transport is not None:
            request.transport.close()
        return response

    async def _device(self, request: web.Request) -> str:
        """Whose request it is; asked of the database each time, so that a revocation holds at once."""
        device_id = await asyncio.to_thread(self._service.device_of, self._certificate(request))
        self.seen[device_id] = time.time()
        return device_id

    def _certificate(self, request: web.Request) -> bytes:
        """The client certificate, DER. Raises CertificateNeeded."""
        tls = request.transport.get_extra_info("ssl_object") if request.transport else None
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        if der is None:
            self._anonymous.take(request.remote or "")
            raise e.CertificateNeeded
        return bytes(der)


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _read_form(request: web.Request, kind: type[T]) -> T:
    untrusted_body = await read_body(request)
    try:
        pairs = urllib.parse.parse_qsl(untrusted_body.decode(), strict_parsing=True, max_num_fields=8)
    except ValueError as error:
        raise e.BadRequest(detail="not a form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise e.BadRequest(detail="a field is there twice")
    return convert(fields, kind)


def _last_event_id(request: web.Request) -> int:
    untrusted_id = request.headers.get("Last-Event-ID", "0")
    return (
        int(untrusted_id)
        if untrusted_id.isascii() and untrusted_id.isdigit() and len(untrusted_id) < 17
        else 0
    )

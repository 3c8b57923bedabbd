"""The HTTP interface of docs/architecture.md, "The fleet server's HTTP interface"."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.server import errors as e
from twinhull_policy.server.enrolment import EnrolRequest, RenewRequest
from twinhull_policy.server.hub import Event, Hub
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.service import FleetService

log = logging.getLogger("twinhull.server")
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HTTP_STATUS: dict[type[TwinhullError], int] = {
    e.CertificateNeeded: 401,
    e.NotFound: 404,
    e.TokenUsed: 409,
    e.TokenExpired: 410,
    e.TooManyAttempts: 429,
    e.ServerFailed: 500,
    e.SubnetFull: 503,
}
BLAME_STATUS = {Blame.MALFORMED: 400, Blame.DENIED: 403, Blame.FAILED: 500, Blame.UNREACHABLE: 503}


class FailureCounter:
    """Counts failed enrolments by address over the last minute, for a bounded number of addresses."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise TooManyAttempts when the address has used up its failures."""
        recent = [at for at in self._failures.get(address, []) if at > time.monotonic() - 60]
        if len(recent) >= LIMITS.failures_a_minute:
            raise e.TooManyAttempts

    def count(self, address: str) -> None:
        """One more failure."""
        recent = [at for at in self._failures.pop(address, []) if at > time.monotonic() - 60]
        self._failures[address] = [*recent[-LIMITS.failures_a_minute :], time.monotonic()]
        while len(self._failures) > LIMITS.addresses_remembered:
            self._failures.popitem(last=False)


class Interface:
    """Handlers over a service and a hub.

    Attributes:
        silent: connections that have not sent a whole request head yet; they are cut off in time.
        seen: devices seen since that was last written down.
    """

    def __init__(self, service: FleetService, hub: Hub) -> None:
        self._service = service
        self._hub = hub
        self._failures = FailureCounter()
        self._enrolments = asyncio.Semaphore(LIMITS.enrolments_at_once)
        self.silent: set[asyncio.BaseProtocol] = set()
        self.seen: dict[str, float] = {}

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(middlewares=[self._guard], client_max_size=LIMITS.body_bytes)
        application.add_routes(
            [
                web.get("/v1/ca", self._ca),
                web.post("/v1/enrol", self._enrol),
                web.post("/v1/renew", self._renew),
                web.get("/v1/stream", self._stream, allow_head=False),
                web.get("/v1/statement", self._statement),
                web.get("/v1/bodies/{sha256:[0-9a-f]{64}}", self._body),
                web.post("/v1/report", self._report),
                web.post("/v1/receipt", self._receipt),
                web.static("/repository/metadata", self._service.layout.metadata),
                web.static("/repository/targets", self._service.layout.targets),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every failure leaves as an ErrorReport; what is not meant for the client stays in the log."""
        self.silent.discard(request.protocol)
        try:
            return await handler(request)
        except TwinhullError as error:
            return _refusal(error)
        except web.HTTPRequestEntityTooLarge:
            return _refusal(e.BadRequest(detail=f"more than {LIMITS.body_bytes} bytes"))
        except web.HTTPNotFound:
            return _refusal(e.NotFound())
        except (web.HTTPException, ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("request failed path=%s", request.path)
            return _refusal(e.ServerFailed())

    async def _ca(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self._service.server_ca, content_type="application/x-pem-file")

    async def _enrol(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        try:
            self._failures.check(address)
            async with self._enrolments:
                untrusted_request = await _read(request, EnrolRequest)
                answer = await asyncio.to_thread(self._service.enrol, untrusted_request)
        except TwinhullError as error:
            if not isinstance(error, e.TooManyAttempts):
                self._failures.count(address)
            log.warning("enrolment refused address=%s code=%s why=%s", address, error.code, error.message)
            raise
        log.info("enrolled address=%s device=%s", address, answer.device_id)
        return _json(answer)

    async def _renew(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        untrusted_request = await _read(request, RenewRequest)
        answer = await asyncio.to_thread(self._service.renew, device_id, untrusted_request)
        log.info("renewed device=%s", device_id)
        return _json(answer)

    async def _statement(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        event = await asyncio.to_thread(self._service.statement, device_id)
        return web.Response(body=event.envelope, content_type="application/json")

    async def _body(self, request: web.Request) -> web.StreamResponse:
        await self._device(request)
        body = await asyncio.to_thread(self._service.body, request.match_info["sha256"])
        return web.Response(body=body, content_type="application/json")

    async def _report(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        untrusted_body = await _body(request)
        try:
            msgspec.json.decode(untrusted_body, type=dict[str, object])
            body = untrusted_body.decode()
        except (ValueError, RecursionError) as error:
            raise e.BadRequest(detail="a report is a JSON object") from error
        await asyncio.to_thread(self._service.keep_report, device_id, body)
        return web.Response(text="{}", content_type="application/json")

    async def _receipt(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        untrusted_receipt = await _body(request)
        await asyncio.to_thread(self._service.keep_receipt, _certificate(request), untrusted_receipt)
        log.info("receipt device=%s", device_id)
        return web.Response(text="{}", content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        device_id = await self._device(request)
        known = _last_event_id(request)
        stream = self._hub.open(device_id)
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        try:
            event = await asyncio.to_thread(self._service.statement, device_id)
            await response.prepare(request)
            log.info("stream opened device=%s known=%d newest=%d", device_id, known, event.seq)
            await _send(response, _frame(event) if event.seq > known else b": newest known\n\n")
            known = max(known, event.seq)
            while not stream.closed:
                pushed = await stream.wait(LIMITS.keep_alive_seconds)
                if stream.closed:
                    break
                if pushed is None:
                    await asyncio.to_thread(self._service.statement, device_id)
                    await _send(response, b": keep-alive\n\n")
                elif pushed.seq > known:
                    known = pushed.seq
                    await _send(response, _frame(pushed))
                self.seen[device_id] = time.time()
        except (ConnectionError, TimeoutError):
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
        device_id = await asyncio.to_thread(self._service.device_of, _certificate(request))
        self.seen[device_id] = time.time()
        return device_id


def _certificate(request: web.Request) -> bytes:
    """The client certificate, DER. Raises CertificateNeeded."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if der is None:
        raise e.CertificateNeeded
    return bytes(der)


def _frame(event: Event) -> bytes:
    # The envelope is canonical JSON, so it holds no line break.
    return b"event: statement\nid: %d\ndata: %s\n\n" % (event.seq, event.envelope)


def _last_event_id(request: web.Request) -> int:
    untrusted_id = request.headers.get("Last-Event-ID", "0")
    return (
        int(untrusted_id)
        if untrusted_id.isascii() and untrusted_id.isdigit() and len(untrusted_id) < 17
        else 0
    )


async def _send(response: web.StreamResponse, frame: bytes) -> None:
    async with asyncio.timeout(LIMITS.write_seconds):
        await response.write(frame)


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(LIMITS.body_seconds):
            return await request.read()
    except TimeoutError as error:
        raise e.BadRequest(detail="its body took too long") from error


async def _read(request: web.Request, kind: type[T]) -> T:
    untrusted_body = await _body(request)
    try:
        return msgspec.json.decode(untrusted_body, type=kind)
    except (ValueError, RecursionError) as error:
        raise e.BadRequest(detail=str(error)) from error


def _json(answer: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def _refusal(error: TwinhullError) -> web.Response:
    status = HTTP_STATUS.get(type(error), BLAME_STATUS[error.blame])
    return web.Response(
        body=msgspec.json.encode(error.report()), status=status, content_type="application/json"
    )

"""Bytes to requests and answers to bytes: what every HTTP handler of the server shares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.limits import LIMITS

log = logging.getLogger("twinhull.server")
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HTTP_STATUS: dict[type[TwinhullError], int] = {
    e.CertificateNeeded: 401,
    e.SignInNeeded: 401,
    e.SignInRefused: 401,
    e.NotFound: 404,
    e.NoConsole: 404,
    e.UnknownGroup: 404,
    e.UnknownDevice: 404,
    e.UnknownToken: 404,
    e.UnknownPolicy: 404,
    e.UnknownAccount: 404,
    e.UnknownDraft: 404,
    e.UnknownRollout: 404,
    e.UnknownGrant: 404,
    e.UnknownApproval: 404,
    e.MethodNotAllowed: 405,
    e.TokenUsed: 409,
    e.StaleBase: 409,
    e.GroupExists: 409,
    e.AccountExists: 409,
    e.RolloutOpen: 409,
    e.TokenExpired: 410,
    e.TooManyAttempts: 429,
    e.TooManyRequests: 429,
    e.ServerFailed: 500,
    e.SubnetFull: 503,
    e.CannotWrite: 503,
    e.GrantsFull: 503,
}
BLAME_STATUS = {Blame.MALFORMED: 400, Blame.DENIED: 403, Blame.FAILED: 500, Blame.UNREACHABLE: 503}
RETRY = {"Retry-After": "60"}


def status_of(error: TwinhullError) -> int:
    """The HTTP status an error is answered with."""
    return HTTP_STATUS.get(type(error), BLAME_STATUS[error.blame])


async def guard(
    request: web.Request, handler: Handler, refuse: Callable[[TwinhullError], web.StreamResponse]
) -> web.StreamResponse:
    """Run a handler; every failure becomes ``refuse(error)``, and what is not for the client stays in the
    log.

    Raises only what aiohttp itself has to see.
    """
    try:
        return await handler(request)
    except TwinhullError as error:
        return refuse(error)
    except web.HTTPRequestEntityTooLarge:
        return refuse(e.BadRequest(detail=f"more than {LIMITS.body_bytes} bytes"))
    except web.HTTPNotFound:
        return refuse(e.NotFound())
    except web.HTTPMethodNotAllowed:
        return refuse(e.MethodNotAllowed())
    except s.Unavailable as error:
        log.error("request failed path=%s why=%s", request.path, error.orig)
        return refuse(e.CannotWrite())
    except (web.HTTPException, ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("request failed path=%s", request.path)
        return refuse(e.ServerFailed())


async def read_body(request: web.Request) -> bytes:
    """A request's body, within ``LIMITS``. Raises BadRequest."""
    try:
        async with asyncio.timeout(LIMITS.body_seconds):
            return await request.read()
    except TimeoutError as error:
        raise e.BadRequest(detail="its body took too long") from error


async def read_json(request: web.Request, kind: type[T]) -> T:
    """A request's body as a closed struct. Raises BadRequest."""
    return decode(await read_body(request), kind)


def decode(untrusted_body: bytes, kind: type[T]) -> T:
    """JSON as a closed struct. Raises BadRequest."""
    try:
        return msgspec.json.decode(untrusted_body, type=kind)
    except (ValueError, RecursionError) as error:
        raise e.BadRequest(detail=str(error)) from error


def convert(untrusted_fields: dict[str, str], kind: type[T]) -> T:
    """Texts of a form or a query as a closed struct. Raises BadRequest."""
    try:
        return msgspec.convert(untrusted_fields, kind, strict=False)
    except ValueError as error:
        raise e.BadRequest(detail=str(error)) from error


def json_answer(answer: object, status: int = 200) -> web.Response:
    """An answer as JSON; nobody keeps it."""
    return web.Response(
        body=msgspec.json.encode(answer),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def refusal(error: TwinhullError) -> web.Response:
    """An error as an ErrorReport."""
    status = status_of(error)
    answer = json_answer(error.report(), status)
    if status == 429:
        answer.headers.update(RETRY)
    return answer

"""An HTTPS listener that does not wait for ever for whoever connects and says nothing."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from twinhull_policy.server.answers import Handler
from twinhull_policy.server.errors import CannotListen
from twinhull_policy.server.limits import LIMITS


class HttpsListener:
    """Serves one application.

    Attributes:
        host, port: where it listens, once started.
    """

    def __init__(self, application: web.Application, context: ssl.SSLContext) -> None:
        self.host = ""
        self.port = 0
        self._context = context
        self._silent: set[asyncio.BaseProtocol] = set()
        application.middlewares.insert(0, self._heard)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        self._server: asyncio.Server | None = None

    @web.middleware
    async def _heard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.discard(request.protocol)
        return await handler(request)

    async def start(self, host: str, port: int) -> None:
        """Listen on ``host``:``port`` (0 for any free port). Raises CannotListen."""
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._protocol,
                host,
                port,
                ssl=self._context,
                ssl_handshake_timeout=LIMITS.handshake_seconds,
                ssl_shutdown_timeout=LIMITS.goodbye_seconds,
                backlog=LIMITS.backlog,
            )
        except OSError as error:
            await self._runner.cleanup()
            detail = error.strerror or str(error)
            raise CannotListen(address=f"{host}:{port}", detail=detail) from error
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    async def stop(self) -> None:
        """Stop listening and end what is open."""
        if self._server is not None:
            self._server.close()
        lingering = self._runner.server is not None and bool(self._runner.server.connections)
        await self._runner.cleanup()
        if lingering:
            # Who does not answer the goodbye is cut off after it; uvloop cannot close with a connection open.
            await asyncio.sleep(LIMITS.goodbye_seconds + 0.25)

    def _protocol(self) -> asyncio.BaseProtocol:
        if self._runner.server is None:
            raise RuntimeError("start() has not run")
        made = self._runner.server()
        self._silent.add(made)
        asyncio.get_running_loop().call_later(LIMITS.first_request_seconds, self._cut_off_if_silent, made)
        return made

    def _cut_off_if_silent(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            if protocol.transport is not None:
                protocol.transport.close()

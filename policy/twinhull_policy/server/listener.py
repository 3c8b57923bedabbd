"""An HTTPS listener that does not wait for ever for whoever connects and says nothing."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from aiohttp import web

from twinhull_policy.server.answers import Handler
from twinhull_policy.server.errors import CannotListen
from twinhull_policy.server.limits import LIMITS


@dataclass
class _Silence:
    """How often a connection was looked at since its handshake ended, or began."""

    shaken: bool = False
    looks: int = 0


class HttpsListener:
    """Serves one application.

    Attributes:
        host, port: where it listens, once started.
    """

    def __init__(self, application: web.Application, context: ssl.SSLContext) -> None:
        self.host = ""
        self.port = 0
        self._context = context
        self._silent: dict[web.RequestHandler, _Silence] = {}
        application.middlewares.insert(0, self._heard)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    @web.middleware
    async def _heard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.pop(request.protocol, None)
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
        self._looking = asyncio.create_task(self._look_for_silence())
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    async def stop(self) -> None:
        """Stop listening and end what is open."""
        if self._looking is not None:
            self._looking.cancel()
        if self._server is not None:
            self._server.close()
        lingering = self._runner.server is not None and bool(self._runner.server.connections)
        await self._runner.cleanup()
        if lingering:
            # Who does not answer the goodbye is cut off after it; uvloop cannot close with a connection open.
            await asyncio.sleep(LIMITS.goodbye_seconds + 0.25)

    @property
    def watched(self) -> int:
        """Connections that have not asked for anything yet."""
        return len(self._silent)

    def _protocol(self) -> asyncio.BaseProtocol:
        if self._runner.server is None:
            raise RuntimeError("start() has not run")
        made = self._runner.server()
        self._silent[made] = _Silence()
        return made

    async def _look_for_silence(self) -> None:
        """Cut off who says nothing, for ever. Looks are counted and not seconds: when a fleet comes back at
        once a pass of the loop takes long, and a request that waits to be read is not silence."""
        pause = LIMITS.first_request_seconds / LIMITS.silence_looks
        unfinished = LIMITS.silence_looks + LIMITS.handshake_seconds / pause
        while True:
            await asyncio.sleep(pause)
            for protocol, silence in list(self._silent.items()):
                shaken = protocol.transport is not None
                silence.looks = silence.looks + 1 if shaken == silence.shaken else 0
                silence.shaken = shaken
                if silence.looks < (LIMITS.silence_looks if shaken else unfinished):
                    continue
                # Without a transport the handshake failed or timed out, and nobody else has heard of it.
                del self._silent[protocol]
                if protocol.transport is not None:
                    protocol.transport.close()

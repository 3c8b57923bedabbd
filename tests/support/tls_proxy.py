"""Somebody in the middle: TLS with a CA of its own before the real server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import make_authorities, server_certificate_path, server_key_path


class TlsProxy:
    """Passes requests on to the server at ``upstream`` (a port), and notes each one's first line.

    Attributes:
        port: where it listens.
        requests: method and path of every request that got through its TLS.
    """

    def __init__(self, directory: Path, upstream: int) -> None:
        self.port = 0
        self.requests: list[str] = []
        self._upstream = upstream
        layout = Layout(directory / "proxy")
        for path in (layout.directory, layout.offline, layout.online):
            path.mkdir()
        make_authorities(layout, "localhost", "other")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(server_certificate_path(layout), server_key_path(layout))
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> TlsProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(" ".join(head.split(b" ")[i].decode() for i in (0, 1)))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            above, below = await asyncio.open_connection("127.0.0.1", self._upstream, ssl=context)
            below.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            writer.write(await above.read())
            await writer.drain()
            below.close()
        writer.close()

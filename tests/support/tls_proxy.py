"""Somebody in the middle: TLS with a CA of its own before the real server, or with the server's own key.

It reads an answer whole before it passes any of it on, as proxies that buffer do: of a stream, nothing comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from pathlib import Path

from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import make_authorities, server_certificate_path, server_key_path


class TlsProxy:
    """Passes requests on to the server at ``upstream`` (a port), and notes each one's first line.

    Attributes:
        port: where it listens.
        requests: method and path of every request that got through its TLS.
        identity: directory with the laptop's certificate and key, once there is one, to go on as the laptop.
    """

    def __init__(self, directory: Path, upstream: int, own: Layout | None = None) -> None:
        """``own``: the layout whose server certificate it uses, for the company's own proxy."""
        self.port = 0
        self.requests: list[str] = []
        self.identity: Path | None = None
        self._upstream = upstream
        layout = own or Layout(directory / "proxy")
        if own is None:
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
            if self.identity is not None and (self.identity / "certificate.pem").exists():
                context.load_cert_chain(self.identity / "certificate.pem", self.identity / "device.key")
            above, below = await asyncio.open_connection("127.0.0.1", self._upstream, ssl=context)
            length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            below.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
            writer.write(await above.read())
            await writer.drain()
            below.close()
        writer.close()

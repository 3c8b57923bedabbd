"""Who connects and says nothing is cut off; who only has to wait for a crowd is not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from aiohttp import web
from twinhull_policy.server import listener
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import (
    make_authorities,
    server_ca_path,
    server_certificate_path,
    server_key_path,
)

QUICK = replace(LIMITS, first_request_seconds=0.5, handshake_seconds=1.0)
PATIENCE = 60.0
Scenario = Callable[[listener.HttpsListener], Awaitable[None]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "server")
    for path in (made.directory, made.offline, made.online):
        path.mkdir()
    make_authorities(made, "localhost", "example")
    return made


@pytest.fixture
def run(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    """Run something beside a listener on uvloop, as the server does."""
    monkeypatch.setattr("twinhull_policy.server.listener.LIMITS", QUICK)

    async def main(scenario: Scenario) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_certificate_path(layout), server_key_path(layout))
        application = web.Application()
        application.router.add_get("/", hello)
        served = listener.HttpsListener(application, context)
        await served.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(PATIENCE):
                await scenario(served)
        finally:
            await served.stop()

    return lambda scenario: uvloop.run(main(scenario))


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def connect(layout: Layout, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(server_ca_path(layout)))
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return context.wrap_socket(plain, server_hostname="localhost")


def test_silence_is_cut_off(layout: Layout, run: Callable[[Scenario], None]) -> None:
    async def scenario(served: listener.HttpsListener) -> None:
        for said in (b"", b"GET / HTTP/1.1\r\n"):
            with await asyncio.to_thread(connect, layout, served.port) as silent:
                await asyncio.to_thread(silent.sendall, said)
                assert await asyncio.to_thread(silent.recv, 100) == b""
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as no_tls:
            assert await asyncio.to_thread(no_tls.recv, 100) == b""
        while served.watched:  # noqa: ASYNC110 - a failed handshake tells nobody
            await asyncio.sleep(0.05)

    run(scenario)


def test_waiting_to_be_read_is_not_silence(layout: Layout, run: Callable[[Scenario], None]) -> None:
    """The request is there while the loop is busy for three times as long as silence may last."""

    async def scenario(served: listener.HttpsListener) -> None:
        loop = asyncio.get_running_loop()

        def ask(opened: ssl.SSLSocket) -> bytes:
            loop.call_soon_threadsafe(time.sleep, 3 * QUICK.first_request_seconds)
            opened.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return opened.recv(100)

        with await asyncio.to_thread(connect, layout, served.port) as opened:
            assert (await asyncio.to_thread(ask, opened)).startswith(b"HTTP/1.1 200")

    run(scenario)

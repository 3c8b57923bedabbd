"""A network that wants somebody to sign in first: a real one, which redirects every page to its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from twinhull_hypervisor.fetch import outside
from twinhull_policy.names import Partition

from tests.support.netd_lab import INTRANET, PAGES, NetdLab, netd_lab
from tests.support.network_lab import capture

PERSONAL, CORPORATE = Partition.PERSONAL, Partition.CORPORATE
CHECK = "http://203.0.113.80/generate_204"
SIGN_IN = "192.168.44.1"


@pytest.fixture(scope="module")
def net() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        yield lab


PORTAL = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://192.168.44.1/login?from=" + "x" * 400)
        self.end_headers()
    def log_message(self, *_): pass
with http.server.HTTPServer(("203.0.113.80", 80), Handler) as server:
    os.write(1, b"ready\\n")
    server.serve_forever()
"""
LOOK = """
import asyncio, sys
from twinhull_hypervisor.fetch import outside
found = asyncio.run(outside.look(sys.argv[1]))
sys.stdout.write(f"{found.reach} {found.location} {','.join(found.addresses)}")
"""


def look(net: NetdLab) -> list[str]:
    """What fetch sees, asking from the laptop's network."""
    return net.lab.python(LOOK, CHECK, namespace="th-underlay").split()


def test_a_portal_is_seen_and_signed_into_from_the_personal_side_alone(net: NetdLab) -> None:
    for address in (SIGN_IN, "192.168.44.2", "203.0.113.80"):
        net.lab.run("ip", "address", "add", f"{address}/32", "dev", "lo", namespace="th-internet")
    assert look(net) == ["nothing"]
    pages = [
        net.lab.start(
            "/usr/bin/python3", "-I", str(PAGES), address, "80", "internet", namespace="th-internet"
        )
        for address in (SIGN_IN, "192.168.44.2")
    ]
    portal = net.lab.start("/usr/bin/python3", "-c", PORTAL, namespace="th-internet")
    assert look(net) == ["portal", f"http://{SIGN_IN}/login", SIGN_IN]

    net.lab.demo("stop-gateway")
    net.corporate_up(routes=["0.0.0.0/0"])
    corporate = net.guest(CORPORATE)
    net.client.personal_up(["198.51.100.1"])
    personal = net.guest(PERSONAL)
    assert net.fetch(personal, f"http://{SIGN_IN}/", 2).startswith("failed")  # private space is closed
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.client.personal_up(["198.51.100.1"], [SIGN_IN])
        assert "stand-in" in net.fetch(personal, f"http://{SIGN_IN}/")
        assert net.fetch(personal, "http://192.168.44.2/", 2).startswith("failed")
        assert net.fetch(corporate, f"http://{SIGN_IN}/", 2).startswith("failed")
        assert net.fetch(corporate, CHECK, 2).startswith("failed")
        seen = underlay.until_planted("198.51.100.1")
    assert {(p.target, p.target_port) for p in seen if p.target.startswith("192.168.")} == {(SIGN_IN, 80)}
    assert net.client.status().state == "connecting"

    portal.kill()  # somebody has signed in
    pages.append(
        net.lab.start(
            *("/usr/bin/python3", "-I", str(PAGES), "203.0.113.80", "80", "internet"), namespace="th-internet"
        )
    )
    assert look(net) == ["open"]
    net.lab.demo("start-gateway")
    net.client.personal_up(["198.51.100.1"])
    assert net.fetch(personal, f"http://{SIGN_IN}/", 2).startswith("failed")
    assert "company intranet" in net.fetch(corporate, INTRANET, 40)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers one connection as it likes; its address as a URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/generate_204"
        thread.join()


HEADS: list[tuple[bytes, str, str]] = [
    (b"HTTP/1.1 204 No Content\r\n\r\n", "open", ""),
    (b"HTTP/1.1 200 OK\r\n\r\n<html>", "portal", "asked"),
    (b"HTTP/1.1 511 Network Authentication Required\r\n\r\n", "portal", "asked"),
    (
        b"HTTP/1.1 302 x\r\nLocation: https://192.0.2.1:8443/a?b#c\r\n\r\n",
        "portal",
        "https://192.0.2.1:8443/a",
    ),
    (b"HTTP/1.1 302 x\r\nlocation:/login\r\n\r\n", "portal", "own"),
    (b"HTTP/1.1 302 x\r\nLocation: javascript:alert(1)\r\n\r\n", "portal", "asked"),
    (b"HTTP/1.1 302 x\r\nLocation: http://user:pw@192.0.2.1/\r\n\r\n", "portal", "asked"),
    (b"HTTP/1.1 302 x\r\nLocation: http://192.0.2.1:99999/\r\n\r\n", "portal", "asked"),
    (b"HTTP/1.1 302 x\r\nLocation: http://\x1b[2J/\r\n\r\n", "portal", "asked"),
    (b"HTTP/1.1 302 x\r\n\r\n", "portal", "asked"),
    (b"HTTP/1.1 3\r\n\r\n", "nothing", ""),
    (b"SSH-2.0-x\r\n", "nothing", ""),
    (b"", "nothing", ""),
    (b"HTTP/1.1 200 " + b"x" * 100_000, "nothing", ""),
]


@pytest.mark.parametrize(("head", "reach", "location"), HEADS, ids=[repr(head[:60]) for head, _, _ in HEADS])
def test_whatever_answers(head: bytes, reach: str, location: str) -> None:
    def answer(connection: socket.socket) -> None:
        try:
            connection.sendall(head)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has heard enough

    with answering(answer) as url:
        found = asyncio.run(outside.look(url))
    own = url.replace("/generate_204", "/login")
    assert (found.reach, found.location) == (reach, {"asked": url, "own": own}.get(location, location))

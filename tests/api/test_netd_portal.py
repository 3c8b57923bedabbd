"""A network that wants somebody to sign in first: a real one, which redirects every page to its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twinhull_hypervisor.daemon.network import Networks
from twinhull_hypervisor.fetch import outside
from twinhull_hypervisor.network.plan import SIDES
from twinhull_hypervisor.settings import HostSettings
from twinhull_policy.names import Partition

from tests.support import portal as portal_program
from tests.support.netd_lab import GUESTS, INTRANET, PAGES, NetdLab, netd_lab
from tests.support.network_lab import capture

PERSONAL, CORPORATE = Partition.PERSONAL, Partition.CORPORATE
CHECK = "http://203.0.113.80/generate_204"
SIGN_IN = "192.168.44.1"
PORTAL_PROGRAM = Path(portal_program.__file__)


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
sys.stdout.write(f"{found.reach} {found.location} {','.join(found.addresses)} {','.join(found.resolvers)}")
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
    assert look(net)[:3] == ["portal", f"http://{SIGN_IN}/login", SIGN_IN]

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
    for page in pages:
        page.kill()
    net.reset()


BROWSE = """
import subprocess, sys
# A guest's resolver is its gateway; /etc is the laptop's here, so only this process sees it so.
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
import urllib.request
try:
    with urllib.request.urlopen(sys.argv[2], sys.argv[3].encode() or None, timeout=4) as answer:
        sys.stdout.write(f"{answer.url} {answer.read().decode()}")
except OSError as error:
    sys.stdout.write(f"failed: {error}")
"""
NAMED = "http://portal.lan/login"
OWNERS_DNS = "198.51.100.1"


class Guests:
    """Browsers in both guests, each with its own gateway for a name server, as the images have it."""

    def __init__(self, net: NetdLab) -> None:
        self._net = net
        for gateway in ("10.137.0.1", "10.138.0.1"):
            (net.directory / gateway).write_text(f"nameserver {gateway}\noptions timeout:1 attempts:1\n")

    def browse(self, partition: Partition, url: str, form: str = "") -> str:
        """Where a browser ends up and what it reads there, or ``failed: …``."""
        side = SIDES[partition]
        words = ("unshare", "--mount", "--", sys.executable, "-c", BROWSE)
        resolver = str(self._net.directory / str(side.gateway.ip))
        return self._net.lab.run(*words, resolver, url, form, namespace=GUESTS[partition])


def test_a_sign_in_page_with_a_local_name_is_reached_from_the_personal_side_alone(net: NetdLab) -> None:
    run, directory = net.lab.run, net.directory
    for address in (SIGN_IN, "203.0.113.80"):
        run("ip", "address", "replace", f"{address}/32", "dev", "lo", namespace="th-internet")
    net.lab.start(
        *("/usr/bin/python3", "-I", str(PAGES), "203.0.113.80", "80", "internet"), namespace="th-internet"
    )
    net.lab.start("/usr/bin/python3", "-I", str(PORTAL_PROGRAM), namespace="th-internet")
    run(
        *("dnsmasq", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"),
        *(f"--listen-address={SIGN_IN}", f"--host-record=portal.lan,{SIGN_IN}", "--user=nobody"),
        *(f"--pid-file={directory / 'resolver.pid'}", f"--address=/#/{SIGN_IN}"),
        namespace="th-internet",
    )
    (directory / "resolv.conf").write_text(f"nameserver {SIGN_IN}\n")
    run("mount", "--bind", str(directory / "resolv.conf"), "/etc/resolv.conf")  # what DHCP told the laptop
    settings = HostSettings(underlay_namespace="th-underlay", personal_dns=[OWNERS_DNS])
    networks = Networks(net.client, settings, allowed=lambda _: True)
    net.corporate_up(routes=["0.0.0.0/0"])
    asyncio.run(networks.bring_up(PERSONAL, None))
    net.guest(CORPORATE)
    net.guest(PERSONAL)
    guests = Guests(net)
    assert guests.browse(PERSONAL, NAMED).startswith("failed")

    reach, location, addresses, resolvers = look(net)
    assert (reach, location, addresses, resolvers) == ("portal", NAMED, SIGN_IN, SIGN_IN)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        asyncio.run(networks.open_portal([addresses], [resolvers]))
        for url in (NAMED, f"http://{SIGN_IN}/login", CHECK, "http://www.example/"):
            assert guests.browse(CORPORATE, url).startswith("failed"), url
        for server in (SIGN_IN, "10.137.0.1", OWNERS_DNS):
            assert net.resolve(GUESTS[CORPORATE], server, "portal.lan", 1).startswith("failed"), server
        alone = underlay.until_planted("198.51.100.1")
        assert net.client.status().state == "connecting"
        assert net.client.status().corporate.confined
        # What a person does: open any page, be sent to the form, fill it in.
        assert guests.browse(PERSONAL, "http://www.example/").startswith(f"{NAMED}?from=/ Room number?")
        assert "Welcome" in guests.browse(PERSONAL, NAMED, "room=7")
        together = underlay.until_planted("198.51.100.1")
    strangers = [
        packet for packet in alone if packet.ethertype == 0x0800 and packet.target_port not in (51820, 0)
    ]
    assert strangers == []
    assert (SIGN_IN, 53) in {(packet.target, packet.target_port) for packet in together}
    assert (SIGN_IN, 80) in {(packet.target, packet.target_port) for packet in together}

    assert look(net)[0] == "open"
    asyncio.run(networks.open_portal([]))
    assert guests.browse(PERSONAL, NAMED).startswith("failed")  # shut again, and the owner's resolver asked
    assert "stand-in" in guests.browse(PERSONAL, "http://www.example/")
    assert "company intranet" in net.fetch(GUESTS[CORPORATE], INTRANET, 40)


RESOLVER_FILES: list[tuple[list[str], tuple[str, ...]]] = [
    (["nameserver 192.0.2.1\nnameserver 2001:db8::1\n"], ("192.0.2.1", "2001:db8::1")),
    (["nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n"], ("192.0.2.1",)),
    (["nameserver 127.0.0.53\n", "nameserver ::1\n"], ()),
    (["# nameserver 192.0.2.1\nsearch lan\nnameserver\n"], ()),
    (["nameserver fe80::1%eth0\nnameserver portal.lan\nnameserver 192.0.2.1;x\n"], ()),
    (["".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 9))], ("192.0.2.1", "192.0.2.2", "192.0.2.3")),
    (["\xff\x00nameserver"], ()),
    ([], ()),
]


@pytest.mark.parametrize(("contents", "expected"), RESOLVER_FILES)
def test_which_name_servers_the_network_named(
    tmp_path: Path, contents: list[str], expected: tuple[str, ...]
) -> None:
    files = [tmp_path / str(number) for number in range(3)]
    for file, text in zip(files, contents, strict=False):
        file.write_text(text, "latin-1")
    assert outside.resolvers(files) == expected


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

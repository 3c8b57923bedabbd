"""The tunnel through what happens to a laptop: gateways that die, networks that change, paths that narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twinhull_policy.names import Partition

from tests.support.netd_lab import ADDRESS, ADDRESS6, ECHO, GATEWAY6, INTRANET, STREAM, NetdLab, netd_lab
from tests.support.network_lab import Packet, capture, wait_until

CORPORATE = Partition.CORPORATE
GATEWAY = "203.0.113.2:51820"
NOBODY = "203.0.113.9:51820"
BOTH: dict[str, Any] = {"addresses": [ADDRESS, ADDRESS6], "routes": ["10.77.0.0/16", "fd77::/32"]}
UDP, ICMP, ARP = 17, 1, 0x0806
INITIATION = 1
"""A WireGuard message's type (white paper, section 5.4.2)."""


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        lab.dual_stack()
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def reached(net: NetdLab, guest: str, page: str = INTRANET) -> bool:
    return "company intranet" in net.fetch(guest, page, 2)


def leaks(packets: list[Packet]) -> list[Packet]:
    """All that is neither the tunnel, nor ARP, nor "nobody listens" about the tunnel."""
    return [
        packet
        for packet in packets
        if packet.ethertype not in (ARP, 0x86DD)
        and not (packet.protocol == UDP and packet.target_port == 51820)
        and not (packet.protocol == ICMP and packet.payload[:1] == b"\x03")
    ]


def test_the_next_gateway_is_used_when_the_first_does_not_answer(net: NetdLab) -> None:
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.corporate_up(gateways=[(NOBODY, net.gateway_key), (GATEWAY, net.gateway_key)])
        guest = net.guest(CORPORATE)
        wait_until(lambda: reached(net, guest), "the second gateway carries the tunnel")
        seen = underlay.until_planted("198.51.100.1")
    assert net.client.vpn_info().gateway == GATEWAY
    assert {packet.target for packet in seen if packet.protocol == UDP} >= {"203.0.113.9", "203.0.113.2"}
    assert leaks(seen) == []
    net.corporate_up(gateways=[(NOBODY, net.gateway_key), (GATEWAY, net.gateway_key)])
    assert net.client.vpn_info().gateway == GATEWAY  # a repeat goes on with the one that answers


def test_a_gateway_of_a_family_that_the_network_does_not_have_is_passed_over(net: NetdLab) -> None:
    net.lab.run("ip", "-6", "route", "delete", "default", namespace="th-underlay")
    try:
        net.corporate_up(gateways=[(GATEWAY6, net.gateway_key), (GATEWAY, net.gateway_key)])
        guest = net.guest(CORPORATE)
        wait_until(lambda: reached(net, guest), "the gateway that can be reached carries the tunnel")
    finally:
        net.lab.run(
            *("ip", "-6", "route", "add", "default", "via", "2001:db8:100::1"), namespace="th-underlay"
        )


def test_a_gateway_that_comes_back_is_noticed(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    assert "company intranet" in net.fetch(guest, INTRANET)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.lab.demo("stop-gateway")
        assert not reached(net, guest)
        net.lab.demo("start-gateway")
        wait_until(lambda: reached(net, guest), "the intranet is back")
        assert leaks(underlay.until_planted("198.51.100.1")) == []
    assert net.client.status().state == "up"
    net.ipv6_addresses()


@pytest.fixture
def second_uplink(net: NetdLab) -> Iterator[NetdLab]:
    """Another network of the laptop: 198.51.101.2 on uplink1, unused so far."""
    peer = ("peer", "name", "laptop1", "netns", "th-internet")
    net.lab.run("ip", "link", "add", "uplink1", "type", "veth", *peer, namespace="th-underlay")
    for namespace, link, address in (
        ("th-underlay", "uplink1", "198.51.101.2/24"),
        ("th-internet", "laptop1", "198.51.101.1/24"),
    ):
        net.lab.run("ip", "address", "add", address, "dev", link, namespace=namespace)
        net.lab.run("ip", "link", "set", link, "up", namespace=namespace)
    yield net
    net.lab.run("ip", "link", "delete", "uplink1", namespace="th-underlay")
    net.lab.run("ip", "link", "set", "uplink0", "up", namespace="th-underlay")
    net.lab.run("ip", "route", "replace", "default", "via", "198.51.100.1", namespace="th-underlay")
    net.lab.run(
        "ip", "address", "replace", "2001:db8:100::2/64", "dev", "uplink0", "nodad", namespace="th-underlay"
    )
    net.lab.run("ip", "-6", "route", "replace", "default", "via", "2001:db8:100::1", namespace="th-underlay")


def test_a_connection_survives_roaming_to_another_network(second_uplink: NetdLab) -> None:
    net = second_uplink
    net.corporate_up()
    guest = net.guest(CORPORATE)
    server = net.lab.start("/usr/bin/python3", "-c", ECHO, namespace="th-gateway")
    stream = net.lab.start("/usr/bin/python3", "-c", STREAM, namespace=guest)

    def from_the_new_network() -> bool:
        shown = net.lab.run("wg", "show", "th-gw0", "endpoints", namespace="th-gateway")
        return "198.51.101.2" in shown

    with (
        capture(net.lab, "th-underlay", "uplink0") as old,
        capture(net.lab, "th-underlay", "uplink1", "198.51.101.1") as new,
    ):
        net.lab.run("ip", "link", "set", "uplink0", "down", namespace="th-underlay")
        net.lab.run("ip", "route", "add", "default", "via", "198.51.101.1", namespace="th-underlay")
        wait_until(from_the_new_network, "the gateway hears from the new network")
        assert reached(net, guest)
        assert stream.alive()
        seen: list[Packet] = []

        def asked() -> bool:
            seen.extend(new.until_planted("198.51.101.1"))
            return any(packet.protocol == UDP and packet.payload[0] == INITIATION for packet in seen)

        # The session would have gone on without one for two minutes, as far as a gateway follows it.
        wait_until(asked, "the laptop asks for a session from its new address by itself")
        assert leaks(seen) == []
        net.lab.run("ip", "link", "set", "uplink0", "up", namespace="th-underlay")
        assert leaks(old.until_planted("198.51.100.1")) == []
    stream.kill()
    server.kill()


def test_the_key_is_rotated_under_a_connection(net: NetdLab) -> None:
    net.corporate_up()
    guest = net.guest(CORPORATE)
    server = net.lab.start("/usr/bin/python3", "-c", ECHO, namespace="th-gateway")
    stream = net.lab.start("/usr/bin/python3", "-c", STREAM, namespace=guest)
    state = net.directory / "state"
    first, first_private = net.client.identity(), (state / "wireguard.key").read_text()
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        following = net.client.identity(next=True)
        assert net.client.identity(next=True) == following != first
        assert net.client.identity() == first
        assert reached(net, guest)  # the gateway does not know of it yet
        net.lab.demo("peer", following, ADDRESS)
        wait_until(lambda: net.client.identity() == following, "the next key is in use")
        wait_until(lambda: reached(net, guest), "it carries the tunnel")
        assert leaks(underlay.until_planted("198.51.100.1")) == []
    assert stream.alive()
    kept = [path.read_text() for path in state.iterdir()]
    assert not any(first_private in text for text in kept)
    assert [path.name for path in state.glob("wireguard*")] == ["wireguard.key"]
    assert net.client.status().state == "up"
    stream.kill()
    server.kill()
    net.ipv6_addresses()  # the gateway knew the former key's IPv6 address only


def tunnel_mtu(net: NetdLab) -> int:
    shown = net.lab.run("ip", "-o", "link", "show", "th-wg0", namespace="th-corporate")
    return int(shown.split(" mtu ")[1].split()[0])


def narrow(net: NetdLab, mtu: int, *, at: str = "underlay") -> None:
    """Make the laptop's network, or the company's behind it, narrower."""
    ends = {
        "underlay": (("th-underlay", "uplink0"), ("th-internet", "laptop0")),
        "company": (("th-gateway", "uplink0"), ("th-internet", "company0")),
    }
    for namespace, link in ends[at]:
        net.lab.run("ip", "link", "set", link, "mtu", str(mtu), namespace=namespace)
    # What the underlay has learned of the path would otherwise hold for ten minutes.
    for family in ("-4", "-6"):
        net.lab.run("ip", family, "route", "flush", "cache", namespace="th-underlay")


TRANSFER = """
import socket, sys
size, address = 1_000_000, sys.argv[1]
with socket.create_connection((address, 7778), timeout=50) as stream:
    stream.sendall(b"x" * size)
    stream.shutdown(socket.SHUT_WR)
    got = 0
    while data := stream.recv(65536):
        got += len(data)
sys.stdout.write(f"{got} {stream.fileno()}")
"""
SINK = """
import os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], 7778), family=family) as server:
    os.write(1, b"ready\\n")
    while True:
        stream, _ = server.accept()
        with stream:
            got = 0
            while data := stream.recv(65536):
                got += len(data)
            stream.sendall(b"y" * got)
"""


@pytest.mark.parametrize("endpoint", [GATEWAY, GATEWAY6])
@pytest.mark.parametrize("inside", ["10.77.0.1", "fd77::1"])
def test_a_large_transfer_through_a_narrow_underlay(net: NetdLab, endpoint: str, inside: str) -> None:
    net.corporate_up(**BOTH, gateways=[(endpoint, net.gateway_key)])
    guest = net.guest(CORPORATE)
    server = net.lab.start("/usr/bin/python3", "-c", SINK, inside, namespace="th-gateway")
    overhead = 60 if endpoint == GATEWAY else 80
    try:
        narrow(net, 1400)
        wait_until(lambda: tunnel_mtu(net) == 1400 - overhead, "the tunnel fits the narrow network")
        assert net.lab.python(TRANSFER, inside, namespace=guest).split()[0] == "1000000"
        narrow(net, 1500)
        wait_until(lambda: tunnel_mtu(net) == 1420, "the tunnel is as wide as the policy lets it be")
        narrow(net, 1380, at="company")
        assert net.lab.python(TRANSFER, inside, namespace=guest).split()[0] == "1000000"
        assert net.client.status().corporate.confined
    finally:
        narrow(net, 1500)
        narrow(net, 1500, at="company")
        server.kill()


@pytest.mark.parametrize(("target", "command"), [("10.77.0.1", "-4"), ("fd77::1", "-6")])
def test_the_guest_is_told_what_fits_into_the_tunnel(net: NetdLab, target: str, command: str) -> None:
    """Its card takes 1500 bytes; what TCP's clamp does not see learns by ICMP (RFC 1191, RFC 8201)."""
    net.corporate_up(**BOTH)
    guest = net.guest(CORPORATE)
    wait_until(lambda: reached(net, guest), "the tunnel is up")

    def known() -> str:
        net.lab.run(
            *("ping", command, "-M", "do", "-s", "1440", "-c", "1", "-W", "1", target),
            namespace=guest,
            check=False,
        )
        return net.lab.run("ip", command, "route", "get", target, namespace=guest)

    assert "mtu 1500" in net.lab.run("ip", "link", "show", "eth0", namespace=guest)
    wait_until(lambda: "mtu 1420" in known(), "the guest knows what fits")
    size = "1392" if command == "-4" else "1372"
    net.lab.run("ping", command, "-M", "do", "-s", size, "-c", "1", "-W", "20", target, namespace=guest)

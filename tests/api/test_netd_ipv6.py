"""The corporate side in both families, inside and outside the tunnel, on real namespaces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from twinhull_policy.names import Partition

from tests.support.netd_lab import (
    ADDRESS,
    ADDRESS6,
    GATEWAY6,
    INTERNET6,
    INTRANET,
    INTRANET6,
    NetdLab,
    netd_lab,
)
from tests.support.network_lab import Packet, capture, wait_until

CORPORATE = Partition.CORPORATE
ARP = 0x0806
ICMPV6 = 58
HOP_BY_HOP = 0
UDP = 17
BOTH: dict[str, Any] = {
    "addresses": [f"{ADDRESS}/32", f"{ADDRESS6}/128"],
    "routes": ["10.77.0.0/16", "fd77::/32"],
}
EVERYTHING: dict[str, Any] = {**BOTH, "routes": ["0.0.0.0/0", "::/0"]}


@pytest.fixture(scope="module")
def shared() -> Iterator[NetdLab]:
    with netd_lab() as lab:
        lab.dual_stack()
        yield lab


@pytest.fixture
def net(shared: NetdLab) -> Iterator[NetdLab]:
    yield shared
    shared.reset()


def up(net: NetdLab, *, endpoint: int = 4, **changes: Any) -> str:
    """Both families through a gateway reached by one of them; the guest's namespace."""
    gateway = "203.0.113.2:51820" if endpoint == 4 else GATEWAY6
    net.corporate_up(**{**BOTH, "gateways": [(gateway, net.gateway_key)], **changes})
    return net.guest(CORPORATE)


def is_wireguard(packet: Packet) -> bool:
    """UDP to the gateway's WireGuard port, whichever family carries it."""
    return (
        packet.protocol == UDP
        and packet.target in ("203.0.113.2", "2001:db8:113::2")
        and packet.target_port == 51820
    )


def leaks(packets: list[Packet]) -> list[Packet]:
    """What the underlay must not have carried; finding its own router is the underlay's."""
    own = [p for p in packets if p.protocol == ICMPV6 and p.payload[:1] in (b"\x87", b"\x88")]
    own += [p for p in packets if (p.protocol, p.target) == (HOP_BY_HOP, "ff02::16")]  # MLD, RFC 3810
    return [p for p in packets if p.ethertype != ARP and not is_wireguard(p) and p not in own]


@pytest.mark.parametrize("endpoint", [4, 6])
def test_both_families_reach_the_intranet_and_nothing_else_leaves(net: NetdLab, endpoint: int) -> None:
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        guest = up(net, endpoint=endpoint)
        for page in (INTRANET, INTRANET6):
            assert "company intranet" in net.fetch(guest, page)
        assert net.fetch(guest, INTERNET6, 3).startswith("failed")  # no route in the policy
        seen = underlay.until_planted("198.51.100.1")
    assert any(is_wireguard(packet) for packet in seen)
    assert leaks(seen) == []
    status = net.client.status()
    assert (status.state, status.corporate.confined) == ("up", True), status
    assert status.corporate.routes == ["10.77.0.0/16 dev th-wg0", "fd77::/32 dev th-wg0"]
    assert status.corporate.addresses == ["10.77.1.5/32", "fd77::1:5/128"]


def test_a_default_route_carries_ipv6_too(net: NetdLab) -> None:
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        page = net.fetch(up(net, **EVERYTHING), INTERNET6)
        seen = underlay.until_planted("198.51.100.1")
    assert "2001:db8:113::2" in page  # the internet sees the company's address
    assert leaks(seen) == []


def test_without_an_ipv6_address_there_is_none(net: NetdLab) -> None:
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        guest = up(net, addresses=[ADDRESS], routes=["0.0.0.0/0", "::/0"])
        assert "company intranet" in net.fetch(guest, INTRANET)
        assert net.fetch(guest, INTERNET6, 4).startswith("failed")
        assert leaks(underlay.until_planted("198.51.100.1")) == []
    assert net.lab.run("ip", "-6", "address", "show", namespace="th-corporate") == ""
    assert net.client.status().state == "up"


def test_names_are_asked_over_ipv6_of_the_policys_server_only(net: NetdLab) -> None:
    guest = up(net, dns=["fd77::1"])
    net.lab.start(
        *("/usr/bin/python3", "-c", ECHO, "fd77::1", "53"),
        namespace="th-gateway",
    )
    assert net.lab.python(ASK, "fd74:7768:137::1", namespace=guest) == "fd77::1:5"
    assert net.lab.python(ASK, "2001:db8:100::1", namespace=guest) == "nothing"


ECHO = """
import os, socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], int(sys.argv[2])))
    os.write(1, b"ready\\n")
    while True:
        _, peer = server.recvfrom(2048)
        server.sendto(peer[0].encode(), peer)
"""
ASK = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
    client.settimeout(3)
    try:
        client.sendto(b"who am I", (sys.argv[1], 53))
        sys.stdout.write(client.recv(2048).decode())
    except OSError:
        sys.stdout.write("nothing")
"""


def test_a_router_advertisement_by_the_guest_changes_nothing(net: NetdLab) -> None:
    guest = up(net)
    before = [net.lab.run("ip", "-6", *words, namespace="th-corporate") for words in (["route"], ["address"])]
    net.lab.python(ADVERTISE, namespace=guest)
    assert "company intranet" in net.fetch(guest, INTRANET6)  # and so it has been processed
    after = [net.lab.run("ip", "-6", *words, namespace="th-corporate") for words in (["route"], ["address"])]
    assert after == before
    assert net.client.status().corporate.confined


ADVERTISE = """
import socket, struct
bad = socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + bad
advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
    for target in ("ff02::1", "ff02::2"):
        sender.sendto(advertisement, (target, 0))
"""


def test_spoofed_sources_do_not_enter_the_tunnel(net: NetdLab) -> None:
    guest = up(net)
    for address in ("fd77::99", "2001:db8:100::2", "fd74:7768:138::2"):
        net.lab.run("ip", "address", "add", f"{address}/128", "dev", "eth0", "nodad", namespace=guest)
    rules = (
        "table ip6 seen { chain in { type filter hook prerouting priority raw; udp dport 4001 counter; }\n}"
    )
    net.lab.run("nft", "-f", "-", namespace="th-gateway", input=rules)
    try:
        for source in ("fd77::99", "2001:db8:100::2", "fd74:7768:138::2", "fd74:7768:137::2"):
            net.lab.python(SEND, source, namespace=guest)

        def packets() -> int:
            listing = net.lab.run("nft", "-j", "list", "table", "ip6", "seen", namespace="th-gateway")
            (rule,) = [o["rule"] for o in json.loads(listing)["nftables"] if "rule" in o]
            return int(rule["expr"][1]["counter"]["packets"])

        wait_until(lambda: packets() > 0, "the guest's own packet arrived")
        assert packets() == 1
    finally:
        net.lab.run("nft", "delete", "table", "ip6", "seen", namespace="th-gateway")


SEND = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
    sender.bind((sys.argv[1], 0))
    sender.sendto(b"x", ("fd77::1", 4001))
"""


def test_prove_tries_both_families(net: NetdLab) -> None:
    up(net, **EVERYTHING)
    proof = net.client.prove()
    assert proof.passed, proof


def test_the_personal_side_has_ipv6_too_and_reaches_neither_company_nor_host(net: NetdLab) -> None:
    up(net)
    with capture(net.lab, "th-underlay", "uplink0") as underlay:
        net.client.personal_up(["198.51.100.1"])
        guest = net.guest(Partition.PERSONAL)
        page = net.fetch(guest, INTERNET6)
        assert "stand-in" in page
        assert "2001:db8:100::2" in page  # translated: the internet sees the laptop
        assert net.client.status().personal.confined
        closed = ("fd77::80", "fd77::1:5", "fd74:7768:137::1", "fd74:7768:138:1::1", "2001:db8:100::2")
        for target in closed:
            assert net.fetch(guest, f"http://[{target}]/", 2).startswith("failed"), target
        seen = underlay.until_planted("198.51.100.1")
    assert {packet.target for packet in seen} & set(closed) == set()
    assert {packet.source for packet in seen if packet.source.startswith("fd74:")} == set()
    net.stop_guest(Partition.PERSONAL)
    net.client.down(Partition.PERSONAL)
    forwarding = "/proc/sys/net/ipv6/conf/all/forwarding"
    assert net.lab.run("cat", forwarding, namespace="th-underlay").strip() == "0"


def test_the_laptop_still_heeds_its_router_while_it_forwards(net: NetdLab) -> None:
    setting = "/proc/sys/net/ipv6/conf/uplink0/accept_ra"
    net.lab.run("tee", setting, namespace="th-underlay", input="1")
    net.client.personal_up([])
    assert net.lab.run("cat", setting, namespace="th-underlay").strip() == "2"
    net.client.down(Partition.PERSONAL)
    assert net.lab.run("cat", setting, namespace="th-underlay").strip() == "1"

"""The verdict on a packet, alone: what it lets pass, and one of each kind that it must not."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from . import frames
from .verdict import Laws, Seen, joined, leak

OWN4, OWN6 = "198.51.100.2", "2001:db8:1::2"
GATEWAY4, GATEWAY6 = "203.0.113.2", "2001:db8:3::2"
MINE, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
LAWS = Laws(
    frozenset({(ip_address(GATEWAY4), 51820), (ip_address(GATEWAY6), 51820)}),
    frozenset({ip_address(OWN4), ip_address(OWN6)}),
    (ip_network("198.51.100.0/24"), ip_network("2001:db8:1::/64")),
    (ip_network("10.77.0.0/16"), ip_network("198.51.100.128/25")),
    1420,
)
DATA = b"\4\0\0\0" + bytes(60)
INITIATION = b"\1\0\0\0" + bytes(144)


def out(packet: bytes, family: int) -> Seen:
    kind = frames.IPV4 if family == 4 else frames.IPV6
    return Seen("the underlay", "uplink0", True, frames.ethernet(packet, kind, MINE, OTHER))


def datagram(source: str, target: str, port: int, payload: bytes) -> Seen:
    family = ip_address(target).version
    return out(frames.ip(frames.udp(source, target, port, payload), frames.UDP, source, target), family)


def asked(sender: str, target: str) -> Seen:
    body = frames.arp(1, MINE, sender, "00:00:00:00:00:00", target)
    return Seen("", "uplink0", True, frames.ethernet(body, frames.ARP, MINE, frames.BROADCAST))


def solicited(source: str, target: str) -> Seen:
    body = bytes([135, 0, 0, 0, 0, 0, 0, 0]) + ip_address(target).packed
    group = "ff02::1:ff00:1"
    said = frames.icmp6(source, group, body)
    return out(frames.ip(said, frames.ICMP6, source, group, hops=255), 6)


def complaint(quoted: bytes) -> Seen:
    return out(frames.ip(frames.icmp(b"\3\3\0\0\0\0\0\0" + quoted), frames.ICMP, OWN4, GATEWAY4), 4)


FROM_GATEWAY = frames.ip(frames.udp(GATEWAY4, OWN4, 4000, DATA, near=51820), frames.UDP, GATEWAY4, OWN4)
FROM_OTHER = frames.ip(frames.udp("192.0.2.1", OWN4, 4000, DATA, near=51820), frames.UDP, "192.0.2.1", OWN4)

ALLOWED = {
    "handshake": datagram(OWN4, GATEWAY4, 51820, INITIATION),
    "data": datagram(OWN4, GATEWAY4, 51820, DATA),
    "data over IPv6": datagram(OWN6, GATEWAY6, 51820, DATA),
    "a full packet, padded to the MTU only": datagram(OWN4, GATEWAY4, 51820, b"\4\0\0\0" + bytes(1448)),
    "ARP for the router": asked(OWN4, "198.51.100.1"),
    "neighbour solicitation": solicited(OWN6, "2001:db8:1::1"),
    "nobody has the tunnel's port": complaint(FROM_GATEWAY),
    "anything that came in": Seen("", "uplink0", False, b"\xff" * 60),
}
LEAKS = {
    "data to another address": datagram(OWN4, "203.0.113.3", 51820, DATA),
    "data to another port": datagram(OWN4, GATEWAY4, 53, DATA),
    "data from another address": datagram("10.137.0.2", GATEWAY4, 51820, DATA),
    "not WireGuard's form": datagram(OWN4, GATEWAY4, 51820, b"\5\0\0\0" + bytes(60)),
    "not WireGuard's zeros": datagram(OWN4, GATEWAY4, 51820, b"\4\1\0\0" + bytes(60)),
    "not WireGuard's length": datagram(OWN4, GATEWAY4, 51820, b"\1\0\0\0" + bytes(60)),
    "text to the gateway": datagram(OWN4, GATEWAY4, 51820, b"secret"),
    "DNS": datagram(OWN4, "198.51.100.1", 53, b"query"),
    "DNS over IPv6": datagram(OWN6, "2001:db8:1::1", 53, b"query"),
    "ARP for a corporate address": asked(OWN4, "198.51.100.200"),
    "ARP for an address elsewhere": asked(OWN4, "10.77.0.80"),
    "ARP from a strange address": asked("10.137.0.2", "198.51.100.1"),
    "solicitation of an address elsewhere": solicited(OWN6, "2001:db8:77::80"),
    "a complaint that quotes something else": complaint(FROM_OTHER),
    "an echo request": out(frames.ip(frames.echo(OWN4, GATEWAY4, b"x"), frames.ICMP, OWN4, GATEWAY4), 4),
    "another ethertype": Seen("", "uplink0", True, frames.ethernet(b"x", 0x88CC, MINE, OTHER)),
    "half a frame": Seen("", "uplink0", True, b"\0\1\2"),
    "nothing of an IP header": out(b"\x45", 4),
    "a tagged frame": Seen(
        "", "uplink0", True, frames.tagged(datagram(OWN4, GATEWAY4, 51820, DATA).frame, (frames.VLAN, 5))
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_may_leave(name: str) -> None:
    assert leak(ALLOWED[name], LAWS) == ""


@pytest.mark.parametrize("name", LEAKS)
def test_what_is_a_leak(name: str) -> None:
    assert leak(LEAKS[name], LAWS) != ""


@pytest.mark.parametrize(("source", "target"), [(OWN4, GATEWAY4), (OWN6, GATEWAY6)])
def test_a_packet_in_fragments_is_judged_whole(source: str, target: str) -> None:
    whole = frames.udp(source, target, 51820, b"\4\0\0\0" + bytes(1436))
    pieces = [
        out(
            frames.ip(whole[a:b], frames.UDP, source, target, fragment=(7, a, b < len(whole))),
            ip_address(target).version,
        )
        for a, b in ((0, 1232), (1232, len(whole)))
    ]
    for order in (pieces, pieces[::-1]):
        (together,) = joined(order)
        assert leak(together, LAWS) == ""
    assert joined(pieces[:1]) == pieces[:1]
    assert leak(pieces[0], LAWS) != ""
    assert leak(pieces[1], LAWS) != ""

"""Rows in which the corporate guest tries to get out: every kind of frame its card can send."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, ip_address

from . import frames
from .machine import (
    COMPANY,
    CORPORATE,
    GUEST,
    IN_TUNNEL,
    INTRANET,
    LAN_MACHINE,
    LAPTOP,
    PERSONAL_GUEST,
    ROUTER,
    SECOND_ROUTER,
    TAP,
    UNDERLAY,
)
from .scenario import Family, Underlay, add
from .stage import Stage

Make = Callable[[Stage, Family], Iterator[bytes]]
BOTH: tuple[Family, ...] = (4, 6)
ONLY4: tuple[Family, ...] = (4,)
ONLY6: tuple[Family, ...] = (6,)
NAT64 = "64:ff9b::c633:6401"
NOBODY = str(IPv4Address(0))
PUBLIC = {4: "192.0.2.53", 6: "2001:db8:2::53"}
"""A server of the internet: an address of the second uplink's network, so that a leaked packet has a way."""
ALIVE = "the tap takes every frame; afterwards the guest's bytes still reach the company through the tunnel"
NOT_EVEN_THERE = (
    "the tap takes every frame, and not even the company sees one of them; other bytes still come out"
)
STILL = "the tap takes every frame"


def guest_tries(
    event: str,
    tried: str,
    *,
    name: str = "",
    families: tuple[Family, ...] = BOTH,
    underlays: tuple[Underlay, ...] = ("ethernet",),
    nowhere: bool = False,
) -> Callable[[Make], Make]:
    """Put frames that the guest writes into the table; ``nowhere``: the company may not see them either."""

    def enter(make: Make) -> Make:
        def act(stage: Stage, family: Family) -> None:
            stage.need(CORPORATE)
            mark = stage.watch.mark()
            stage.tries(list(make(stage, family)))
            stage.arrives()
            assert not nowhere or not stage.watch.holds(mark, "the gateway", stage.canary)

        def act_unheard(stage: Stage, family: Family) -> None:
            stage.need(CORPORATE)
            stage.tries(list(make(stage, family)))

        for underlay in underlays:
            unheard = underlay in ("captive", "no network")
            seen, how = (STILL, act_unheard) if unheard else (NOT_EVEN_THERE if nowhere else ALIVE, act)
            add(event, name or event, tried, seen, how, families, (underlay,))
        return make

    return enter


@guest_tries(
    "guest DNS",
    "queries by UDP and TCP port 53, DNS over TLS and QUIC (853), over HTTPS (443), and to port 5353, to the "
    "router, the LAN, the internet, the company and the laptop itself",
    underlays=("ethernet", "full tunnel", "roamed", "IPv6 only", "captive"),
)
def names(stage: Stage, family: Family) -> Iterator[bytes]:
    for server in (ROUTER, LAN_MACHINE, PUBLIC, INTRANET, LAPTOP, SECOND_ROUTER):
        for port in (53, 443, 853, 5353):
            yield stage.datagram(server[family], port)
            yield stage.opening(server[family], port)


@guest_tries(
    "STUN", "binding requests to ports 3478, 5349 and 19302", underlays=("ethernet", "full tunnel", "roamed")
)
def stun(stage: Stage, family: Family) -> Iterator[bytes]:
    request = struct.pack("!HHI", 1, 0, 0x2112A442) + stage.said(12)
    for server in (ROUTER, PUBLIC, LAN_MACHINE):
        for port in (3478, 5349, 19302):
            packet = frames.udp(GUEST[family], server[family], port, request + stage.said())
            yield stage.frame(frames.ip(packet, frames.UDP, GUEST[family], server[family]), family)


GROUPS: dict[Family, tuple[str, ...]] = {
    4: ("224.0.0.1", "224.0.0.22", "239.255.255.250", "239.1.2.3", "232.1.1.1"),
    6: ("ff02::1", "ff02::2", "ff05::2", "ff0e::101", "ff01::1"),
}


def _to_group(stage: Stage, family: Family, group: str, port: int, hops: int = 255) -> bytes:
    """A datagram to a multicast group, in the frame that belongs to it (RFC 1112, 2464)."""
    address = ip_address(group).packed
    target = (
        b"\x01\x00\x5e" + bytes([address[1] & 0x7F]) + address[2:]
        if family == 4
        else b"\x33\x33" + address[-4:]
    )
    packet = frames.udp(GUEST[family], group, port, stage.said())
    packet = frames.ip(packet, frames.UDP, GUEST[family], group, hops=hops)
    kind = frames.IPV4 if family == 4 else frames.IPV6
    return frames.ethernet(packet, kind, stage.need(CORPORATE).mac, target.hex(":"))


@guest_tries(
    "multicast",
    "datagrams to groups of every scope, and reports that join them (IGMPv2, MLDv1)",
    underlays=("ethernet", "full tunnel"),
)
def multicast(stage: Stage, family: Family) -> Iterator[bytes]:
    for group in GROUPS[family]:
        yield _to_group(stage, family, group, 4000)
        packed = ip_address(group).packed
        if family == 4:
            report = frames.icmp(struct.pack("!BBH", 0x16, 0, 0) + packed)
            yield stage.frame(frames.ip(report, 2, GUEST[4], group, hops=1, options=b"\x94\x04\0\0"), 4)
        else:
            report = frames.icmp6(GUEST[6], group, struct.pack("!BBHHH", 131, 0, 0, 0, 0) + packed)
            yield stage.frame(frames.ip(report, frames.ICMP6, GUEST[6], group, hops=1), 6)


@guest_tries("mDNS", "queries and announcements to the mDNS group")
def mdns(stage: Stage, family: Family) -> Iterator[bytes]:
    yield _to_group(stage, family, "224.0.0.251" if family == 4 else "ff02::fb", 5353)


@guest_tries("LLMNR", "queries to the LLMNR group")
def llmnr(stage: Stage, family: Family) -> Iterator[bytes]:
    yield _to_group(stage, family, "224.0.0.252" if family == 4 else "ff02::1:3", 5355)


@guest_tries("SSDP", "searches by SSDP and WS-Discovery")
def ssdp(stage: Stage, family: Family) -> Iterator[bytes]:
    for port in (1900, 3702):
        yield _to_group(stage, family, "239.255.255.250" if family == 4 else "ff02::c", port)


@guest_tries(
    "broadcast",
    "limited and directed broadcasts, of the guest's own network and of the uplink's, NetBIOS and DHCP",
    families=ONLY4,
    underlays=("ethernet", "full tunnel"),
)
def broadcast(stage: Stage, family: Family) -> Iterator[bytes]:
    for target in ("255.255.255.255", "10.137.0.3", "198.51.100.255", "198.51.100.0", "10.77.255.255"):
        for port in (67, 137, 138, 17500):
            yield stage.datagram(target, port)
            packet = frames.udp(NOBODY, target, port, stage.said(), near=68)
            packet = frames.ip(packet, frames.UDP, NOBODY, target)
            yield frames.ethernet(packet, frames.IPV4, stage.need(CORPORATE).mac, frames.BROADCAST)


@guest_tries(
    "fragments",
    "datagrams in fragments: in order, in reverse, overlapping with other addresses' ports, a first one too "
    "short for its header, one alone (RFC 1858, 5722, 6946)",
    underlays=("ethernet", "full tunnel", "small MTU"),
)
def fragments(stage: Stage, family: Family) -> Iterator[bytes]:
    for number, target in enumerate((ROUTER[family], PUBLIC[family], INTRANET[family], LAPTOP[family]), 100):
        whole = frames.udp(GUEST[family], target, 53, stage.said(2000))
        other = frames.udp(GUEST[family], target, 9, stage.said(2000))
        cuts = {
            "in order": ((whole, 0, 1000), (whole, 1000, 2008)),
            "in reverse": ((whole, 1000, 2008), (whole, 0, 1000)),
            "overlapping": ((whole, 0, 1000), (other, 0, 1000), (whole, 504, 2008)),
            "tiny": ((whole, 0, 8), (whole, 8, 2008)),
            "alone": ((whole, 1000, 2000),),
            "atomic": ((whole[:8] + stage.said(64), 0, 72),),
        }
        for position, pieces in enumerate(cuts.values()):
            for data, start, end in pieces:
                piece = (number * 16 + position, start, end < 2008 and len(pieces) > 1)
                packet = frames.ip(data[start:end], frames.UDP, GUEST[family], target, fragment=piece)
                yield stage.frame(packet, family)


@guest_tries(
    "raw sockets",
    "every one of the 256 protocol numbers: GRE, ESP, AH, SCTP, UDP-Lite, those never assigned",
    name="odd protocols",
    underlays=("ethernet", "full tunnel"),
)
def protocols(stage: Stage, family: Family) -> Iterator[bytes]:
    for target in (ROUTER[family], LAN_MACHINE[family]):
        for protocol in range(256):
            yield stage.frame(frames.ip(stage.said(), protocol, GUEST[family], target), family)


@guest_tries(
    "raw sockets",
    "echo requests that carry data, errors and replies nobody asked for",
    name="ICMP tunnel",
    underlays=("ethernet", "full tunnel"),
)
def icmp_tunnel(stage: Stage, family: Family) -> Iterator[bytes]:
    for target in (ROUTER[family], PUBLIC[family], LAN_MACHINE[family], LAPTOP[family]):
        yield stage.frame(
            frames.ip(
                frames.echo(GUEST[family], target, stage.said(512)),
                frames.ICMP if family == 4 else frames.ICMP6,
                GUEST[family],
                target,
            ),
            family,
        )
        for kind in (0, 3, 5, 11, 13, 15, 17) if family == 4 else (1, 2, 3, 4, 129, 137, 139, 144):
            body = struct.pack("!BBHI", kind, 0, 0, 0) + stage.said(128)
            said = frames.icmp(body) if family == 4 else frames.icmp6(GUEST[6], target, body)
            protocol = frames.ICMP if family == 4 else frames.ICMP6
            yield stage.frame(frames.ip(said, protocol, GUEST[family], target), family)


@guest_tries(
    "raw sockets",
    "ethertypes other than IP: 802.1X, LLDP, PPPoE, MPLS, IPX, AoE, 802.3 with LLC, unknown ones",
    name="odd ethertypes",
    families=ONLY4,
)
def ethertypes(stage: Stage, family: Family) -> Iterator[bytes]:
    guest = stage.need(CORPORATE)
    for kind in (
        0x888E,
        0x88CC,
        0x8863,
        0x8864,
        0x8847,
        0x8137,
        0x88A2,
        0x0026,
        0x22F0,
        0x9000,
        0xFFFF,
        0x0000,
    ):
        for target in (guest.gateway_mac, frames.BROADCAST, "01:80:c2:00:00:00", "01:80:c2:00:00:0e"):
            yield frames.ethernet(stage.said(), kind, guest.mac, target)


@guest_tries(
    "VLAN tags",
    "frames with an 802.1Q tag, with priority tag 0, and with two tags (802.1ad), around packets for all",
)
def vlans(stage: Stage, family: Family) -> Iterator[bytes]:
    for frame in stage.shouts(family):
        yield frames.tagged(frame, (frames.VLAN, 0))
        yield frames.tagged(frame, (frames.VLAN, 1))
        yield frames.tagged(frame, (frames.VLAN, 4094))
        yield frames.tagged(frame, (frames.QINQ, 5), (frames.VLAN, 6))
        yield frames.tagged(frame, (frames.VLAN, 0), (frames.VLAN, 0))


@guest_tries(
    "guest with static routes",
    "packets for networks it was given no route to: the LAN, the internet, the gateway's underlay address, "
    "the laptop, link-local, loopback, metadata services, the other partition",
    name="static routes",
    underlays=("ethernet", "full tunnel", "roamed", "small MTU", "IPv6 only", "captive", "no network"),
)
def static_routes(stage: Stage, family: Family) -> Iterator[bytes]:
    targets = {
        4: (
            COMPANY[4],
            "203.0.113.1",
            "127.0.0.1",
            "169.254.169.254",
            "10.138.0.2",
            "10.138.0.5",
            NOBODY,
        ),
        6: (
            COMPANY[6],
            "::1",
            TAP[6],
            "fd00:ec2::254",
            PERSONAL_GUEST[6],
            "64:ff9b::c633:6401",
            "::",
        ),
    }
    yield from stage.shouts(family)
    for target in targets[family]:
        yield stage.datagram(target, 53)
        yield stage.opening(target, 80)


@guest_tries(
    "guest with static routes",
    "packets from senders it is not: its gateway, the laptop's uplink, the WireGuard gateway, its own tunnel "
    "address, the personal guest, loopback, multicast, none",
    name="other source addresses",
    underlays=("ethernet", "full tunnel"),
    nowhere=True,
)
def other_sources(stage: Stage, family: Family) -> Iterator[bytes]:
    sources = {
        4: (
            TAP[4],
            LAPTOP[4],
            COMPANY[4],
            IN_TUNNEL[4],
            "10.138.0.2",
            "127.0.0.1",
            "224.0.0.1",
            NOBODY,
        ),
        6: (
            TAP[6],
            LAPTOP[6],
            IN_TUNNEL[6],
            PERSONAL_GUEST[6],
            "::1",
            "ff02::1",
            "::",
            "::ffff:10.77.1.5",
        ),
    }
    for source in sources[family]:
        for target in (ROUTER[family], INTRANET[family], LAPTOP[family], PUBLIC[family]):
            yield stage.datagram(target, 53, source=source)
            yield stage.datagram(target, 51820, source=source, near=51820)
            yield stage.opening(target, 80, source=source)


@guest_tries(
    "packets to the host's own addresses",
    "every port number's first thousand, at the tap's gateway and the laptop's uplink addresses",
    underlays=("ethernet", "full tunnel"),
)
def own_addresses(stage: Stage, family: Family) -> Iterator[bytes]:
    gateway = TAP[family]
    for target in (gateway, LAPTOP[family]):
        for port in (*range(1, 1000, 37), 5353, 5355, 51820):
            yield stage.datagram(target, port)
            yield stage.opening(target, port)


@guest_tries(
    "source routing",
    "loose and strict source routes, record route (RFC 791); routing headers 0, 2, 3 and 4 (RFC 5095)",
    underlays=("ethernet", "full tunnel"),
)
def source_routing(stage: Stage, family: Family) -> Iterator[bytes]:
    for hop in (ROUTER[family], LAPTOP[family], PUBLIC[family]):
        for target in (INTRANET[family], TAP[family]):
            said = frames.udp(GUEST[family], target, 53, stage.said())
            packed = ip_address(hop).packed
            if family == 4:
                for kind in (131, 137, 7):
                    options = struct.pack("!BBB", kind, 7, 4) + packed + b"\0"
                    yield stage.frame(frames.ip(said, frames.UDP, GUEST[4], target, options=options), 4)
                continue
            for kind in (0, 2, 3, 4):
                header = struct.pack("!BBBBI", frames.UDP, 2, kind, 1, 0) + packed
                yield stage.frame(frames.ip(header + said, 43, GUEST[6], target), 6)


@guest_tries(
    "tunnels in tunnels",
    "the other family inside this one: 6in4, 4in6, IP in IP, GRE and Teredo, to relays on the LAN, the "
    "internet and the laptop",
    underlays=("ethernet", "full tunnel"),
)
def nested(stage: Stage, family: Family) -> Iterator[bytes]:
    inner: dict[Family, bytes] = {}
    for one in BOTH:
        datagram = frames.udp(GUEST[one], ROUTER[one], 53, stage.said())
        inner[one] = frames.ip(datagram, frames.UDP, GUEST[one], ROUTER[one])
    numbers: dict[Family, tuple[int, int]] = {4: (4, frames.IPV4), 6: (41, frames.IPV6)}
    relays = [
        ROUTER[family],
        LAN_MACHINE[family],
        LAPTOP[family],
        "192.88.99.1" if family == 4 else "2002:c633:6401::1",
    ]
    for relay in relays:
        for one in BOTH:
            protocol, kind = numbers[one]
            yield stage.frame(frames.ip(inner[one], protocol, GUEST[family], relay), family)
            yield stage.frame(
                frames.ip(struct.pack("!HH", 0, kind) + inner[one], 47, GUEST[family], relay), family
            )
            for port in (3544, 4789, 6081):
                packet = frames.udp(GUEST[family], relay, port, inner[one])
                yield stage.frame(frames.ip(packet, frames.UDP, GUEST[family], relay), family)


@guest_tries(
    "guest that changes its MAC",
    "frames from other cards' addresses: random, the gateway's own, broadcast, multicast; to other cards'",
    underlays=("ethernet", "full tunnel"),
)
def other_cards(stage: Stage, family: Family) -> Iterator[bytes]:
    guest = stage.need(CORPORATE)
    uplink = stage.mac_of(UNDERLAY, "uplink0")
    senders = ("02:aa:bb:cc:dd:ee", guest.gateway_mac, uplink, frames.BROADCAST, "33:33:00:00:00:01")
    for frame in stage.shouts(family):
        for sender in senders:
            yield frame[:6] + frames.mac(sender) + frame[12:]
        for target in (uplink, frames.BROADCAST, "02:aa:bb:cc:dd:ee"):
            yield frames.mac(target) + frame[6:]


@guest_tries(
    "malformed packets",
    "lengths that lie, headers cut short, wrong versions and checksums, hop limits 0 and 1, jumbo length",
)
def malformed(stage: Stage, family: Family) -> Iterator[bytes]:
    guest = stage.need(CORPORATE)
    for target in (ROUTER[family], INTRANET[family]):
        good = frames.ip(
            frames.udp(GUEST[family], target, 53, stage.said()), frames.UDP, GUEST[family], target
        )
        for hops in (0, 1, 2):
            packet = frames.udp(GUEST[family], target, 53, stage.said())
            yield stage.frame(frames.ip(packet, frames.UDP, GUEST[family], target, hops=hops), family)
        for cut in (1, 8, 19, 20, 27, 39, 40, 47):
            yield stage.frame(good[:cut], family)
        for at, value in (
            (0, 0x00),
            (0, 0xF5),
            (0, 0x41),
            (0, 0x4F),
            (2, 0xFF),
            (4, 0xFF),
            (5, 0x00),
            (10, 0x55),
        ):
            yield stage.frame(good[:at] + bytes([value]) + good[at + 1 :], family)
        other = frames.IPV6 if family == 4 else frames.IPV4
        yield frames.ethernet(good, other, guest.mac, guest.gateway_mac)

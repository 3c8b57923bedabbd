"""Rows of the personal guest: to the company, the host, the LAN, in others' names; and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import frames
from .guest import HostileGuest
from .hostile_guest import GROUPS, NOBODY
from .machine import (
    COMPANY,
    GUEST,
    IN_TUNNEL,
    INTRANET,
    LAN_MACHINE,
    LAPTOP,
    PERSONAL_GUEST,
    PERSONAL_TAP,
    ROUTER,
    SECOND_LAPTOP,
    TAP,
)
from .scenario import Family, Underlay, add
from .stage import Stage

Make = Callable[[Stage, Family, HostileGuest], Iterator[bytes]]
PORTS = (9, 22, 53, 80, 443, 5353, 51820)
SEEN = "the tap takes every frame, and none of its bytes is seen on any interface of the laptop's network"
DOOR = {4: ("10.138.0.5", "10.138.0.6"), 6: ("fd74:7768:138:1::1", "fd74:7768:138:1::2")}
"""Both ends of the personal side's door in the underlay."""
LAN = {
    4: ("192.168.7.53", "10.99.0.1", "172.16.3.4", "100.64.0.1", "169.254.7.7", "169.254.169.254"),
    6: ("fd99::1", "fe80::77", "fec0::1", "ff02::1"),
}


def personal_tries(
    event: str, tried: str, *, name: str = "", underlays: tuple[Underlay, ...] = ("ethernet",)
) -> Callable[[Make], Make]:
    """Put frames that the personal guest writes into the table."""

    def enter(make: Make) -> Make:
        def act(stage: Stage, family: Family) -> None:
            guest, stage.personal_speaks = stage.personal_up(), True
            stage.tries(list(make(stage, family, guest)), guest)
            stage.browses()

        add(event, name or event, tried, SEEN, act, (4, 6), underlays)
        return make

    return enter


def everything(
    stage: Stage, targets: tuple[str, ...], guest: HostileGuest, source: str = ""
) -> Iterator[bytes]:
    """Datagrams and openings to every target, by every port."""
    for target in targets:
        for port in PORTS:
            yield stage.datagram(target, port, source=source, guest=guest)
            yield stage.opening(target, port, source=source, guest=guest)


@personal_tries(
    "personal to corporate",
    "packets to the company's networks, the laptop's address in the tunnel, the corporate guest and its "
    "gateway",
    underlays=("ethernet", "full tunnel", "roamed"),
)
def to_corporate(stage: Stage, family: Family, guest: HostileGuest) -> Iterator[bytes]:
    yield from everything(stage, (INTRANET[family], IN_TUNNEL[family], GUEST[family], TAP[family]), guest)


@personal_tries(
    "personal to host",
    "packets to the laptop's uplink addresses, its own gateway, both ends of its door in the underlay, "
    "loopback",
    underlays=("ethernet", "roamed"),
)
def to_host(stage: Stage, family: Family, guest: HostileGuest) -> Iterator[bytes]:
    loopback = "127.0.0.1" if family == 4 else "::1"
    yield from everything(stage, (LAPTOP[family], SECOND_LAPTOP[family], *DOOR[family], loopback), guest)
    for port in set(PORTS) - {53}:  # its gateway's port 53 is the way to its own name server
        yield stage.datagram(PERSONAL_TAP[family], port, guest=guest)
        yield stage.opening(PERSONAL_TAP[family], port, guest=guest)


@personal_tries(
    "personal to LAN machines",
    "packets to private, shared and link-local addresses, metadata services, and another machine of the "
    "uplink's network",
    underlays=("ethernet", "roamed"),
)
def to_lan(stage: Stage, family: Family, guest: HostileGuest) -> Iterator[bytes]:
    yield from everything(stage, (*LAN[family], LAN_MACHINE[family]), guest)


@personal_tries(
    "personal to LAN machines",
    "multicast and broadcast: mDNS, SSDP, LLMNR, NetBIOS, DHCP, groups of every scope",
    name="multicast and broadcast",
)
def to_groups(stage: Stage, family: Family, guest: HostileGuest) -> Iterator[bytes]:
    groups = GROUPS[family]
    if family == 4:
        groups += ("224.0.0.251", "255.255.255.255", "198.51.100.255", "10.138.0.3")
    for group in groups:
        for port in (67, 137, 1900, 5353, 5355):
            source = PERSONAL_GUEST[family]
            packet = frames.udp(source, group, port, stage.said())
            packet = frames.ip(packet, frames.UDP, source, group, hops=255)
            kind = frames.IPV4 if family == 4 else frames.IPV6
            yield frames.ethernet(packet, kind, guest.mac, guest.gateway_mac)
            yield frames.ethernet(packet, kind, guest.mac, frames.BROADCAST)


@personal_tries(
    "personal spoofing",
    "packets to the internet from the corporate guest, the laptop's tunnel address, the company, the "
    "WireGuard gateway, the laptop, the router, nobody",
    underlays=("ethernet", "roamed"),
)
def spoofing(stage: Stage, family: Family, guest: HostileGuest) -> Iterator[bytes]:
    nobody = NOBODY if family == 4 else "::"
    sources = (GUEST, IN_TUNNEL, INTRANET, COMPANY, LAPTOP, ROUTER, TAP, PERSONAL_TAP)
    for source in (*(one[family] for one in sources), DOOR[family][0], nobody):
        yield from everything(stage, (ROUTER[family], COMPANY[family], INTRANET[family]), guest, source)


@personal_tries(
    "personal spoofing",
    "frames from another card's address, with VLAN tags, and ARP and neighbour answers in others' names",
    name="on the link",
)
def on_the_link(stage: Stage, family: Family, guest: HostileGuest) -> Iterator[bytes]:
    for target in (INTRANET[family], LAPTOP[family], TAP[family]):
        frame = stage.datagram(target, 53, guest=guest)
        yield frames.tagged(frame, (frames.VLAN, 5))
        yield frames.tagged(frame, (frames.QINQ, 5), (frames.VLAN, 6))
        yield frame[:6] + frames.mac(guest.gateway_mac) + frame[12:]
    if family == 4:
        for claimed in (PERSONAL_TAP[4], ROUTER[4], TAP[4], INTRANET[4]):
            said = frames.arp(2, guest.mac, claimed, guest.gateway_mac, PERSONAL_TAP[4])
            yield frames.ethernet(said + stage.said(), frames.ARP, guest.mac, guest.gateway_mac)


def _way_back(stage: Stage, family: Family) -> None:
    stage.personal_up()
    own = (PERSONAL_GUEST[family], PERSONAL_TAP[family], *DOOR[family])
    stage.tries([frame for target in own for port in PORTS for frame in _both(stage, target, port)])
    stage.arrives()


def _both(stage: Stage, target: str, port: int) -> Iterator[bytes]:
    yield stage.datagram(target, port)
    yield stage.opening(target, port)


add(
    "corporate to personal",
    "corporate to personal",
    "packets of the corporate guest to the personal guest, its gateway and its door in the underlay",
    "none of its bytes reaches the personal guest",
    _way_back,
    (4, 6),
    ("ethernet", "full tunnel"),
)

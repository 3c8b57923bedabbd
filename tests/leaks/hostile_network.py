"""Rows in which the network the laptop is in means harm: routers, name servers and machines that lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address

from . import frames
from .frames import mac
from .machine import (
    COMPANY,
    CORPORATE,
    GUEST,
    IN_TUNNEL,
    INTERNET,
    INTRANET,
    LAN_MACHINE,
    LAPTOP,
    PERSONAL_GUEST,
    ROUTER,
    TAP,
    UNDERLAY,
)
from .scenario import Family, add, scenario
from .stage import Stage
from .verdict import Packet, parse_ip

LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route replace default via "$router" dev "$interface"
set -- $staticroutes $msstaticroutes
while [ $# -gt 1 ]; do ip route replace "$1" via "$2" dev "$interface"; shift 2; done
"""
"""What every DHCP client does with a lease: RFC 3442's routes included."""
ROGUE_SERVER = "2001:db8:bad::53"
ROGUE_ROUTER = "fe80::bad"


def _is_of_the_lease(packet: Packet) -> bool:
    """The client's questions, and the kernel's complaint that it listens below it to the answers."""
    if packet.protocol == frames.ICMP and packet.payload[:2] == b"\3\3":
        packet = parse_ip(frames.IPV4, packet.payload[8:])
        return packet.protocol == frames.UDP and (packet.near, packet.far) == (67, 68)
    return packet.protocol == frames.UDP and (packet.near, packet.far) == (68, 67)


def _lease(name: str, tried: str, *options: str) -> None:
    """A row with a lease of a rogue DHCP server, taken by a real client of the laptop's own network."""

    def act(stage: Stage, family: Family) -> None:
        before = stage.routing()
        stage.also = _is_of_the_lease
        script, pid = stage.net.directory / "lease", stage.net.directory / "dhcp.pid"
        script.write_text(LEASE_SCRIPT)
        script.chmod(0o755)
        offered = (f"{LAPTOP[4]},{LAPTOP[4]},255.255.255.0,1h", *options)
        stage.run(
            *("dnsmasq", "--conf-file=/dev/null", "--port=0", "--interface=laptop0", "--bind-interfaces"),
            *("--dhcp-authoritative", "--no-ping", "--leasefile-ro", f"--pid-file={pid}", "--user=root"),
            *(f"--dhcp-range={offered[0]}", *(f"--dhcp-option={option}" for option in offered[1:])),
            namespace=INTERNET,
        )
        try:
            asked = ("-O", "staticroutes", "-O", "msstaticroutes", "-O", "router")
            words = ("busybox", "udhcpc", "-i", "uplink0", "-n", "-q", "-f", "-s", str(script), *asked)
            with stage.shouting(family):
                stage.run(*words, namespace=UNDERLAY)
            assert LAN_MACHINE[4] in stage.run("ip", "route", namespace=UNDERLAY), "the lease was not taken"
            stage.tries(stage.shouts(family))
            stage.arrives()
            assert stage.routing() == before
        finally:
            stage.run("kill", stage.run("cat", str(pid)).strip())
            stage.run("ip", "-4", "route", "flush", "via", LAN_MACHINE[4], namespace=UNDERLAY)
            stage.default_over("uplink0")

    seen = "the laptop's own network takes the routes; those of the corporate side stay as they were"
    add("DHCP option 121", name, tried, seen, act, (4, 6), ("ethernet",))


_VIA = LAN_MACHINE[4]
_EVERYTHING = f"0.0.0.0/1,{_VIA},128.0.0.0/1,{_VIA},10.77.0.0/16,{_VIA},10.137.0.0/30,{_VIA}"
_lease("option 121", "a lease with classless routes for everything and for the company", f"121,{_EVERYTHING}")
_lease("option 249", "the same by Microsoft's number for that option", f"249,{_EVERYTHING}")
_lease("option 3", "a lease that makes another machine of the LAN the router", f"3,{_VIA}")


@scenario(
    "DHCP option 121",
    "leases nobody asked for, with option 121, by broadcast on the LAN and through the tunnel",
    "none comes to the guest",
    name="offers to the guest",
    families=(4,),
)
def offers(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    offer = struct.pack("!BBBB", 2, 1, 6, 0) + stage.poison * 16
    for source, target in ((ROUTER[4], "255.255.255.255"), (ROUTER[4], GUEST[4]), (COMPANY[4], LAPTOP[4])):
        packet = frames.ip(frames.udp(source, target, 68, offer, near=67), frames.UDP, source, target)
        stage.lan_says(
            frames.ethernet(packet, frames.IPV4, stage.mac_of(INTERNET, "laptop0"), frames.BROADCAST)
        )
    stage.company_says(INTRANET[4], 67, IN_TUNNEL[4], 68, offer)
    stage.arrives()


@contextmanager
def _rogue_router(stage: Stage, router: str) -> Iterator[None]:
    """The laptop's own network has believed a rogue router; forgotten again afterwards."""
    address = stage.mac_of(INTERNET, "laptop0")
    said = frames.router_advertisement(router, address, "2001:db8:bad::", str(IPv6Address(stage.poison)))
    frame = frames.ethernet(said, frames.IPV6, address, "33:33:00:00:00:01")
    stage.lan_says(frame)
    try:
        stage.watch.until(
            lambda: "2001:db8:bad::" in stage.run("ip", "-6", "route", namespace=UNDERLAY),
            "the laptop's own network believes the rogue router",
        )
        yield
    finally:
        for off in ("1", "0"):
            stage.sysctl(UNDERLAY, "ipv6/conf/uplink0/disable_ipv6", off)
        stage.breaks()
        stage.relay()


@scenario(
    "rogue RA",
    "a router advertisement on the LAN: default router of high preference, prefix, route, name server",
    "the laptop's own network takes them; those of the corporate side stay as they were",
    name="on the LAN",
    underlays=("ethernet", "full tunnel"),
)
def rogue_router(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    before = stage.routing()
    with _rogue_router(stage, ROGUE_ROUTER):
        stage.tries(stage.shouts(family))
        stage.tries([stage.datagram(ROGUE_SERVER, 53)])
        stage.arrives()
        assert stage.routing() == before


@scenario(
    "rogue RA",
    "router advertisements of the guest itself, to its gateway and to all nodes",
    "addresses and routes of the corporate namespace stay as they were",
    name="by the guest",
    families=(6,),
    underlays=("ethernet", "full tunnel"),
)
def guest_as_router(stage: Stage, family: Family) -> None:
    guest = stage.need(CORPORATE)
    before = stage.routing()
    attempts = []
    for source in ("fe80::2", GUEST[6], TAP[6]):
        said = frames.router_advertisement(source, guest.mac, "2001:db8:bad::", ROGUE_SERVER)
        for target in ("33:33:00:00:00:01", guest.gateway_mac):
            attempts.append(frames.ethernet(said, frames.IPV6, guest.mac, target))
    stage.tries(attempts)
    stage.arrives()
    assert stage.routing() == before


def _redirect(source: str, target: str, about: str, better: str, quoted: bytes) -> bytes:
    """Go to ``about`` by way of ``better``, says ``source`` (RFC 792, RFC 4861 section 4.5)."""
    if ip_address(target).version == 4:
        body = frames.icmp(struct.pack("!BBH", 5, 1, 0) + ip_address(better).packed + quoted)
        return frames.ip(body, frames.ICMP, source, target)
    body = struct.pack("!BBHI", 137, 0, 0, 0) + ip_address(better).packed + ip_address(about).packed
    return frames.ip(
        frames.icmp6(source, target, body), frames.ICMP6, source, target, hops=frames.ND_HOP_LIMIT
    )


@scenario(
    "ICMP redirect",
    "the router tells the laptop to send to the gateway, and to the company, by way of another machine",
    "the laptop's own network believes it; the routes of the corporate side stay as they were",
    name="on the LAN",
    underlays=("ethernet", "full tunnel"),
)
def redirect(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    before = stage.routing()
    near, far = stage.mac_of(INTERNET, "laptop0"), stage.mac_of(UNDERLAY, "uplink0")
    port = int(stage.run("wg", "show", "th-wg0", "listen-port", namespace="th-corporate"))
    if family == 4:
        kind, router, better = frames.IPV4, ROUTER[4], LAN_MACHINE[4]
    else:
        kind, router, better = frames.IPV6, stage.link_local(INTERNET, "laptop0"), "fe80::77"
        stage.ip(UNDERLAY, f"route replace default via {router} dev uplink0")
    try:

        def believed() -> bool:  # IPv4 believes only once it has found the better router on the link
            for about in (COMPANY[family], INTRANET[family]):
                sent = frames.udp(LAPTOP[family], about, 51820, b"", near=port)
                quoted = frames.ip(sent, frames.UDP, LAPTOP[family], about)
                said = _redirect(router, LAPTOP[family], about, better, quoted)
                stage.lan_says(frames.ethernet(said, kind, near, far))
            return better in stage.run("ip", "route", "get", COMPANY[family], namespace=UNDERLAY)

        stage.watch.until(believed, "the laptop's own network believes the redirect")
        stage.tries(stage.shouts(family))
        stage.arrives()
        assert stage.routing() == before
    finally:
        stage.run("ip", f"-{family}", "route", "flush", "cache", namespace=UNDERLAY)
        stage.default_over("uplink0")


@scenario(
    "ICMP redirect",
    "the guest tells its gateway to send to the company, and to the internet, by way of itself",
    "the routes of the corporate namespace stay as they were",
    name="by the guest",
    underlays=("ethernet", "full tunnel"),
)
def redirect_by_guest(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    before = stage.routing()
    attempts = []
    for about in (INTRANET[family], ROUTER[family], COMPANY[family]):
        for source in (GUEST[family], TAP[family], "fe80::2" if family == 6 else GUEST[4]):
            sent = frames.ip(frames.echo(TAP[family], about, stage.said()), frames.ICMP, TAP[family], about)
            said = _redirect(source, TAP[family], about, GUEST[family], sent)
            attempts.append(stage.frame(said, family))
    stage.tries(attempts)
    stage.arrives()
    assert stage.routing() == before


@scenario(
    "hostile numbering",
    "the LAN calls itself the company's network: the uplink has an address in it, and a neighbour the "
    "intranet's",
    "the guest's bytes come out of the tunnel, and nobody on the LAN is asked for",
    underlays=("ethernet", "full tunnel"),
)
def numbering(stage: Stage, family: Family) -> None:
    near, far = {4: ("10.77.9.9/16", "10.77.0.80/32"), 6: ("fd77::9:9/32", "fd77::80/128")}[family]
    stage.ip(INTERNET, f"address add {far} dev laptop0")
    stage.ip(UNDERLAY, f"address add {near} dev uplink0")
    try:
        stage.tries(stage.shouts(family))
        stage.arrives()
    finally:
        stage.ip(UNDERLAY, f"address delete {near} dev uplink0")
        stage.ip(INTERNET, f"address delete {far} dev laptop0")


@scenario(
    "probes from the LAN",
    "packets to the addresses of both guests, their gateways and the tunnel, sent to the uplink's card, with "
    "the personal side's forwarding on (CVE-2019-14899)",
    "none comes to a guest, and none is answered",
)
def probes(stage: Stage, family: Family) -> None:
    stage.personal_up()
    kind = frames.IPV4 if family == 4 else frames.IPV6
    near, far = stage.mac_of(INTERNET, "laptop0"), stage.mac_of(UNDERLAY, "uplink0")
    source = LAN_MACHINE[family]
    # Known to the laptop, so that an answer would not get stuck in asking for it.
    stage.ip(UNDERLAY, f"neighbour replace {source} lladdr {near} dev uplink0 nud permanent")
    for target in (GUEST[family], TAP[family], IN_TUNNEL[family], PERSONAL_GUEST[family], INTRANET[family]):
        for packet, protocol in (
            # First, as the kernel tells of a better way only every so often, and where it keeps track of the
            # packet, source translation drops what it tells.
            (frames.tcp(source, target, 80, stage.poison, flags=0x12), frames.TCP),
            (frames.udp(source, target, 53, stage.poison), frames.UDP),
            (frames.tcp(source, target, 80, stage.poison), frames.TCP),
            (frames.echo(source, target, stage.poison), frames.ICMP if family == 4 else frames.ICMP6),
        ):
            stage.lan_says(frames.ethernet(frames.ip(packet, protocol, source, target), kind, near, far))
    stage.arrives()
    stage.ip(UNDERLAY, f"neighbour delete {source} dev uplink0")


@scenario(
    "forged WireGuard",
    "messages of every type and length to the tunnel's port, from the gateway's address and others",
    "none comes to the guest, and the session goes on",
    underlays=("ethernet", "roamed"),
)
def forged(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    kind = frames.IPV4 if family == 4 else frames.IPV6
    near, far = stage.mac_of(INTERNET, "laptop0"), stage.mac_of(UNDERLAY, "uplink0")
    port = int(stage.run("wg", "show", "th-wg0", "listen-port", namespace="th-corporate"))
    for source in (COMPANY[family], LAN_MACHINE[family]):
        for message in range(6):
            for length in (4, 32, 64, 92, 148, 160):
                body = (struct.pack("<I", message) + stage.poison * 12)[:length]
                packet = frames.udp(source, LAPTOP[family], port, body, near=51820)
                packet = frames.ip(packet, frames.UDP, source, LAPTOP[family])
                stage.lan_says(frames.ethernet(packet, kind, near, far))
    stage.arrives()


def _answers(
    family: Family, claimed: str, sender: str, sender_mac: str, target: str, target_mac: str
) -> bytes:
    """An answer nobody asked for: I have this address."""
    if family == 4:
        body = frames.arp(2, sender_mac, claimed, target_mac, target)
        return frames.ethernet(body, frames.ARP, sender_mac, target_mac)
    body = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + ip_address(claimed).packed
    body += frames.link_option(2, sender_mac)
    said = frames.ip(
        frames.icmp6(sender, target, body), frames.ICMP6, sender, target, hops=frames.ND_HOP_LIMIT
    )
    return frames.ethernet(said, frames.IPV6, sender_mac, target_mac)


@scenario(
    "ARP and ND spoofing",
    "a machine of the LAN claims the router's, the gateway's and the company's addresses, again and again",
    "what leaves is still only the tunnel's; the router restored, it carries the guest's bytes",
    name="on the LAN",
    underlays=("ethernet", "full tunnel"),
)
def spoofing_on_lan(stage: Stage, family: Family) -> None:
    far, liar = stage.mac_of(UNDERLAY, "uplink0"), "02:00:00:00:0b:ad"
    for claimed in (ROUTER[family], COMPANY[family], INTRANET[family], GUEST[family], LAPTOP[family]):
        stage.lan_says(_answers(family, claimed, claimed, liar, LAPTOP[family], far))
        stage.tries(stage.shouts(family))
    stage.run("ip", "neigh", "flush", "dev", "uplink0", namespace=UNDERLAY)
    stage.arrives()


@scenario(
    "ARP and ND spoofing",
    "the guest claims its gateway's, the router's, the laptop's and the company's addresses, and asks for "
    "them",
    "its gateway takes none of them for a neighbour, and answers for no address but its own",
    name="by the guest",
    underlays=("ethernet", "full tunnel"),
)
def spoofing_by_guest(stage: Stage, family: Family) -> None:
    guest, mark, attempts = stage.need(CORPORATE), stage.watch.mark(), []
    others = (ROUTER[family], LAPTOP[family], COMPANY[family], INTRANET[family], IN_TUNNEL[family])
    for claimed in (TAP[family], *others, PERSONAL_GUEST[family]):
        attempts.append(_answers(family, claimed, claimed, guest.mac, TAP[family], guest.gateway_mac))
        if family == 4:
            for sender in (GUEST[4], claimed):
                asked = frames.arp(1, guest.mac, sender, "00:00:00:00:00:00", claimed)
                attempts.append(frames.ethernet(asked, frames.ARP, guest.mac, frames.BROADCAST))
    stage.tries(attempts)
    stage.arrives()
    listed = stage.run("ip", f"-{family}", "neigh", "show", "dev", "th-corp0", namespace="th-corporate")
    known = {line.split()[0] for line in listed.splitlines() if "lladdr" in line}
    assert not known & {TAP[family], *others, PERSONAL_GUEST[family]}, known
    told = {
        str(ip_address(seen.frame[28:32]))
        for seen in stage.watch.since(mark)
        if seen.place == "the corporate guest" and seen.frame[12:14] == b"\x08\x06" and seen.frame[21] == 2
        if seen.frame[6:12] == mac(guest.gateway_mac)
    }
    assert told <= {TAP[4]}, told


@scenario(
    "path MTU attack",
    "the router says that packets to the gateway are too big for a path of 68, 552 or 1280 bytes",
    "what leaves is still only the tunnel's, in fragments at most",
    name="too big",
    families=(4,),
    underlays=("ethernet", "full tunnel"),
)
def too_big(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    near, far = stage.mac_of(INTERNET, "laptop0"), stage.mac_of(UNDERLAY, "uplink0")
    port = int(stage.run("wg", "show", "th-wg0", "listen-port", namespace="th-corporate"))
    sent = frames.udp(LAPTOP[4], COMPANY[4], 51820, b"", near=port)
    quoted = frames.ip(sent, frames.UDP, LAPTOP[4], COMPANY[4])
    for mtu in (68, 552, 1280):
        said = frames.icmp(struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted)
        said = frames.ip(said, frames.ICMP, ROUTER[4], LAPTOP[4])
        stage.lan_says(frames.ethernet(said, frames.IPV4, near, far))
        large = frames.udp(GUEST[4], INTRANET[4], 9, stage.said(1300))
        stage.tries([stage.frame(frames.ip(large, frames.UDP, GUEST[4], INTRANET[4]), 4)])
        stage.tries(stage.shouts(family))
    stage.run("ip", "route", "flush", "cache", namespace=UNDERLAY)
    stage.arrives()


@scenario(
    "captive portal",
    "the guest opens connections to port 80 of everybody, as a browser that meets a portal does",
    "the portal takes none of them",
    underlays=("captive",),
)
def portal(stage: Stage, family: Family) -> None:
    targets = (ROUTER[family], LAN_MACHINE[family], COMPANY[family], INTRANET[family], LAPTOP[family])
    stage.tries([stage.opening(target, port) for target in targets for port in (80, 443, 8080)])
    counted = stage.run("nft", "list", "chain", "inet", "portal", "names", namespace=INTERNET)
    assert "packets 0 " in counted, counted


@scenario(
    "company to the guest",
    "the company sends packets to the tunnel's address and to the guest's own, which it has routed to the "
    "laptop",
    "none comes to the guest; routes stay as they were",
    underlays=("ethernet", "full tunnel"),
)
def from_company(stage: Stage, family: Family) -> None:
    stage.need(CORPORATE)
    before = stage.routing()
    with stage.company_routes_to_guest():
        for target in (IN_TUNNEL[family], GUEST[family]):
            for port in (22, 53, 68, 80, 443, 5353):
                stage.company_says(INTRANET[family], 9, target, port, stage.poison)
        stage.arrives()
    assert stage.routing() == before

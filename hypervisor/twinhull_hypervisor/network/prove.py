"""The canaries: leaks tried on purpose, and the evidence that they failed.

A detector in the underlay counts packets that carry a random token. It is first shown to work by a packet
planted outside the tunnel; only then does its silence mean anything. Probes from inside the corporate
namespace carry a mark that its firewall lets past, so that the topology is what is tested. The guest goes
on undisturbed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from twinhull_policy.api.types import VpnCanary

from . import links, namespaces, rules
from .arguments import Address, CorporatePlan
from .corporate import CorporateSide
from .personal import PersonalSide
from .plan import CORPORATE, PERSONAL, PROBE_MARK, VETH_INSIDE_ADDRESS, VETH_OUTSIDE
from .results import Proof

SO_MARK = 36  # asm-generic/socket.h; the socket module of Python 3.11 does not name it
DISCARD_PORT = 9  # RFC 863
DNS_PORT = 53
BROADCAST = IPv4Address("255.255.255.255")
EVERYBODY6 = IPv6Address("ff02::1")
"""All nodes of a link (RFC 4291, section 2.7.1): IPv6 has no broadcast."""
HOLDS_ONLY = "corporate-holds-only-tap-and-tunnel"
NOTHING_LEAVES = "nothing-leaves-outside-the-tunnel"
KEPT_OUT = "personal-cannot-reach-corporate"
TOKEN_BYTES = 16
SETTLE_SECONDS = 2.0
"""How long a packet may take through the kernel of a loaded machine."""
POLL_SECONDS = 0.02
HOPS = 4
"""A probe that gets out does not get far."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One packet to try: where to, which port, from which interface or address."""

    target: Address
    port: int
    interface: str = ""
    source: Address | None = None


def prove(corporate: CorporateSide, personal: PersonalSide) -> Proof:
    """Run every canary that applies; the personal one only while there is a personal side."""
    canaries = [_only_the_tunnel(corporate)]
    plan = corporate.plan()
    if plan is not None:
        canaries.append(_nothing_leaves(corporate.underlay, plan))
        if personal.built():
            canaries.append(_personal_kept_out(personal.underlay, plan))
    return Proof(passed=all(canary.passed for canary in canaries), canaries=canaries)


def _only_the_tunnel(corporate: CorporateSide) -> VpnCanary:
    row, side, _ = corporate.status(afresh=True)
    held = ", ".join(side.interfaces) or "nothing"
    routes = "; ".join(side.routes) or "none"
    evidence = f"It holds {held}. Routes out: {routes}."
    if side.why_not:
        evidence += f" Not confined: {side.why_not}."
    passed = side.confined and row.guest_link
    return VpnCanary(name=HOLDS_ONLY, passed=passed, evidence=evidence)


def _nothing_leaves(underlay: str, plan: CorporatePlan) -> VpnCanary:
    name = NOTHING_LEAVES
    token = os.urandom(TOKEN_BYTES)
    outside = links.links(underlay)
    watched = sorted(link.name for link in outside.values() if link.up)
    rules.apply(underlay, rules.detector(token, watched, ()))
    try:
        planted, _ = _send(underlay, token, [Probe(BROADCAST, DISCARD_PORT, link) for link in watched])
        caught = _count(underlay, rules.LEFT, planted)
        if planted == 0 or caught < planted:
            evidence = f"The detector caught {caught} of {planted} planted packets: it proves nothing."
            return VpnCanary(name=name, passed=False, evidence=evidence)
        neighbours = [address.ip for link in watched for address in links.addresses(underlay, link)]
        routers = [route.via for route in links.routes(underlay) if route.via is not None]
        ends = [gateway.address for gateway in plan.gateways]
        targets = _sorted({*ends, BROADCAST, EVERYBODY6, *plan.dns, *neighbours, *routers})
        inside = ["", *sorted(links.links(CORPORATE.namespace))]
        probes = [Probe(target, DNS_PORT, link) for target in targets for link in inside]
        sent, refused = _send(CORPORATE.namespace, token, probes)
        leaked = _count(underlay, rules.LEFT, caught + 1) - caught
    finally:
        rules.apply(underlay, rules.without_detector())
    evidence = (
        f"The detector on {', '.join(watched)} caught {caught} of {planted} planted packets. "
        f"Then {sent + refused} probes from inside to {len(targets)} addresses, "
        f"over {', '.join(inside[1:])}: {refused} had no way, {sent} were sent, "
        f"{leaked} seen outside the tunnel."
    )
    return VpnCanary(name=name, passed=leaked == 0, evidence=evidence)


def _personal_kept_out(underlay: str, plan: CorporatePlan) -> VpnCanary:
    """The probes start in the personal namespace behind its firewall, so the underlay's door is tested."""
    name = KEPT_OUT
    token = os.urandom(TOKEN_BYTES)
    others = sorted(
        link.name for link in links.links(underlay).values() if link.up and link.name != VETH_OUTSIDE
    )
    targets = _sorted({*plan.dns, *plan.addresses, CORPORATE.guest, CORPORATE.gateway.ip})
    rules.apply(underlay, rules.detector(token, others, [VETH_OUTSIDE]))
    try:
        probes = [Probe(target, DISCARD_PORT, source=VETH_INSIDE_ADDRESS.ip) for target in targets]
        sent, refused = _send(PERSONAL.namespace, token, probes)
        arrived = _count(underlay, rules.ARRIVED, sent)
        passed_on = _count(underlay, rules.LEFT, 1)
    finally:
        rules.apply(underlay, rules.without_detector())
    evidence = (
        f"{sent + refused} probes from the personal side to {', '.join(map(str, targets))}: the detector saw "
        f"{arrived} reach the door to the network, and {passed_on} go through."
    )
    return VpnCanary(name=name, passed=sent > 0 and arrived >= sent and passed_on == 0, evidence=evidence)


def _sorted(addresses: Iterable[Address]) -> list[Address]:
    return sorted(addresses, key=lambda address: (address.version, int(address)))


def _send(namespace: str, token: bytes, probes: Iterable[Probe]) -> tuple[int, int]:
    """Try every probe from inside a namespace: how many the kernel took, how many it refused."""

    def work() -> tuple[int, int]:
        sent = refused = 0
        for probe in probes:
            family = socket.AF_INET if probe.target.version == 4 else socket.AF_INET6
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sender.setsockopt(socket.SOL_SOCKET, SO_MARK, PROBE_MARK)
                if family == socket.AF_INET:
                    sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
                else:
                    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
                try:
                    if probe.interface:
                        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, probe.interface.encode())
                    if probe.source is not None:
                        sender.bind((str(probe.source), 0))
                    sender.sendto(token, (str(probe.target), probe.port))
                    sent += 1
                except OSError:
                    refused += 1
        return sent, refused

    return namespaces.inside(namespace, work)


def _count(namespace: str, counter: str, expected: int) -> int:
    """The counter once it has reached ``expected``, or as it stands after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        count = rules.detected(namespace).get(counter, 0)
        if count >= expected or time.monotonic() > deadline:
            return count
        time.sleep(POLL_SECONDS)

"""What a captured packet is, and whether it may be where it was seen. Pure: bytes in, a reason out.

A list of what may leave, not of what may not: on the laptop's own wires everything is a leak but WireGuard to
a gateway of the policy, what the laptop's own network card must say to find its router, and what a scenario
declares beforehand that the personal side will say.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from .frames import ARP, ICMP, ICMP6, IPV4, IPV6, TCP, UDP, Address

Network = IPv4Network | IPv6Network

ETHERNET_KINDS = (1, 772)
"""ARPHRD_ETHER and ARPHRD_LOOPBACK: frames with an Ethernet header; a tunnel's packets have none."""
WIREGUARD_LENGTHS = {1: 148, 2: 92, 3: 64}
"""Handshake initiation, response, cookie (white paper, section 5.4)."""
DATA_OVERHEAD = 32
"""A data message is this and its packet, padded to a multiple of 16 but not beyond the tunnel's MTU."""
DISCOVERY = {133, 135, 136, 143}
"""ICMPv6: router and neighbour solicitation, neighbour advertisement, multicast listener report."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame, where it was captured and in which direction.

    Attributes:
        place: the namespace, in words.
        interface: which interface of it.
        outgoing: the place sent it.
        frame: the bytes, from the Ethernet header on; ``bare`` when there is none.
    """

    place: str
    interface: str
    outgoing: bool
    frame: bytes
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """What the verdict looks at."""

    ethertype: int
    protocol: int = 0
    source: Address | None = None
    target: Address | None = None
    near: int = 0
    far: int = 0
    payload: bytes = b""

    def __str__(self) -> str:
        if self.source is None:
            return f"ethertype {self.ethertype:#06x}"
        return f"protocol {self.protocol} {self.source} port {self.near} to {self.target} port {self.far}"


@dataclass(frozen=True, slots=True)
class Laws:
    """What may leave in this scenario.

    Attributes:
        gateways: addresses and ports of the policy's gateways.
        own: the laptop's addresses on its uplinks.
        on_link: the networks its uplinks are in.
        corporate: networks of the corporate side, which no neighbour is ever asked about.
        mtu: the tunnel's, bytes; no packet is padded beyond it.
        also: further packets, of the personal side alone.
    """

    gateways: frozenset[tuple[Address, int]]
    own: frozenset[Address]
    on_link: tuple[Network, ...]
    corporate: tuple[Network, ...]
    mtu: int
    also: Callable[[Packet], bool] = lambda packet: False


def parse(seen: Seen) -> Packet:
    """The outermost IP packet of a frame; never fails, whatever the bytes."""
    if seen.bare:
        version = seen.frame[0] >> 4 if seen.frame else 0
        return parse_ip({4: IPV4, 6: IPV6}.get(version, 0), seen.frame)
    if len(seen.frame) < 14:
        return Packet(0, payload=seen.frame)
    (ethertype,) = struct.unpack_from("!H", seen.frame, 12)
    return parse_ip(ethertype, seen.frame[14:])


def parse_ip(ethertype: int, data: bytes) -> Packet:
    """A packet by its ethertype; ports of UDP and TCP, else the payload whole."""
    if ethertype == IPV4 and len(data) >= 20:
        protocol, start = data[9], (data[0] & 15) * 4
        source, target = ip_address(data[12:16]), ip_address(data[16:20])
        first = struct.unpack_from("!H", data, 6)[0] & 0x1FFF == 0
    elif ethertype == IPV6 and len(data) >= 40:
        protocol, start, first = data[6], 40, True
        source, target = ip_address(data[8:24]), ip_address(data[24:40])
        if protocol == 0 and len(data) >= 48:  # the router alert before a multicast listener report
            protocol, start = data[40], 48
    else:
        return Packet(ethertype, payload=data)
    body = data[start:]
    if protocol in (TCP, UDP) and first and len(body) >= 8:
        near, far = struct.unpack_from("!HH", body)
        return Packet(ethertype, protocol, source, target, near, far, body[8:])
    return Packet(ethertype, protocol, source, target, payload=body)


def joined(captured: Sequence[Seen]) -> list[Seen]:
    """The same frames, the fragments of a packet put together; those that lack a part stay as they are."""
    result: list[Seen] = []
    parts: dict[tuple[object, ...], list[tuple[int, bool, bytes]]] = {}
    held: dict[tuple[object, ...], list[Seen]] = {}
    for seen in captured:
        piece = _fragment(seen)
        if piece is None:
            result.append(seen)
            continue
        key = (seen.place, seen.interface, seen.outgoing, piece.key)
        parts.setdefault(key, []).append((piece.offset, piece.more, piece.data))
        held.setdefault(key, []).append(seen)
        body, complete = b"", False
        for offset, more, data in sorted(parts[key]):
            if offset != len(body):
                break
            body += data
            complete = not more
        if complete:
            result.append(dataclasses.replace(seen, frame=piece.head + body))
            del parts[key], held[key]
    return result + [seen for left in held.values() for seen in left]


@dataclass(frozen=True, slots=True)
class _Fragment:
    key: tuple[object, ...]
    offset: int
    more: bool
    head: bytes
    data: bytes


def _fragment(seen: Seen) -> _Fragment | None:
    """What of a packet a frame is a fragment of; ``head`` is that of the whole."""
    frame = seen.frame
    if seen.bare or len(frame) < 34:
        return None
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    if ethertype == IPV4:
        start = 14 + (frame[14] & 15) * 4
        total, number, flags = struct.unpack_from("!HHH", frame, 16)
        offset, more = (flags & 0x1FFF) * 8, bool(flags & 0x2000)
        if not offset and not more:
            return None
        head = frame[:20] + b"\0\0" + frame[22:start]
        return _Fragment((frame[26:34], number, frame[23]), offset, more, head, frame[start : 14 + total])
    if ethertype == IPV6 and len(frame) >= 62 and frame[20] == 44:
        following, _, flags, number = struct.unpack_from("!BBHI", frame, 54)
        head = frame[:20] + bytes([following]) + frame[21:54]
        return _Fragment((frame[22:54], number), flags & 0xFFF8, bool(flags & 1), head, frame[62:])
    return None


def is_wireguard(packet: Packet, laws: Laws) -> bool:
    """UDP to a gateway, from an address of ours, of a form and length that only WireGuard's messages have."""
    if packet.protocol != UDP or packet.source not in laws.own or packet.target is None:
        return False
    if (packet.target, packet.far) not in laws.gateways or len(packet.payload) < 4:
        return False
    kind, length = packet.payload[0], len(packet.payload)
    if packet.payload[1:4] != b"\0\0\0":
        return False
    if kind == 4:
        return length == laws.mtu + DATA_OVERHEAD or (length >= DATA_OVERHEAD and length % 16 == 0)
    return length == WIREGUARD_LENGTHS.get(kind)


def leak(seen: Seen, laws: Laws) -> str:
    """Why this must not have left by an interface of the laptop; empty when it may."""
    packet = parse(seen)
    if not seen.outgoing or is_wireguard(packet, laws) or _is_discovery(packet, laws):
        return ""
    if _is_complaint(packet, laws) or laws.also(packet):
        return ""
    return f"{packet} left by {seen.interface} of {seen.place}"


def _asked(address: Address, laws: Laws) -> bool:
    """Whether a neighbour of this address may be looked for: on the link, or the gateway itself.

    With no route left, the kernel takes what a socket bound to an interface sends to for a neighbour.
    """
    if any(address == gateway for gateway, _ in laws.gateways):
        return True
    near = address.is_link_local or any(address in network for network in laws.on_link)
    return near and not any(address in network for network in laws.corporate if network.prefixlen > 0)


def _is_discovery(packet: Packet, laws: Laws) -> bool:
    """What the uplink's own kernel says to find its router: about a neighbour, from its own address."""
    if packet.ethertype == ARP and len(packet.payload) >= 28:
        sender, target = ip_address(packet.payload[14:18]), ip_address(packet.payload[24:28])
        return (sender in laws.own or sender.is_unspecified) and _asked(target, laws)
    if packet.protocol != ICMP6 or packet.source is None or not packet.payload:
        return False
    kind = packet.payload[0]
    if kind not in DISCOVERY or not (
        packet.source in laws.own or packet.source.is_link_local or packet.source.is_unspecified
    ):
        return False
    return kind not in (135, 136) or _asked(ip_address(packet.payload[8:24]), laws)


def _is_complaint(packet: Packet, laws: Laws) -> bool:
    """The uplink's kernel telling a gateway, or itself, that a tunnel packet came to nothing.

    It quotes the beginning of that packet, which is ciphertext.
    """
    unreachable = {(ICMP, 3): (IPV4, 8), (ICMP6, 1): (IPV6, 8)}
    ethertype, start = unreachable.get((packet.protocol, *packet.payload[:1]), (0, 0))
    if packet.source not in laws.own or not ethertype:
        return False
    inner = parse_ip(ethertype, packet.payload[start:])
    if inner.source in laws.own:
        return packet.target in laws.own and (inner.target, inner.far) in laws.gateways
    return inner.protocol == UDP and (inner.source, inner.near) in laws.gateways and inner.target in laws.own

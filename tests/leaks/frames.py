"""Frames by hand: what a guest that means harm writes into its network card. Pure functions, bytes out.

Both address families go through the same few builders, so that a scenario is written once. Formats: RFC 791
and 8200 (IP), 768 (UDP), 9293 (TCP), 792 and 4443 (ICMP), 826 (ARP), 4861 (neighbour and router discovery).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

IPV4, ARP, VLAN, QINQ, IPV6 = 0x0800, 0x0806, 0x8100, 0x88A8, 0x86DD
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
BROADCAST = "ff:ff:ff:ff:ff:ff"
SYN = 0x02
ND_HOP_LIMIT = 255
"""Neighbour discovery is believed only from the link itself (RFC 4861, section 7.1)."""


def mac(text: str) -> bytes:
    """The six bytes of ``aa:bb:cc:dd:ee:ff``."""
    return bytes.fromhex(text.replace(":", ""))


def ethernet(payload: bytes, ethertype: int, source: str, target: str) -> bytes:
    """An Ethernet frame; the driver pads it."""
    return mac(target) + mac(source) + struct.pack("!H", ethertype) + payload


def tagged(frame: bytes, *tags: tuple[int, int]) -> bytes:
    """The frame behind VLAN tags, outermost first: (ethertype of the tag, VLAN number)."""
    packed = b"".join(struct.pack("!HH", ethertype, number) for ethertype, number in tags)
    return frame[:12] + packed + frame[12:]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def ip(
    payload: bytes,
    protocol: int,
    source: str,
    target: str,
    *,
    hops: int = 64,
    options: bytes = b"",
    fragment: tuple[int, int, bool] | None = None,
) -> bytes:
    """An IPv4 or IPv6 packet, by the family of ``target``.

    Args:
        payload: what follows the header.
        protocol: its number.
        source: sender.
        target: receiver.
        hops: time to live, or hop limit.
        options: IPv4 options, a multiple of four bytes; IPv6 has extension headers in ``payload`` instead.
        fragment: identification, offset in bytes (a multiple of eight), more to come.
    """
    near, far = ip_address(source), ip_address(target)
    number, offset, more = fragment or (1, 0, False)
    if far.version == 6:
        if fragment is not None:
            payload = struct.pack("!BBHI", protocol, 0, offset | more, number) + payload
            protocol = 44
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops)
        return head + near.packed + far.packed + payload
    start = 20 + len(options)
    total, flags = start + len(payload), offset // 8 | (0x2000 if more else 0)
    head = struct.pack("!BBHHHBBH", 0x40 | start // 4, 0, total, number, flags, hops, protocol, 0)
    head += near.packed + far.packed + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def _summed(source: str, target: str, protocol: int, segment: bytes, at: int) -> bytes:
    """The segment with its checksum, which covers the addresses, put at an offset."""
    near, far = ip_address(source).packed, ip_address(target).packed
    pseudo = near + far + struct.pack("!II", len(segment), protocol)
    total = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack("!H", total) + segment[at + 2 :]


def udp(source: str, target: str, port: int, payload: bytes, *, near: int = 40000) -> bytes:
    """A UDP datagram."""
    segment = struct.pack("!HHHH", near, port, 8 + len(payload), 0) + payload
    return _summed(source, target, UDP, segment, 6)


def tcp(source: str, target: str, port: int, payload: bytes, *, near: int = 40000, flags: int = SYN) -> bytes:
    """A TCP segment that opens a connection and, as TCP allows, carries data already."""
    segment = struct.pack("!HHIIBBHHH", near, port, 1, 0, 0x50, flags, 65535, 0, 0) + payload
    return _summed(source, target, TCP, segment, 16)


def echo(source: str, target: str, payload: bytes) -> bytes:
    """An echo request of the family's ICMP."""
    if ip_address(target).version == 6:
        return _summed(source, target, ICMP6, struct.pack("!BBHHH", 128, 0, 0, 7, 1) + payload, 2)
    segment = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + payload
    return segment[:2] + struct.pack("!H", checksum(segment)) + segment[4:]


def icmp6(source: str, target: str, body: bytes) -> bytes:
    """An ICMPv6 message, its checksum (bytes 2 and 3) filled in."""
    return _summed(source, target, ICMP6, body, 2)


def icmp(body: bytes) -> bytes:
    """An ICMP message, its checksum (bytes 2 and 3) filled in."""
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def arp(operation: int, sender_mac: str, sender: str, target_mac: str, target: str) -> bytes:
    """An ARP message: 1 asks, 2 answers."""
    near, far = IPv4Address(sender).packed, IPv4Address(target).packed
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + mac(sender_mac) + near + mac(target_mac) + far


def link_option(kind: int, address: str) -> bytes:
    """A link-layer address option of neighbour discovery: 1 the sender's, 2 the target's."""
    return struct.pack("!BB", kind, 1) + mac(address)


def router_advertisement(source: str, sender_mac: str, prefix: str, server: str) -> bytes:
    """All that a rogue router can say: a default, a prefix, a route, a name server (RFC 4861, 4191, 8106)."""
    network = IPv6Address(prefix).packed
    options = link_option(1, sender_mac)
    options += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 86400, 0) + network
    options += struct.pack("!BBBBI", 24, 3, 64, 0x08, 86400) + network
    options += struct.pack("!BBHI", 25, 3, 0, 86400) + IPv6Address(server).packed
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0x08, 9000, 0, 0) + options
    return ip(icmp6(source, "ff02::1", body), ICMP6, source, "ff02::1", hops=ND_HOP_LIMIT)

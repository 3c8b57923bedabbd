"""The fixed plan of the two sides: names and addresses that images, netd and the docs agree on.

The guest addresses are built into the golden images (docs/architecture.md), so nothing of a device is in
an image and a guest is told nothing by DHCP.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from twinhull_policy.names import Partition


@dataclass(frozen=True, slots=True)
class Side:
    """One partition's namespace, its tap, and the addresses on both ends of the tap."""

    partition: Partition
    namespace: str
    tap: str
    guest: IPv4Address
    gateway: IPv4Interface
    guest6: IPv6Address
    gateway6: IPv6Interface

    def addresses(self, *, ipv6: bool) -> list[IPv4Interface | IPv6Interface]:
        """What the tap has in its namespace."""
        return [self.gateway, *([self.gateway6, LINK_LOCAL] if ipv6 else [])]


CORPORATE = Side(
    Partition.CORPORATE,
    "th-corporate",
    "th-corp0",
    IPv4Address("10.137.0.2"),
    IPv4Interface("10.137.0.1/30"),
    IPv6Address("fd74:7768:137::2"),
    IPv6Interface("fd74:7768:137::1/64"),
)
PERSONAL = Side(
    Partition.PERSONAL,
    "th-personal",
    "th-pers0",
    IPv4Address("10.138.0.2"),
    IPv4Interface("10.138.0.1/30"),
    IPv6Address("fd74:7768:138::2"),
    IPv6Interface("fd74:7768:138::1/64"),
)
LINK_LOCAL = IPv6Interface("fe80::1/64")
"""On every interface that forwards IPv6 to a neighbour: a router asks for one from a link-local address, and
not at all without (RFC 4861, section 7.2.2)."""
SIDES = {side.partition: side for side in (CORPORATE, PERSONAL)}

TUNNEL = "th-wg0"

VETH_INSIDE = "th-pers1"
"""The personal namespace's way out."""
VETH_OUTSIDE = "th-pers2"
"""Its other end, in the underlay namespace."""
VETH_INSIDE_ADDRESS = IPv4Interface("10.138.0.6/30")
VETH_OUTSIDE_ADDRESS = IPv4Interface("10.138.0.5/30")
VETH_INSIDE_ADDRESS6 = IPv6Interface("fd74:7768:138:1::2/64")
VETH_OUTSIDE_ADDRESS6 = IPv6Interface("fd74:7768:138:1::1/64")
OWN_NETWORKS = (
    CORPORATE.gateway.network,
    PERSONAL.gateway.network,
    VETH_INSIDE_ADDRESS.network,
    IPv6Network("fd74:7768:137::/48"),
    IPv6Network("fd74:7768:138::/48"),
)
"""Where no policy, and no name server, may point. The IPv6 ones are unique local addresses (RFC 4193)."""

VETH_LINK_LOCAL = IPv6Interface("fe80::2/64")
"""The personal namespace's own on its way out, where the underlay has LINK_LOCAL."""
QDISC = "7468"
"""Major number, hexadecimal, of every queue that netd orders (tc(8))."""
PERSONAL_CLASS = f"{QDISC}:20"
"""Of the personal side's packets in such a queue."""

TABLE = "twinhull"
"""Name of every nftables table netd makes, in whichever namespace."""

PROBE_MARK = 0x7468_7072
"""Firewall mark (SO_MARK, which needs CAP_NET_ADMIN) that lets netd's own leak probes past the corporate
namespace's firewall, so that a proof tests the topology and not the firewall."""

NOT_THE_INTERNET = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""Private, shared, link-local, multicast and reserved space (RFC 6890, RFC 5771): where other machines of the
local network, the host's own subnets and the corporate side live. Closed to the personal side."""
THE_INTERNET6 = IPv6Network("2000::/3")
"""Global unicast space (RFC 4291, section 2.4), which is all of IPv6 that is open to the personal side."""

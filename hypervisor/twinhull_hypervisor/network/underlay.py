"""How packets to an address leave the underlay, as its kernel answers when asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pyroute2 import IPRoute, NetlinkError  # type: ignore[import-untyped]

from . import links, namespaces
from .arguments import Address, Network, by_family
from .plan import VETH_OUTSIDE


@dataclass(frozen=True, slots=True)
class Path:
    """The way to one address.

    Attributes:
        interface: by which interface.
        source: from which of the laptop's addresses.
        via: the next hop; None when the address is on the link.
        mtu: bytes, of the interface or, where less is known to fit, of the path.
    """

    interface: str
    source: Address | None
    via: Address | None
    mtu: int

    def moved_from(self, other: Path | None) -> bool:
        """Whether packets leave another way than they did, whatever now fits."""
        return other is None or (self.interface, self.source, self.via) != (
            other.interface,
            other.source,
            other.via,
        )


def path(underlay: str, target: Address) -> Path | None:
    """The way to an address; None when there is none."""
    present = {link.index: link for link in links.links(underlay).values()}

    def ask() -> Any:
        family = links.FAMILIES[target.version]
        with IPRoute() as ipr:
            try:
                return ipr.route("get", dst=str(target), family=family)[0]
            except NetlinkError:
                return None

    message = namespaces.inside(underlay, ask)
    link = None if message is None else present.get(message.get("oif"))
    if link is None or not link.up:
        return None
    metrics = message.get("metrics")
    known = metrics.get("mtu") if metrics else None
    return Path(
        interface=link.name,
        source=_address(message.get("prefsrc")),
        via=_address(message.get("gateway")),
        mtu=min(link.mtu, int(known)) if known else link.mtu,
    )


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The local networks the underlay is in.

    Attributes:
        networks: on which other machines are without a router between.
        routers: the next hops out; they have to pass on what is for the internet.
        leading_out: the interfaces that lead there.
    """

    networks: tuple[Network, ...] = ()
    routers: tuple[Address, ...] = ()
    leading_out: tuple[str, ...] = ()


def neighbours(underlay: str) -> Neighbours:
    """The local networks as they are now, without Twinhull's own."""
    present = links.links(underlay).values()
    outer = [link.name for link in present if link.up and link.name not in ("lo", VETH_OUTSIDE)]
    networks = {
        address.network
        for name in outer
        for address in links.addresses(underlay, name)
        if not address.ip.is_link_local and address.network.prefixlen < address.max_prefixlen
    }
    ways = [route for route in links.routes(underlay) if route.via is not None and route.interface in outer]
    disjoint: list[Network] = [
        *ipaddress.collapse_addresses([n for n in networks if isinstance(n, IPv4Network)]),
        *ipaddress.collapse_addresses([n for n in networks if isinstance(n, IPv6Network)]),
    ]
    return Neighbours(
        networks=tuple(sorted(disjoint, key=by_family)),
        routers=tuple(sorted({r.via for r in ways if r.via}, key=lambda a: (a.version, int(a)))),
        leading_out=tuple(sorted({route.interface for route in ways})),
    )


def _address(text: object) -> Address | None:
    return ipaddress.ip_address(str(text)) if text else None

"""Interfaces, addresses and routes, through rtnetlink (pyroute2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from socket import AF_INET
from typing import Any, TypeVar

from pyroute2 import IPRoute, NetlinkError  # type: ignore[import-untyped]

from . import namespaces
from .errors import NetworkChangeFailed

IFF_UP = 0x1
MAIN_TABLE = 254
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as it is now; ``carrier`` on a tap means that a process holds it open."""

    name: str
    index: int
    kind: str
    up: bool
    carrier: bool
    mtu: int


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A unicast IPv4 route of the main table."""

    network: IPv4Network
    interface: str
    via: IPv4Address | None = None

    def __str__(self) -> str:
        return f"{self.network} dev {self.interface}"


def _netlink(namespace: str, work: Callable[[Any], T]) -> T:
    """Do something with a netlink socket of a namespace."""

    def connected() -> T:
        with IPRoute() as ipr:
            return work(ipr)

    try:
        return namespaces.inside(namespace, connected)
    except NetlinkError as error:
        raise NetworkChangeFailed(reason=str(error.args[-1])) from error


def _link(message: Any) -> Link:
    return Link(
        name=str(message.get("ifname")),
        index=int(message["index"]),
        kind=str(message.get(("linkinfo", "kind")) or ""),
        up=bool(message["flags"] & IFF_UP),
        carrier=bool(message.get("carrier")),
        mtu=int(message.get("mtu") or 0),
    )


def links(namespace: str) -> dict[str, Link]:
    """All interfaces by name; none when there is no such namespace."""
    if not namespaces.exists(namespace):
        return {}
    found = _netlink(namespace, lambda ipr: [_link(message) for message in ipr.get_links()])
    return {link.name: link for link in found}


def add_tap(namespace: str, name: str) -> None:
    """Make a persistent tap, down. QEMU's own TUNSETIFF decides on its offloads when it opens it."""
    _netlink(namespace, lambda ipr: ipr.link("add", ifname=name, kind="tuntap", mode="tap"))


def add_veth(namespace: str, name: str, peer: str, peer_namespace: str) -> None:
    """Make a veth pair, one end in each namespace, down."""

    def work(ipr: Any) -> None:
        with namespaces.path(peer_namespace).open("rb") as target:
            ipr.link("add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": target.fileno()})

    _netlink(namespace, work)


def add_wireguard(namespace: str, name: str) -> bool:
    """Make a kernel WireGuard interface; False when the kernel has none (EOPNOTSUPP)."""

    def work(ipr: Any) -> bool:
        try:
            ipr.link("add", ifname=name, kind="wireguard")
        except NetlinkError as error:
            if error.code == 95:  # EOPNOTSUPP
                return False
            raise
        return True

    return _netlink(namespace, work)


def move(namespace: str, link: Link, target: str) -> None:
    """Move an interface to another namespace; the kernel takes it down and strips its addresses."""

    def work(ipr: Any) -> None:
        with namespaces.path(target).open("rb") as file:
            ipr.link("set", index=link.index, net_ns_fd=file.fileno())

    _netlink(namespace, work)


def delete(namespace: str, name: str) -> None:
    """Delete an interface unless it is gone."""
    link = links(namespace).get(name)
    if link is not None:
        _netlink(namespace, lambda ipr: ipr.link("del", index=link.index))


def set_state(namespace: str, name: str, *, up: bool, mtu: int | None = None) -> None:
    """Bring an interface up or down, with an MTU if given."""
    link = _require(namespace, name)
    extra = {} if mtu is None else {"mtu": mtu}
    state = "up" if up else "down"
    _netlink(namespace, lambda ipr: ipr.link("set", index=link.index, state=state, **extra))


def set_addresses(namespace: str, name: str, wanted: Iterable[IPv4Interface]) -> None:
    """Give an interface exactly these IPv4 addresses."""
    link = _require(namespace, name)

    def work(ipr: Any) -> None:
        present = {
            IPv4Interface(f"{message.get('local') or message.get('address')}/{message['prefixlen']}")
            for message in ipr.get_addr(family=AF_INET, index=link.index)
        }
        for address in set(wanted) - present:
            ipr.addr("add", index=link.index, address=str(address.ip), prefixlen=address.network.prefixlen)
        for address in present - set(wanted):
            ipr.addr("del", index=link.index, address=str(address.ip), prefixlen=address.network.prefixlen)

    _netlink(namespace, work)


def addresses(namespace: str, name: str) -> list[IPv4Interface]:
    """An interface's IPv4 addresses, in the kernel's order."""
    link = links(namespace).get(name)
    if link is None:
        return []
    messages = _netlink(namespace, lambda ipr: list(ipr.get_addr(family=AF_INET, index=link.index)))
    return [IPv4Interface(f"{m.get('local') or m.get('address')}/{m['prefixlen']}") for m in messages]


def routes(namespace: str) -> list[Route]:
    """The unicast IPv4 routes of the main table, sorted by network."""
    names = {link.index: link.name for link in links(namespace).values()}

    def work(ipr: Any) -> list[Route]:
        found = []
        for message in ipr.get_routes(family=AF_INET, table=MAIN_TABLE):
            network = IPv4Network((message.get("dst") or 0, message["dst_len"]))  # no dst: the default
            gateway = message.get("gateway")
            via = IPv4Address(str(gateway)) if gateway else None
            found.append(Route(network, names.get(message.get("oif"), "?"), via))
        return found

    return sorted(_netlink(namespace, work), key=lambda route: (route.network, route.interface))


def set_routes(
    namespace: str, name: str, wanted: Iterable[IPv4Network], via: IPv4Address | None = None
) -> None:
    """Give an interface exactly these routes beside those that come with its addresses."""
    link = _require(namespace, name)
    own = {address.network for address in addresses(namespace, name)}
    present = {route.network for route in routes(namespace) if route.interface == name}
    extra = {} if via is None else {"gateway": str(via)}

    def work(ipr: Any) -> None:
        for network in wanted:
            ipr.route("replace", dst=str(network), oif=link.index, **extra)
        for network in present - set(wanted) - own:
            ipr.route("del", dst=str(network), oif=link.index)

    _netlink(namespace, work)


def _require(namespace: str, name: str) -> Link:
    link = links(namespace).get(name)
    if link is None:
        raise NetworkChangeFailed(reason=f"interface {name} is gone")
    return link

"""Interfaces, addresses, routes and policy rules, through rtnetlink (pyroute2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any, TypeVar

from pyroute2 import IPRoute, NetlinkError  # type: ignore[import-untyped]

from . import namespaces
from .arguments import Address, Interface, Network, by_family
from .errors import NetworkChangeFailed

IFF_UP = 0x1
LOCAL_TABLE = 255
"""Where the kernel itself keeps the machine's own addresses (ip-route(8))."""
MAIN_TABLE = 254
UNICAST = 1
_BY_KERNEL = 2
"""RTPROT_KERNEL, linux/rtnetlink.h."""
IPV6 = Path("/proc/sys/net/ipv6")
IFA_F_NODAD = 0x02
"""No duplicate address detection (rtnetlink(7)): usable at once, on links with one other end."""
FAMILIES = {4: AF_INET, 6: AF_INET6}
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


@dataclass(frozen=True, slots=True)
class Route:
    """A route that the kernel did not make by itself.

    ``unicast`` is False for blackholes and the like, ``main`` for every table but the usual one.
    """

    network: Network
    interface: str
    via: Address | None = None
    unicast: bool = True
    main: bool = True

    def __str__(self) -> str:
        return f"{self.network} dev {self.interface}"


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """A policy rule, as far as a rule nobody made goes (ip-rule(8)); ``plain`` if there is no more to it."""

    version: int
    priority: int
    table: int
    plain: bool


DEFAULT_RULES = frozenset(
    {
        Rule(4, 0, 255, True),
        Rule(4, 32766, 254, True),
        Rule(4, 32767, 253, True),
        Rule(6, 0, 255, True),
        Rule(6, 32766, 254, True),
    }
)
"""What a new namespace has (ip-rule(8))."""
_PLAIN_ATTRIBUTES = {"FRA_TABLE", "FRA_SUPPRESS_PREFIXLEN", "FRA_PROTOCOL", "FRA_PRIORITY"}
_NO_SUPPRESSION = 0xFFFF_FFFF
_TO_TABLE = 1
"""FR_ACT_TO_TBL, linux/fib_rules.h."""


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


def _addresses(ipr: Any, index: int) -> list[Interface]:
    return [
        ipaddress.ip_interface(f"{message.get('local') or message.get('address')}/{message['prefixlen']}")
        for family in FAMILIES.values()
        for message in ipr.get_addr(family=family, index=index)
    ]


def alone(address: Address) -> Interface:
    """An address that stands for no network but itself."""
    return ipaddress.ip_interface(address)


def set_addresses(namespace: str, name: str, wanted: Iterable[Interface]) -> None:
    """Give an interface exactly these addresses, of both families."""
    link = _require(namespace, name)

    def work(ipr: Any) -> None:
        present = set(_addresses(ipr, link.index))
        for address in set(wanted) - present:
            flags = {"flags": IFA_F_NODAD} if address.version == 6 else {}
            ipr.addr("add", index=link.index, address=str(address.ip), **_prefix(address), **flags)
        for address in present - set(wanted):
            ipr.addr("del", index=link.index, address=str(address.ip), **_prefix(address))

    _netlink(namespace, work)


def _prefix(address: Interface) -> dict[str, int]:
    return {"prefixlen": address.network.prefixlen}


def addresses(namespace: str, name: str) -> list[Interface]:
    """An interface's addresses: IPv4 first, each in the kernel's order."""
    link = links(namespace).get(name)
    return [] if link is None else _netlink(namespace, lambda ipr: _addresses(ipr, link.index))


def routes(namespace: str) -> list[Route]:
    """All routes that the kernel does not make by itself, sorted by network; also those in its own table."""
    names = {link.index: link.name for link in links(namespace).values()}
    found = _netlink(
        namespace,
        lambda ipr: [
            _route(message, names)
            for family in FAMILIES.values()
            for message in ipr.get_routes(family=family)
            if not _is_kernels(message)
        ],
    )
    return sorted(found, key=lambda route: (by_family(route.network), route.interface))


def remove_routes(namespace: str, unwanted: Callable[[Route], bool]) -> None:
    """Remove whichever of :func:`routes` are not wanted, in any table."""
    names = {link.index: link.name for link in links(namespace).values()}

    def goes(message: Any) -> bool:
        return _is_ip(message) and not _is_kernels(message) and unwanted(_route(message, names))

    _netlink(namespace, lambda ipr: ipr.flush_routes(match=goes))


def _is_kernels(message: Any) -> bool:
    """Whether it is one of the machine's own addresses, or a broadcast or multicast that comes with one."""
    return _table(message) == LOCAL_TABLE and message["proto"] == _BY_KERNEL and message["type"] != UNICAST


def _table(message: Any) -> int:
    return int(message.get("table") or message["table"])


def _route(message: Any, names: Mapping[int, str]) -> Route:
    anywhere = "0.0.0.0" if message["family"] == AF_INET else "::"  # noqa: S104 - no dst is the default route
    network = ipaddress.ip_network(f"{message.get('dst') or anywhere}/{message['dst_len']}")
    gateway = message.get("gateway")
    via = ipaddress.ip_address(str(gateway)) if gateway else None
    interface = names.get(message.get("oif"), "?")
    return Route(network, interface, via, message["type"] == UNICAST, _table(message) == MAIN_TABLE)


def set_routes(namespace: str, name: str, wanted: Mapping[Network, Address | None]) -> None:
    """Give an interface exactly these routes beside those that come with its addresses.

    Args:
        namespace: where.
        name: the interface.
        wanted: next hop by network; None where the other end of the link takes everything.
    """
    link = _require(namespace, name)
    own = {address.network for address in addresses(namespace, name)}
    present = {route.network for route in routes(namespace) if route.interface == name}

    def work(ipr: Any) -> None:
        for network, via in wanted.items():
            extra = {} if via is None else {"gateway": str(via)}
            ipr.route("replace", dst=str(network), oif=link.index, **extra)
        for network in present - set(wanted) - own:
            ipr.route("del", dst=str(network), oif=link.index)

    _netlink(namespace, work)


def add_missing_routes(namespace: str, name: str, wanted: Iterable[Network]) -> list[Network]:
    """Give an interface those of these routes that it has not, and leave all others; the ones added."""
    link = _require(namespace, name)
    present = {route.network for route in routes(namespace) if route.interface == name}
    missing = [network for network in wanted if network not in present]

    def work(ipr: Any) -> None:
        for network in missing:
            ipr.route("replace", dst=str(network), oif=link.index)

    if missing:
        _netlink(namespace, work)
    return missing


def rules(namespace: str) -> frozenset[Rule]:
    """The policy rules of both families."""
    return frozenset(_netlink(namespace, _rules))


def restore_rules(namespace: str) -> None:
    """Exactly the policy rules that a new namespace has."""

    def work(ipr: Any) -> None:
        # The ones to be kept first: at no moment is the namespace without a rule that it needs.
        for rule in DEFAULT_RULES - set(_rules(ipr)):
            if FAMILIES[rule.version] == AF_INET or IPV6.exists():
                family = FAMILIES[rule.version]
                ipr.rule("add", family=family, priority=rule.priority, table=rule.table)
        ipr.flush_rules(match=lambda message: _is_ip(message) and _rule(message) not in DEFAULT_RULES)

    _netlink(namespace, work)


def _rules(ipr: Any) -> list[Rule]:
    return [_rule(message) for family in FAMILIES.values() for message in ipr.get_rules(family=family)]


def _is_ip(message: Any) -> bool:
    return message["family"] in FAMILIES.values()


def _rule(message: Any) -> Rule:
    return Rule(
        4 if message["family"] == AF_INET else 6,
        int(message.get("priority") or 0),
        int(message.get("table") or 0),
        message["action"] == _TO_TABLE
        and not message["flags"]  # "not", for instance
        and not message["tos"]
        and {name for name, _ in message["attrs"]} <= _PLAIN_ATTRIBUTES
        and message.get("FRA_SUPPRESS_PREFIXLEN") in (None, _NO_SUPPRESSION),
    )


def _require(namespace: str, name: str) -> Link:
    link = links(namespace).get(name)
    if link is None:
        raise NetworkChangeFailed(reason=f"interface {name} is gone")
    return link

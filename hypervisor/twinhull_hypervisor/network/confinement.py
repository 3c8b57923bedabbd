"""What the corporate namespace may hold, and nothing else: the check behind every link that is raised (R20).

It knows the guest's tap and one tunnel interface that was born in the underlay; of what kind the tunnel is,
and what it speaks, it knows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from . import hardening, links
from .arguments import Address, CorporatePlan
from .plan import CORPORATE, TUNNEL

LOOPBACK = "lo"
LOOPBACK_ADDRESSES = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""What the kernel gives it when it is up."""
ALLOWED = frozenset({LOOPBACK, CORPORATE.tap, TUNNEL})
NAMESPACE = CORPORATE.namespace
KINDS = {CORPORATE.tap: ("tun",), TUNNEL: ("tun", "wireguard")}
"""What an interface of each name may be, as the kernel says; a tap and wireguard-go's are both "tun"."""


def breach(plan: CorporatePlan | None) -> str:
    """What the namespace holds or lets happen that it may not, in words; empty when it is confined.

    Args:
        plan: what was built; None when that is not known, and then every route of the tunnel is taken as its.
    """
    present = links.links(NAMESPACE)
    strangers = sorted(set(present) - ALLOWED)
    if strangers:
        return f"it holds {', '.join(strangers)}"
    for name, kinds in KINDS.items():
        link = present.get(name)
        if link is not None and link.kind not in kinds:
            return f"{name} is of kind {link.kind or 'unknown'}"
    return (
        _foreign_route(plan)
        or _foreign_rule()
        or ("" if plan is None else _foreign_address(plan, present) or _softened(plan, present))
    )


def is_own(route: links.Route, plan: CorporatePlan) -> bool:
    """Whether a route is only the shadow of the device's own address, which the kernel makes for IPv6."""
    alone = route.network.prefixlen == route.network.max_prefixlen
    return alone and route.network.network_address in plan.addresses


def missing(wanted: frozenset[str]) -> str:
    """Which of some interfaces are not there, in words; empty when all are."""
    absent = sorted(wanted - set(links.links(NAMESPACE)))
    return f"{', '.join(absent)} is not in it" if absent else ""


def mend(plan: CorporatePlan) -> None:
    """Remove the policy rules, routes and addresses that may not be in the namespace; what may be stays.

    An interface that may not be in it is not touched: it may be a person's hardware.
    """
    links.restore_rules(NAMESPACE)
    links.remove_routes(NAMESPACE, lambda route: not _is_rightful(route, plan))
    for name, wanted in _rightful_addresses(plan, links.links(NAMESPACE)).items():
        kept = [address for address in links.addresses(NAMESPACE, name) if address.ip in wanted]
        links.set_addresses(NAMESPACE, name, kept)


def _is_rightful(route: links.Route, plan: CorporatePlan | None) -> bool:
    if route.via is not None or not route.unicast or not route.main:
        return False
    if route.interface == TUNNEL:
        return plan is None or route.network in plan.routes or is_own(route, plan)
    own = {address.network for address in CORPORATE.addresses(ipv6=True)}
    return route.interface == CORPORATE.tap and route.network in own


def _foreign_route(plan: CorporatePlan | None) -> str:
    for route in links.routes(NAMESPACE):
        if not _is_rightful(route, plan):
            return f"it has the route {route.network} over {route.interface}"
    return ""


def _foreign_rule() -> str:
    asked_for = links.rules(NAMESPACE) <= links.DEFAULT_RULES
    return "" if asked_for else "it has a policy rule that nobody asked for"


def _rightful_addresses(
    plan: CorporatePlan, present: Mapping[str, links.Link]
) -> dict[str, frozenset[Address]]:
    wanted = {
        LOOPBACK: frozenset[Address](LOOPBACK_ADDRESSES),
        TUNNEL: frozenset[Address](plan.addresses),
        CORPORATE.tap: frozenset[Address](address.ip for address in CORPORATE.addresses(ipv6=plan.ipv6)),
    }
    return {name: addresses for name, addresses in wanted.items() if name in present}


def _foreign_address(plan: CorporatePlan, present: Mapping[str, links.Link]) -> str:
    for name, wanted in _rightful_addresses(plan, present).items():
        for address in links.addresses(NAMESPACE, name):
            if address.ip not in wanted:
                return f"{name} has the address {address}"
    return ""


def _softened(plan: CorporatePlan, present: Mapping[str, links.Link]) -> str:
    scopes = (*hardening.BASE, *sorted(present.keys() & KINDS.keys()))
    return hardening.softened(NAMESPACE, scopes, ipv6=plan.ipv6)

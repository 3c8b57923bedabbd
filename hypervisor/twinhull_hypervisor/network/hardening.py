"""Settings that let nothing heard on a wire change routes or addresses (R23), set and checked.

The kernel tells nobody when one of them changes, so they are part of every confinement check, and looked at
again now and then. What they guard against would also show at once as a route or an address nobody asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import namespaces

SETTINGS = Path("/proc/sys/net")
IPV4 = {
    "accept_redirects": 0,
    "secure_redirects": 0,
    "send_redirects": 0,
    "accept_source_route": 0,
    "proxy_arp": 0,
    "route_localnet": 0,
    "rp_filter": 1,
    # Answer ARP only for the interface's own address, to senders of its own subnet (ip-sysctl): a partition
    # learns no other address of the namespace (MLLVD-CR-24-03).
    "arp_ignore": 2,
    "arp_announce": 2,
}
IPV6 = {
    "accept_ra": 0,
    "accept_redirects": 0,
    "accept_source_route": 0,
    "autoconf": 0,
    "router_solicitations": 0,
    "proxy_ndp": 0,
    "dad_transmits": 0,
    # No address is made up: the fixed ones are enough.
    "addr_gen_mode": 1,
}
BASE = ("all", "default")


def _wanted(scopes: Sequence[str], *, ipv6: bool) -> dict[str, int]:
    families = {"ipv4": IPV4, "ipv6": {**IPV6, "disable_ipv6": int(not ipv6)}}
    return {
        f"{family}/conf/{scope}/{name}": value
        for family, values in families.items()
        for scope in scopes
        for name, value in values.items()
        # "all" has no say in this one, and the kernel refuses it there.
        if (scope, name) != ("all", "addr_gen_mode")
    }


def harden(namespace: str, scopes: Sequence[str] = BASE, *, ipv6: bool) -> None:
    """Set them.

    Args:
        namespace: where.
        scopes: ``all``, ``default``, or interface names.
        ipv6: whether there is to be any IPv6.
    """

    def known(wanted: dict[str, int]) -> dict[str, int]:
        # Without IPv6 in the kernel, or on an interface too narrow for it, there are no such files.
        return {name: value for name, value in wanted.items() if (SETTINGS / name).exists()}

    wanted = namespaces.inside(namespace, lambda: known(_wanted(scopes, ipv6=ipv6)))
    namespaces.sysctl(namespace, wanted)


def softened(namespace: str, scopes: Sequence[str], *, ipv6: bool) -> str:
    """The first setting that is not as it should be, in words; empty when all are."""

    def look() -> str:
        for name, value in _wanted(scopes, ipv6=ipv6).items():
            try:
                found = int((SETTINGS / name).read_text())
            except FileNotFoundError:
                continue
            if found != value:
                return f"net.{name.replace('/', '.')} is {found} and not {value}"
        return ""

    return namespaces.inside(namespace, look)

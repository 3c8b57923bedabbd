"""Emptying a namespace: what `down` leaves is a namespace as new, under its name.

It is never deleted here. netd may run in a mount namespace of its own (its systemd unit gives it one), and a
name it then mounts under /run/netns is seen by nobody else and gone when it restarts.
"""

from __future__ import annotations

from pathlib import Path

from pyroute2 import NetlinkError, NFCTSocket  # type: ignore[import-untyped]

from ..run import run
from . import links, namespaces, rules
from .errors import NetworkChangeFailed

IP_SECONDS = 20.0
LOOPBACK = "lo"
FLUSH = "rule flush\nrule add from all lookup main priority 32766\nroute flush table all\n"
FLUSHES = {"-4": f"{FLUSH}rule add from all lookup default priority 32767\n", "-6": FLUSH}
"""For each family: policy rules as a new namespace has them (ip-rule(8)), and no route in any table."""


def is_empty(namespace: str) -> bool:
    """Whether it is missing, or holds only lo and no packet filter of ours."""
    if not namespaces.exists(namespace):
        return True
    return set(links.links(namespace)) <= {LOOPBACK} and not rules.present(namespace)


def empty(namespace: str) -> None:
    """Leave it holding lo, down, and nothing else of ours or of strangers; nothing to do is success.

    The caller has taken the guest's link away before. Until the last interface has gone the packet filter
    stays in force.

    Raises:
        NetworkChangeFailed: an interface can neither be deleted nor moved out.
    """
    if not namespaces.exists(namespace):
        return
    for link in links.links(namespace).values():
        if link.name != LOOPBACK:
            _evict(namespace, link)
    links.set_addresses(namespace, LOOPBACK, [])
    links.set_state(namespace, LOOPBACK, up=False)
    for family, flush in FLUSHES.items():
        if family == "-4" or Path("/proc/sys/net/ipv6").exists():
            argv = [*namespaces.command(namespace), "ip", family, "-batch", "-"]
            run(argv, input=flush.encode(), timeout=IP_SECONDS)
    namespaces.sysctl(namespace, {"ipv4/ip_forward": 0})
    rules.apply(namespace, "flush ruleset")
    namespaces.inside(namespace, _forget_connections)


def _forget_connections() -> None:
    """Drop what connection tracking knows: no flow of the next guest is let through as one of the last."""
    try:
        with NFCTSocket() as tracking:
            tracking.flush()
    except NetlinkError as error:
        raise NetworkChangeFailed(reason=f"connection tracking: {error.args[-1]}") from error


def _evict(namespace: str, link: links.Link) -> None:
    try:
        links.delete(namespace, link.name)
    except NetworkChangeFailed:
        # Hardware cannot be deleted. The kernel, too, gives it to the host when its namespace goes.
        links.move(namespace, link, "")

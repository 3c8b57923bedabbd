"""The leak table itself: large enough, no event forgotten, and documented as it is."""

from __future__ import annotations

from pathlib import Path

from .document import document
from .scenario import UNDERLAYS
from .table import ROWS

LEAST_ROWS = 80
EVENTS = {
    "ARP and ND spoofing",
    "DHCP option 121",
    "ICMP redirect",
    "LLMNR",
    "SSDP",
    "STUN",
    "VLAN tags",
    "boot",
    "broadcast",
    "captive portal",
    "clock set",
    "corporate to personal",
    "foreign interface moved in",
    "fragments",
    "gateway back",
    "gateway down",
    "guest DNS",
    "guest that changes its MAC",
    "guest with static routes",
    "kill -9",
    "link flap",
    "mDNS",
    "multicast",
    "namespace deleted behind us",
    "netd restart",
    "nftables flushed",
    "nftables rules inserted",
    "packets to the host's own addresses",
    "peer unreachable",
    "personal spoofing",
    "personal to LAN machines",
    "personal to corporate",
    "personal to host",
    "raw sockets",
    "resume",
    "roam",
    "rogue RA",
    "route added around",
    "shutdown",
    "source routing",
    "tunnel interface deleted",
    "tunnels in tunnels",
}
"""The known ways to leak (docs/security.md, P2): each has at least one row."""
KILLED = {"netd", "wireguard-go", "dnsmasq", "core's connection", "the guest"}
ONE_FAMILY = {"broadcast", "gateway back"}
"""Events that exist in one address family only, or differ in nothing of the guest's."""


def test_it_is_large_enough() -> None:
    assert len(ROWS) >= LEAST_ROWS
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_no_event_is_missing() -> None:
    assert sorted(EVENTS - {row.event for row in ROWS}) == []
    assert {row.name for row in ROWS if row.event == "kill -9"} >= KILLED


def test_both_families_are_tried() -> None:
    families = {event: {row.family for row in ROWS if row.event == event} for event in EVENTS}
    assert {event for event, tried in families.items() if tried != {4, 6}} == ONE_FAMILY


def test_every_underlay_is_used() -> None:
    assert {row.underlay for row in ROWS} == set(UNDERLAYS)


def test_every_row_says_what_it_does() -> None:
    assert [row.id for row in ROWS if not row.tried or not row.seen] == []


def test_the_page_is_made_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "leaks.md"
    assert page.read_text() == document(), "run python -m tests.leaks.document > docs/leaks.md"

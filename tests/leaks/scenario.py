"""One row of the leak table, and the decorator that puts a function into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .stage import Stage

Family = Literal[4, 6]
Underlay = Literal["ethernet", "full tunnel", "roamed", "small MTU", "IPv6 only", "captive", "no network"]
UNDERLAYS: dict[str, str] = {
    "ethernet": "one uplink with IPv4 and IPv6, MTU 1500; the policy routes the company's networks alone",
    "full tunnel": "as ethernet; the policy routes everything into the tunnel",
    "roamed": "the tunnel began on the first uplink, and the default route is now over the second one",
    "small MTU": "as ethernet, with an MTU of 1280 bytes (RFC 8200's least) on the uplink",
    "IPv6 only": "the uplink has IPv6 alone, and the gateway is reached over that",
    "captive": "a portal takes every connection to port 80, and lets nothing else through",
    "no network": "no uplink is up",
}
Act = Callable[["Stage", Family], None]


@dataclass(frozen=True)
class Scenario:
    """What is tried, where, and what must be seen beside "nothing but WireGuard leaves".

    Attributes:
        event: one of the events of the table.
        name: tells it from others of its event.
        family: of the addresses tried, not of the tunnel's own packets.
        underlay: one of UNDERLAYS.
        tried: what is done, in a sentence.
        seen: what the row demands beside the verdict on the captures.
        act: does it, and asserts ``seen``.
        status: "held", or what is not shown yet.
        own_kernel: it suspends the machine or sets its clock, so it needs one of its own (tests/kernel).
    """

    event: str
    name: str
    family: Family
    underlay: str
    tried: str
    seen: str
    act: Act
    status: str = "held"
    own_kernel: bool = False

    @property
    def id(self) -> str:
        """Its name as pytest and the documentation show it."""
        words = self.event if self.name == self.event else f"{self.event}: {self.name}"
        return f"{words}, IPv{self.family}, {self.underlay}"


TABLE: list[Scenario] = []


def scenario(
    event: str,
    tried: str,
    seen: str,
    *,
    name: str = "",
    families: tuple[Family, ...] = (4, 6),
    underlays: tuple[Underlay, ...] = ("ethernet",),
    own_kernel: bool = False,
) -> Callable[[Act], Act]:
    """Put a function into the table, once for each family and underlay."""

    def enter(act: Act) -> Act:
        add(event, name or event, tried, seen, act, families, underlays, own_kernel=own_kernel)
        return act

    return enter


def add(
    event: str,
    name: str,
    tried: str,
    seen: str,
    act: Act,
    families: tuple[Family, ...],
    underlays: tuple[Underlay, ...],
    *,
    own_kernel: bool = False,
) -> None:
    """Put rows into the table."""
    for underlay in underlays:
        for family in families:
            row = Scenario(event, name, family, underlay, tried, seen, act, own_kernel=own_kernel)
            TABLE.append(row)

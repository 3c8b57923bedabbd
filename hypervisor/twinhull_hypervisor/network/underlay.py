"""How packets to an address leave the underlay, as its kernel answers when asked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute, NetlinkError  # type: ignore[import-untyped]

from . import links, namespaces
from .arguments import Address


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


def _address(text: object) -> Address | None:
    return ipaddress.ip_address(str(text)) if text else None

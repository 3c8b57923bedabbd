"""The taps: made where QEMU can open them, moved into their namespace once it does."""

from __future__ import annotations

from collections.abc import Callable

from . import hardening, links
from .errors import TapBusy, TapMissing
from .plan import Side


def make(side: Side) -> str:
    """A fresh tap, down, in netd's own namespace, where libvirt opens it (``managed='no'``).

    A leftover of an earlier run goes first, wherever it is. Raises TapBusy when a process holds it open: its
    carrier tells.
    """
    for place in (side.namespace, ""):
        leftover = links.links(place).get(side.tap)
        if leftover is not None:
            if leftover.carrier:
                raise TapBusy(partition=side.partition)
            links.delete(place, side.tap)
    links.add_tap("", side.tap)
    return side.tap


def adopt(side: Side, check: Callable[[frozenset[str]], None], *, ipv6: bool) -> None:
    """Move the tap into its namespace and bring it up, if the namespace passes its check before and after.

    Args:
        side: whose tap.
        check: raises unless the namespace is confined; told which interfaces besides the usual must be there.
        ipv6: whether the tap gets its IPv6 address.

    Raises:
        TapMissing: there is no tap, here or there.
        TwinhullError: whatever the check raises; the tap is then down.
    """
    outside = links.links("").get(side.tap)
    if outside is not None:
        check(frozenset())
        links.move("", outside, side.namespace)
    elif side.tap not in links.links(side.namespace):
        raise TapMissing(partition=side.partition)
    hardening.harden(side.namespace, (side.tap,), ipv6=ipv6)
    links.set_addresses(side.namespace, side.tap, side.addresses(ipv6=ipv6))
    try:
        check(frozenset({side.tap}))
    except BaseException:
        links.set_state(side.namespace, side.tap, up=False)
        raise
    links.set_state(side.namespace, side.tap, up=True)


def remove(side: Side) -> None:
    """Delete the tap wherever it is."""
    for place in (side.namespace, ""):
        links.delete(place, side.tap)


def is_up(side: Side) -> bool:
    """Whether the tap is in its namespace and up."""
    link = links.links(side.namespace).get(side.tap)
    return link is not None and link.up

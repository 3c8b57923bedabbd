"""The owner's rules before the owner wrote any: what happens to each kind of device (docs/devices.md).

A device that only a person can judge is asked about. What could carry traffic past the tunnel, or brings
devices of its own that nobody decides on, is refused until the owner says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from .model import Match, OwnerRule, OwnerRules

_BY_INTERFACE: tuple[tuple[str, tuple[str, ...], Literal["ask", "deny"]], ...] = (
    ("network", ("02:06:*", "02:0c:*", "02:0d:*", "02:0e:*", "e0:01:03", "ef:04:*"), "deny"),
    ("bluetooth", ("e0:01:01", "e0:01:04"), "deny"),
    ("storage", ("08:*:*",), "ask"),
    ("camera", ("0e:*:*", "10:*:*"), "ask"),
    ("smart-card", ("0b:*:*",), "ask"),
    ("phone", ("06:*:*", "ff:42:*"), "ask"),
    ("printer", ("07:*:*",), "ask"),
    ("audio", ("01:*:*",), "ask"),
    ("serial", ("02:*:*", "0a:*:*"), "ask"),
    ("input", ("03:*:*",), "ask"),
)
"""In this order: what is several things at once is treated as the first of them. 02:06 is CDC Ethernet, 02:0c
EEM, 02:0d NCM, 02:0e MBIM, e0:01:03 and ef:04 remote NDIS."""


def default_owner_rules() -> OwnerRules:
    """A document that ``parse_owner_rules`` accepts."""
    return OwnerRules(devices=tuple(_rules()))


def _rules() -> Iterator[OwnerRule]:
    yield OwnerRule(name="pci", match=Match(bus="pci"), to="deny")
    yield OwnerRule(name="bluetooth-devices", match=Match(bus="bluetooth"), to="deny")
    for name, classes, to in _BY_INTERFACE:
        yield OwnerRule(name=name, match=Match(bus="usb", any_interface=classes), to=to)
    yield OwnerRule(name="other", match=Match(bus="usb"), to="ask")

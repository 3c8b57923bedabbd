"""From untrusted JSON to what can be asked of a policy: a device, an exchange, a lease, or many devices.

As strict and bounded as the policy parser; what is refused is named with its path.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from .diagnose import diagnose
from .errors import Blame, TwinhullError
from .exchange import ExchangeFacts
from .facts import DeviceFacts

MAX_FACTS_BYTES = 256 * 1024
"""One question; a device with 4,096 interfaces fits."""
MAX_INVENTORY_BYTES = 8 * 1024 * 1024
"""An inventory of 50,000 devices fits."""


class FactsInvalid(TwinhullError):
    """The facts cannot be read at {path}: {detail}."""

    code: ClassVar[str] = "TH-POL-010"
    blame: ClassVar[Blame] = Blame.MALFORMED
    next_step: ClassVar[str] = "See docs/policy.md, 'Asking a policy', for what they may hold."


Hours = Annotated[int, Meta(ge=0, le=1_000_000)]


class LeaseFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long ago the server was last heard of, by whom one asks; hours."""

    offline_hours: Hours
    """By the wall clock."""
    counted_hours: Hours = 0
    """By what the laptop counted itself, asleep or awake; a clock set back does not change it."""
    proven_hours: Hours = 0
    """By times that the server signed."""


Question = DeviceFacts | ExchangeFacts | LeaseFacts
T = TypeVar("T")

_PCI = re.compile("([0-9a-f]{4}):([0-9a-f]{4}):([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})")
_KINDS: tuple[tuple[str, type[DeviceFacts] | type[ExchangeFacts] | type[LeaseFacts]], ...] = (
    ("bus", DeviceFacts),
    ("way", ExchangeFacts),
    ("offline_hours", LeaseFacts),
)
"""The key that each kind of question must have, and no other has."""


def parse_question(untrusted: bytes) -> Question:
    """What one JSON object asks. Raises FactsInvalid."""
    raw = _checked(untrusted, MAX_FACTS_BYTES, dict[str, msgspec.Raw])
    for key, kind in _KINDS:
        if key in raw:
            return _checked(untrusted, MAX_FACTS_BYTES, kind)
    needed = ", ".join(f"'{key}'" for key, _ in _KINDS)
    raise FactsInvalid(path="$", detail=f"one of {needed} is needed to tell what is asked")


def pci_facts(untrusted_text: str, *, port: str = "", removable: bool = True) -> DeviceFacts:
    """The facts of a PCI function written as ``8086:15f3:020000``. Raises FactsInvalid."""
    found = _PCI.fullmatch(untrusted_text)
    if found is None:
        raise FactsInvalid(path="$", detail="a PCI function is written vendor:device:class, 8086:15f3:020000")
    vendor, device, *codes = found.groups()
    return DeviceFacts(
        bus="pci",
        vendor=vendor,
        product=device,
        interfaces=(":".join(codes),),
        port=port,
        removable=removable,
    )


def parse_inventory(untrusted: bytes) -> list[DeviceFacts]:
    """The devices in a JSON list of facts. Raises FactsInvalid."""
    return _checked(untrusted, MAX_INVENTORY_BYTES, list[DeviceFacts])


def _checked(untrusted: bytes, limit: int, kind: type[T]) -> T:
    if len(untrusted) > limit:
        raise FactsInvalid(path="$", detail=f"it is longer than {limit} bytes")
    finding = diagnose(untrusted)
    if finding is not None:
        raise FactsInvalid(path=finding.path, detail=finding.words())
    try:
        return msgspec.json.decode(untrusted, type=kind, strict=True)
    except ValueError as error:
        detail, _, path = str(error).rpartition(" - at ")
        raise FactsInvalid(path=path.strip("`") if detail else "$", detail=detail or path) from error

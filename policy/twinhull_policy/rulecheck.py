"""The patterns of device rules, checked for all rules at once.

A document has thousands of rules and each some patterned strings; one regular expression over all of them
joined costs a tenth of one for each. Only when it fails are they looked at one by one, to name the place.
Joining by line breaks is sound because the parser refuses every control character besides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import UNSET

from .model import CLASS_PATTERN, HEX4_PATTERN, NAME_PATTERN, DeviceRule, OwnerRule


def _lines(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:{pattern}\n)*")


_NAMES, _HEX4, _CLASSES = _lines(NAME_PATTERN), _lines(HEX4_PATTERN), _lines(CLASS_PATTERN)


def malformed_field(rules: Sequence[DeviceRule | OwnerRule]) -> str | None:
    """The path, like ``[3].match.vendor``, of the first string in ``rules`` that breaks its pattern."""
    ids: list[str] = []
    classes: list[str] = []
    for rule in rules:
        match = rule.match
        if (vendor := match.vendor) is not UNSET:
            ids.append(vendor)
        if (product := match.product) is not UNSET:
            ids.append(product)
        if (some := match.any_interface) is not UNSET:
            classes += some
        if (every := match.every_interface) is not UNSET:
            classes += every
    if (
        _all_match(_NAMES, [rule.name for rule in rules])
        and _all_match(_HEX4, ids)
        and _all_match(_CLASSES, classes)
    ):
        return None
    return next(place for n, rule in enumerate(rules) for place in _places(rule, f"[{n}]"))


def _all_match(lines: re.Pattern[str], texts: list[str]) -> bool:
    return not texts or lines.fullmatch("\n".join(texts) + "\n") is not None


def _places(rule: DeviceRule | OwnerRule, at: str) -> list[str]:
    """Every field of one rule that breaks its pattern."""
    match = rule.match
    fields = [(".name", _NAMES, rule.name)]
    fields += [
        (f".match.{name}", _HEX4, text)
        for name, text in (("vendor", match.vendor), ("product", match.product))
        if text is not UNSET
    ]
    fields += [
        (f".match.{kind}[{n}]", _CLASSES, text)
        for kind, texts in (
            ("any_interface", match.any_interface),
            ("every_interface", match.every_interface),
        )
        if texts is not UNSET
        for n, text in enumerate(texts)
    ]
    return [at + place for place, lines, text in fields if not _all_match(lines, [text])]

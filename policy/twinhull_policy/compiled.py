"""The same verdicts as ``evaluate.decide``, at a cost that hardly depends on the number of rules.

Rules are grouped by their *shape*: which facts they compare, and how precisely they name an interface. In a
group, one look-up with the device's own facts finds the rules that can match. A policy of any size has few
shapes, so few look-ups decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import UNSET

from .evaluate import Answers, Decision, conclude, matches
from .facts import DeviceFacts
from .model import DeviceRule, Match, OwnerRules, Policy

_FACTS = ("bus", "vendor", "product", "serial", "port", "removable")
_PRECISION = {"exact": 8, "subclass": 5, "class": 2}
"""How many characters of an interface class like ``08:06:50`` a pattern of each precision compares."""

Shape = tuple[tuple[str, ...], str]
"""Names of the facts compared, and the precision of the interface pattern ("" for none)."""


class _Rule(Protocol):
    @property
    def match(self) -> Match: ...


R = TypeVar("R", bound=_Rule)


class RuleIndex(Generic[R]):
    """Finds the first matching rule of one layer."""

    def __init__(self, rules: Sequence[R]) -> None:
        self._rules = rules
        self._groups: dict[Shape, dict[tuple[object, ...], list[int]]] = {}
        for number, rule in enumerate(rules):
            for shape, key in _entries(rule.match):
                numbers = self._groups.setdefault(shape, {}).setdefault(key, [])
                if not numbers or numbers[-1] != number:
                    numbers.append(number)

    def first(self, facts: DeviceFacts) -> R | None:
        """The rule with the lowest number that matches ``facts``."""
        best = len(self._rules)
        for (names, precision), group in self._groups.items():
            base = tuple(getattr(facts, name) for name in names)
            for key in _lookups(base, precision, facts):
                for number in group.get(key, ()):
                    if number >= best:
                        break
                    if matches(self._rules[number].match, facts):
                        best = number
                        break
        return self._rules[best] if best < len(self._rules) else None


class CompiledPolicy:
    """A policy and the owner's rules, made ready to decide many devices.

    Attributes:
        policy: the corporate document, or None before the first, when nothing is corporate.
        owner: the owner's document.
    """

    def __init__(self, policy: Policy | None, owner: OwnerRules) -> None:
        self.policy = policy
        self.owner = owner
        self._corporate: RuleIndex[DeviceRule] = RuleIndex(policy.devices if policy else ())
        self._owner = RuleIndex(owner.devices)

    def decide(self, facts: DeviceFacts, answers: Answers) -> Decision:
        """What ``evaluate.decide`` says."""
        return conclude(facts, self._corporate.first(facts), self._owner.first(facts), answers)


def _entries(match: Match) -> Iterator[tuple[Shape, tuple[object, ...]]]:
    """Where a rule is to be found: once, or once for each interface pattern.

    For ``every_interface`` the patterns are as good as for ``any_interface``: if every interface is one of
    them, some interface is.
    """
    names = tuple(name for name in _FACTS if getattr(match, name) is not UNSET)
    base = tuple(getattr(match, name) for name in names)
    patterns = match.every_interface if match.any_interface is UNSET else match.any_interface
    if patterns is UNSET:
        yield (names, ""), base
        return
    for pattern in patterns:
        precision = ("exact", "subclass", "class")[pattern.count("*")]
        yield (names, precision), (*base, pattern[: _PRECISION[precision]])


def _lookups(base: tuple[object, ...], precision: str, facts: DeviceFacts) -> list[tuple[object, ...]]:
    """The keys that rules of one shape must have to match the device."""
    if not precision:
        return [base]
    return [(*base, prefix) for prefix in {i[: _PRECISION[precision]] for i in facts.interfaces}]

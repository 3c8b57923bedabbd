"""The same verdicts as ``evaluate.decide``, at a cost that hardly depends on the number of rules.

Rules are grouped by their *shape*: which facts they compare, and how precisely they name an interface. In a
group, one look-up with the device's own facts finds the rules that can match. A policy of any size has few
shapes, so few look-ups decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from operator import attrgetter
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
        self._covering: dict[Shape, dict[tuple[object, ...], list[int]]] = {}
        for number, rule in enumerate(rules):
            covers = rule.match.any_interface is UNSET and rule.match.every_interface is not UNSET
            groups = self._covering if covers else self._groups
            for shape, key in _entries(rule.match):
                numbers = groups.setdefault(shape, {}).setdefault(key, [])
                if not numbers or numbers[-1] != number:
                    numbers.append(number)

    def first(self, facts: DeviceFacts) -> R | None:
        """The rule with the lowest number that matches ``facts``."""
        best = len(self._rules)
        for numbers in self._candidates(facts):
            for number in numbers:
                if number >= best:
                    break
                if matches(self._rules[number].match, facts):
                    best = number
                    break
        return self._rules[best] if best < len(self._rules) else None

    def _candidates(self, facts: DeviceFacts) -> list[list[int]]:
        """Numbers, ascending in each list, of all rules that can match."""
        found = []
        for (names, precision), group in self._groups.items():
            base = _GETTERS[names](facts)
            if not precision:
                if base in group:
                    found.append(group[base])
                continue
            length = _PRECISION[precision]
            for interface in facts.interfaces:
                numbers = group.get((*base, interface[:length]))
                if numbers is not None:
                    found.append(numbers)
        if self._covering:
            # Such a rule has a pattern for every interface of the device: the interface that the fewest rules
            # have a pattern for leaves the fewest to look at.
            bases = {names: _GETTERS[names](facts) for names, _ in self._covering}
            covered = (self._cover(interface, bases) for interface in facts.interfaces)
            found += min(covered, key=lambda lists: sum(map(len, lists)), default=[])
        return found

    def _cover(self, interface: str, bases: dict[tuple[str, ...], tuple[object, ...]]) -> list[list[int]]:
        """The ``every_interface`` rules that have a pattern for one interface."""
        keys = (
            (group, (*bases[names], interface[: _PRECISION[precision]]))
            for (names, precision), group in self._covering.items()
        )
        return [group[key] for group, key in keys if key in group]


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
    """Where a rule is to be found: once, or once for each interface pattern."""
    names = tuple(name for name in _FACTS if getattr(match, name) is not UNSET)
    base = tuple(getattr(match, name) for name in names)
    patterns = match.every_interface if match.any_interface is UNSET else match.any_interface
    if patterns is UNSET:
        yield (names, ""), base
        return
    for pattern in patterns:
        precision = ("exact", "subclass", "class")[pattern.count("*")]
        yield (names, precision), (*base, pattern[: _PRECISION[precision]])


def _getter(names: tuple[str, ...]) -> Callable[[DeviceFacts], tuple[object, ...]]:
    """What reads the facts of these names into a tuple; ``attrgetter`` makes one of two names and more."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda facts: tuple(getattr(facts, name) for name in names)


_GETTERS = {
    names: _getter(names) for count in range(len(_FACTS) + 1) for names in combinations(_FACTS, count)
}
"""By the names, in the order of ``_FACTS``."""

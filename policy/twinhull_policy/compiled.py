"""The same verdicts as ``evaluate.decide``, at a cost that hardly depends on the number of rules.

Rules are grouped by which facts they compare. In a group, one look-up with the device's own facts finds the
rules that can match, and another for each of its interfaces those whose pattern fits. A policy of any size
has few such groups, so few look-ups decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from msgspec import UNSET

from .evaluate import Answers, Decision, conclude, matches
from .facts import DeviceFacts
from .model import DeviceRule, Match, OwnerRules, Policy

_FACTS = ("bus", "vendor", "product", "serial", "port", "removable")
_COMPARED = (2, 5, 8)
"""How many characters of an interface class like ``08:06:50`` a pattern may compare."""

Names = tuple[str, ...]
Getter = Callable[[DeviceFacts | Match], object]
Numbers = list[int]
Groups = dict[Names, dict[object, dict[str, Numbers]]]
"""By the names of the facts compared, what they have to be, and the beginning of an interface class ("" for
rules without a pattern): the numbers of the rules, ascending."""


class _Rule(Protocol):
    @property
    def match(self) -> Match: ...


R = TypeVar("R", bound=_Rule)


class RuleIndex(Generic[R]):
    """Finds the first matching rule of one layer."""

    def __init__(self, rules: Sequence[R]) -> None:
        self._rules = rules
        plain: Groups = {}
        covering: Groups = {}
        for number, rule in enumerate(rules):
            match = rule.match
            covers = match.any_interface is UNSET and match.every_interface is not UNSET
            names = tuple(name for name in _FACTS if getattr(match, name) is not UNSET)
            group = (covering if covers else plain).setdefault(names, {})
            beginnings = group.setdefault(_getter(names)(match), {})
            for beginning in _beginnings(match):
                beginnings.setdefault(beginning, []).append(number)
        self._plain = [(_getter(names), group) for names, group in plain.items()]
        self._covering = [(_getter(names), group) for names, group in covering.items()]

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

    def _candidates(self, facts: DeviceFacts) -> list[Numbers]:
        """Numbers, ascending in each list, of all rules that can match."""
        found = []
        for getter, group in self._plain:
            beginnings = group.get(getter(facts))
            if beginnings is None:
                continue
            if "" in beginnings:
                found.append(beginnings[""])
            for interface in facts.interfaces:
                found += _beginning(interface, beginnings)
        covering = [group[key] for getter, group in self._covering if (key := getter(facts)) in group]
        if covering:
            # Such a rule has a pattern for every interface of the device: the interface that the fewest rules
            # have a pattern for leaves the fewest to look at.
            covered = (
                [numbers for beginnings in covering for numbers in _beginning(interface, beginnings)]
                for interface in facts.interfaces
            )
            found += min(covered, key=lambda lists: sum(map(len, lists)), default=[])
        return found


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


def _beginnings(match: Match) -> frozenset[str]:
    """How the interface class of a device begins that a rule can match, for each of its patterns."""
    patterns = match.every_interface if match.any_interface is UNSET else match.any_interface
    return frozenset(("",) if patterns is UNSET else (pattern.rstrip(":*") for pattern in patterns))


def _beginning(interface: str, beginnings: dict[str, Numbers]) -> list[Numbers]:
    """The rules that have a pattern for one interface."""
    return [beginnings[key] for length in _COMPARED if (key := interface[:length]) in beginnings]


def _getter(names: Names) -> Getter:
    """What reads the facts of these names, of a device or of what a rule compares."""
    return attrgetter(*names) if names else lambda _: ()

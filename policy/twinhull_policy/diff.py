"""What changes between two policies, told in verdicts on devices and in words, not in lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from .changes import changes_in_words
from .compiled import CompiledPolicy
from .facts import DeviceFacts
from .model import Match, OwnerRule, OwnerRules, Policy

Corner = Literal["takes", "takes read-only", "may", "may read-only", "owner", "never"]
"""What a policy means for one device and one partition: the corporate one *takes* it, or *may* have it if the
person says so, perhaps only to read; whether the personal one has it is the *owner*'s business; it *never*
gets there."""

_NOBODY = OwnerRules()
_EVERYTHING = OwnerRules(devices=(OwnerRule(name="everything", match=Match(), to="ask"),))
"""An owner who would take any device: what still does not get to the personal partition was taken from it."""


class VerdictChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device and a partition on which the two policies differ; the rules are those that decided."""

    device: DeviceFacts
    partition: Literal["corporate", "personal"]
    old: Corner
    new: Corner
    old_rule: str
    new_rule: str


class PolicyDiff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All differences out of ``compared`` verdicts (two for each device), and everything else in words."""

    compared: int
    changes: tuple[VerdictChange, ...]
    sections: tuple[str, ...]
    """Names of the sections that differ at all."""
    words: tuple[str, ...]
    """What changed besides device rules, one sentence each."""


def diff(old: Policy, new: Policy, inventory: Sequence[DeviceFacts]) -> PolicyDiff:
    """Compare two policies on an inventory of devices, whatever the owners' rules are.

    A verdict counts as changed when where the device may go differs; another rule's name for the same outcome
    does not count.
    """
    before, after = _Corners(old), _Corners(new)
    changes = []
    for device in inventory:
        for partition, was, becomes in zip(
            _PARTITIONS, before.corners(device), after.corners(device), strict=True
        ):
            if was[0] != becomes[0]:
                changes.append(
                    VerdictChange(
                        device=device,
                        partition=partition,
                        old=was[0],
                        new=becomes[0],
                        old_rule=was[1],
                        new_rule=becomes[1],
                    )
                )
    sections = tuple(f for f in Policy.__struct_fields__ if getattr(old, f) != getattr(new, f))
    return PolicyDiff(
        compared=len(inventory) * len(_PARTITIONS),
        changes=tuple(changes),
        sections=sections,
        words=changes_in_words(old, new),
    )


_PARTITIONS: tuple[Literal["corporate", "personal"], ...] = ("corporate", "personal")


class _Corners:
    """One policy, asked about both partitions through the one evaluator."""

    def __init__(self, policy: Policy) -> None:
        self._alone = CompiledPolicy(policy, _NOBODY)
        self._wanted = CompiledPolicy(policy, _EVERYTHING)

    def corners(self, device: DeviceFacts) -> tuple[tuple[Corner, str], tuple[Corner, str]]:
        """What it means for the corporate and for the personal partition, with the rule that decided."""
        alone = self._alone.decide(device, {})
        wanted = self._wanted.decide(device, {})
        read_only = "corporate" in alone.read_only
        corporate: Corner = "never"
        if alone.verdict == "corporate":
            corporate = "takes read-only" if read_only else "takes"
        elif "corporate" in alone.targets:
            corporate = "may read-only" if read_only else "may"
        personal: Corner = "owner" if "personal" in wanted.targets else "never"
        return (corporate, alone.rule), (personal, "" if personal == "owner" else wanted.rule)

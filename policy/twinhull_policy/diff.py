"""What changes between two policies, told in verdicts on devices instead of in lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .compiled import CompiledPolicy
from .evaluate import Decision
from .facts import DeviceFacts
from .model import OwnerRules, Policy


class VerdictChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device on which the two policies differ."""

    device: DeviceFacts
    old: Decision
    new: Decision


class PolicyDiff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All differences out of ``compared`` devices, and the names of the sections that differ at all."""

    compared: int
    changes: tuple[VerdictChange, ...]
    sections: tuple[str, ...]


def diff(old: Policy, new: Policy, inventory: Sequence[DeviceFacts]) -> PolicyDiff:
    """Compare two policies on an inventory of devices, with no owner's rules.

    A device counts as changed when its verdict or the places it may go to differ; another rule's name for
    the same outcome does not count.
    """
    before = CompiledPolicy(old, OwnerRules())
    after = CompiledPolicy(new, OwnerRules())
    changes = []
    for device in inventory:
        was, becomes = before.decide(device, {}), after.decide(device, {})
        if (was.verdict, was.targets) != (becomes.verdict, becomes.targets):
            changes.append(VerdictChange(device=device, old=was, new=becomes))
    sections = tuple(f for f in Policy.__struct_fields__ if getattr(old, f) != getattr(new, f))
    return PolicyDiff(compared=len(inventory), changes=tuple(changes), sections=sections)

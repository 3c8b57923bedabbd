"""Where a device may go: one absolute answer for hot-plug, manual attach and VM start.

``decide`` is the plain linear reading, and the definition. ``compiled.CompiledPolicy`` gives the same
answers faster.

Three layers, read in order; in each the first rule that matches counts:

1. the host's safety rules (``safety``): ``deny`` or ``host`` ends it there;
2. the corporate rules: ``require`` ends it there, the device is the corporate partition's; ``allow`` adds
   the corporate partition to where it may go; ``deny``, and no rule, add nothing, and neither does any rule
   for a way around the tunnel (``safety.past_tunnel``), nor one that does not name the model for what may be
   one (``safety.unsaid``);
3. the owner's rules: ``personal`` and ``ask`` add the personal partition, ``corporate`` adds nothing and
   prefers the corporate partition if that was added, ``deny`` takes everything away.

A rule that gives ``read-only`` gives the blocks of a storage device to be read, and gives nothing of a device
that is no storage; ``require`` then denies it. The owner's holds wherever the device goes.

A device that may go nowhere is denied. Where the owner's rule prefers a place that is allowed, that is the
verdict; else it is ``ask``. A remembered answer replaces ``ask`` alone, and only by a place that is allowed
(or by ``deny``): it can never precede a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET

from .facts import DeviceFacts
from .model import DeviceRule, Match, OwnerRule, OwnerRules, Policy
from .safety import past_tunnel, safety_verdict, unsaid

Target = Literal["corporate", "personal"]
Answer = Literal["corporate", "personal", "deny"]
Answers = Mapping[tuple[str, str, str, str], Answer]
"""What the owner answered before, by ``answer_key``."""


BLOCKS = "08:06:50"
"""SCSI over bulk-only transport (Mass Storage Class Overview 1.4): what can be read without passing the
device. A disk that offers UAS speaks this too, in its first alternate setting (UASP 1.0, 5.1)."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An answer. It never acts."""

    verdict: Literal["deny", "host", "corporate", "personal", "ask"]
    targets: tuple[Target, ...]
    """Every partition the device may go to."""
    rule: str
    """What decided: ``host:…``, ``corporate:…``, ``owner:…``, ``answer`` or ``default``.

    For ``ask``, every rule that offered a place, separated by spaces.
    """
    reason: str
    read_only: tuple[Target, ...] = ()
    """Those of ``targets`` that may only read its blocks."""


def has_blocks(facts: DeviceFacts) -> bool:
    """Whether a device is storage that can be given read-only, as a disk."""
    return facts.bus == "usb" and BLOCKS in facts.interfaces


def answer_key(facts: DeviceFacts) -> tuple[str, str, str, str]:
    """What an answer is remembered for: bus, vendor, product and serial number.

    A device without a serial number is remembered by its port instead, so that its answer does not pass to
    every device of its kind.
    """
    return facts.bus, facts.vendor, facts.product, facts.serial or f"port {facts.port}"


def class_matches(pattern: str, interface: str) -> bool:
    """Whether an interface class like ``08:06:50`` is what a pattern like ``08:*:*`` names."""
    return interface.startswith(pattern.rstrip(":*")) if pattern.endswith("*") else interface == pattern


def matches(match: Match, facts: DeviceFacts) -> bool:
    """Whether everything that ``match`` names holds of the device."""
    return (
        match.bus in (UNSET, facts.bus)
        and match.vendor in (UNSET, facts.vendor)
        and match.product in (UNSET, facts.product)
        and match.serial in (UNSET, facts.serial)
        and match.port in (UNSET, facts.port)
        and match.removable in (UNSET, facts.removable)
        and (
            match.any_interface is UNSET
            or any(class_matches(p, i) for i in facts.interfaces for p in match.any_interface)
        )
        and (
            match.every_interface is UNSET
            or (
                bool(facts.interfaces)
                and all(any(class_matches(p, i) for p in match.every_interface) for i in facts.interfaces)
            )
        )
    )


def decide(facts: DeviceFacts, policy: Policy, owner: OwnerRules, answers: Answers) -> Decision:
    """The verdict for a device, by reading every rule in order. Pure and total."""
    return conclude(
        facts,
        next((rule for rule in policy.devices if matches(rule.match, facts)), None),
        next((rule for rule in owner.devices if matches(rule.match, facts)), None),
        answers,
    )


def conclude(
    facts: DeviceFacts, corporate: DeviceRule | None, owner: OwnerRule | None, answers: Answers
) -> Decision:
    """The verdict, given the first corporate and the first owner's rule that match."""
    safety = safety_verdict(facts)
    if safety is not None:
        return Decision(
            verdict=safety.verdict, targets=(), rule=f"host:{safety.rule}", reason=_sentence(safety.reason)
        )
    way_out = "" if corporate is None or corporate.verdict == "deny" else _way_out(corporate, facts)
    if way_out:
        if owner is None or owner.to not in ("personal", "ask"):
            return _denied("host:past-tunnel", way_out)
        corporate = None
    if corporate is not None and corporate.verdict == "require":
        if not _gives(corporate, facts):
            return _denied(f"corporate:{corporate.name}", _NO_BLOCKS)
        return Decision(
            verdict="corporate",
            targets=("corporate",),
            rule=f"corporate:{corporate.name}",
            reason="The policy takes such devices for the corporate partition.",
            read_only=("corporate",) if corporate.access == "read-only" else (),
        )
    if owner is not None and owner.to == "deny":
        return _denied(f"owner:{owner.name}", "The owner's rules give it to nobody.")
    if owner is not None and not _gives(owner, facts):
        return _denied(f"owner:{owner.name}", _NO_BLOCKS)
    targets: list[Target] = []
    granted_by: list[str] = []
    if corporate is not None and corporate.verdict == "allow" and _gives(corporate, facts):
        targets.append("corporate")
        granted_by.append(f"corporate:{corporate.name}")
    if owner is not None and owner.to in ("personal", "ask"):
        targets.append("personal")
        granted_by.append(f"owner:{owner.name}")
    read_only = _only_read(targets, corporate, owner)
    if not targets:
        return _nowhere(corporate, owner)
    if owner is not None and owner.to in targets:
        return Decision(
            verdict=owner.to,
            targets=tuple(targets),
            rule=f"owner:{owner.name}",
            reason=f"The owner's rules send it to the {owner.to} partition.",
            read_only=read_only,
        )
    answer = answers.get(answer_key(facts))
    if answer == "deny":
        return _denied("answer", "The owner said no before.")
    if answer in targets:
        return Decision(
            verdict=answer,
            targets=tuple(targets),
            rule="answer",
            reason=f"The owner chose the {answer} partition before.",
            read_only=read_only,
        )
    return Decision(
        verdict="ask",
        targets=tuple(targets),
        rule=" ".join(granted_by),
        reason="The person at the laptop decides.",
        read_only=read_only,
    )


def _way_out(rule: DeviceRule, facts: DeviceFacts) -> str:
    """Why a rule may not give a device to the corporate partition; empty if it may."""
    if past_tunnel(facts):
        return "The corporate partition would have a way around the tunnel."
    if unsaid(facts) and UNSET in (rule.match.vendor, rule.match.product):
        return (
            "It may be a way around the tunnel and does not say; a rule for its very model can vouch for it."
        )
    return ""


_NO_BLOCKS = "The rule gives storage to be read and nothing else, and this is no storage."


def _gives(rule: DeviceRule | OwnerRule, facts: DeviceFacts) -> bool:
    return rule.access is UNSET or has_blocks(facts)


def _only_read(
    targets: list[Target], corporate: DeviceRule | None, owner: OwnerRule | None
) -> tuple[Target, ...]:
    if owner is not None and owner.access == "read-only":
        return tuple(targets)
    limited = corporate is not None and corporate.access == "read-only"
    return tuple(target for target in targets if target == "corporate" and limited)


def _nowhere(corporate: DeviceRule | None, owner: OwnerRule | None) -> Decision:
    if corporate is not None and corporate.verdict == "deny":
        return _denied(f"corporate:{corporate.name}", "The policy refuses it, and no other rule takes it.")
    if corporate is not None and owner is None:
        return _denied(f"corporate:{corporate.name}", _NO_BLOCKS)
    if owner is not None:
        return _denied(
            f"owner:{owner.name}",
            "The owner wants it in the corporate partition, which may not have it.",
        )
    return _denied("default", "No rule takes it, and what no rule takes is denied.")


def _denied(rule: str, reason: str) -> Decision:
    return Decision(verdict="deny", targets=(), rule=rule, reason=reason)


def _sentence(reason: str) -> str:
    return reason[0].upper() + reason[1:] + "."

"""What one policy says besides device rules that another did not, in sentences for the person it concerns.

Every field has its words in :data:`_WORDS` or is told by its name: no difference is left out
(tests/unit/test_policy_diff.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from .model import Gateway, Policy

_ABSENT = "not set"


def changes_in_words(old: Policy, new: Policy) -> tuple[str, ...]:
    """One sentence for each difference outside ``devices``, in the order of the document; and how many rules
    came, went, changed or moved.
    """
    return tuple(_changes(old, new))


def _changes(old: Policy, new: Policy) -> Iterator[str]:
    for path, was, becomes in _differences(old, new, ""):
        words = _WORDS.get(path)
        yield words(was, becomes) if words else f"{path}: {_shown(was)} becomes {_shown(becomes)}."
    yield from _rules(old, new)


def _differences(old: Any, new: Any, at: str) -> Iterator[tuple[str, Any, Any]]:
    """Path, old and new value of what differs, descending into structs but not into what ``_WORDS`` names."""
    if old == new or at == "devices":
        return
    if not isinstance(old, msgspec.Struct) or at in _WORDS:
        yield at, old, new
        return
    for name in old.__struct_fields__:
        yield from _differences(getattr(old, name), getattr(new, name), f"{at}.{name}".lstrip("."))


def _becomes(what: str) -> Callable[[Any, Any], str]:
    return lambda was, becomes: f"{what}: {_shown(becomes)}, was {_shown(was)}."


def _shown(value: Any) -> str:
    if value is UNSET or value == () or value == "":
        return _ABSENT
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return msgspec.json.encode(value).decode() if isinstance(value, msgspec.Struct) else str(value)


def _set_of(what: str) -> Callable[[Any, Any], str]:
    """A list of which only what came and went matters, and its order if nothing did."""

    def words(was: tuple[str, ...], becomes: tuple[str, ...]) -> str:
        came = [item for item in becomes if item not in was]
        went = [item for item in was if item not in becomes]
        told = [f"now with {', '.join(came)}"] if came else []
        told += [f"no longer with {', '.join(went)}"] if went else []
        return f"{what} {' and '.join(told) if told else 'in another order'}."

    return words


def _gateways(was: tuple[Gateway, ...], becomes: tuple[Gateway, ...]) -> str:
    before, after = {g.name: g for g in was}, {g.name: g for g in becomes}
    told = [f"{name} is new, at {after[name].endpoint}" for name in after if name not in before]
    told += [f"{name} is gone" for name in before if name not in after]
    for name in before.keys() & after.keys():
        if before[name].endpoint != after[name].endpoint:
            told.append(f"{name} moves from {before[name].endpoint} to {after[name].endpoint}")
        if before[name].public_key != after[name].public_key:
            told.append(f"{name} has another key")
    if not told and list(before) == list(after):
        told.append("their settings differ")
    return f"Gateways of the tunnel: {'; '.join(told) or 'in another order'}."


_DIRECTIONS = {
    "to_corporate": "Into the corporate computer",
    "from_corporate": "Out of the corporate computer",
}
_WORDS: dict[str, Callable[[Any, Any], str]] = {
    "name": _becomes("The policy's name"),
    "description": _becomes("Its description"),
    "partition.image": _becomes("The golden image is called"),
    "partition.vcpus": _becomes("Processors of the corporate computer"),
    "partition.memory_mib": _becomes("Its memory, MiB"),
    "partition.disk_gib": _becomes("Its disk, GiB (a disk that is there keeps its size)"),
    "partition.escrow_key": _becomes("Key with which your employer can open its disk without you"),
    "vpn.gateways": _gateways,
    "vpn.routes": _set_of("The tunnel reaches its networks"),
    "vpn.dns": _becomes("Name servers in the tunnel"),
    "vpn.mtu": _becomes("Largest packet in the tunnel, bytes"),
    "vpn.search": _becomes("Short names are looked up in"),
    "vpn.public_gateways": _becomes("Named gateways are never in a private network"),
    "vpn.portal_check": _becomes("Page that tells a network which wants a sign-in"),
    "lease.offline_hours": _becomes("Hours without the server until it locks"),
    "lease.warning_hours": _becomes("Hours before that when you are warned"),
    "lease.network_hours": _becomes(
        "Hours before that when its network goes (not set: a quarter of the warning)"
    ),
    "lease.action": _becomes("What happens at the end of that time (wipe destroys its keys)"),
    "lease.destroy_hours": _becomes("Hours after the lock until its keys are destroyed"),
    "lease.server_share": _becomes("Its new keys need a part that comes from your employer with the lease"),
    "host.least_grade": _becomes("Worst isolation grade with which it may run"),
    "host.update_ring": _becomes("Ring in which this laptop gets new releases"),
    "report": _set_of("The laptop reports"),
    **{
        f"exchange.{way}.{kind}.{field}": _becomes(f"{where}, {kind}: {what}")
        for way, where in _DIRECTIONS.items()
        for kind in ("clipboard", "files", "urls")
        for field, what in (
            ("verdict", "may it cross"),
            ("limit_bytes", "most bytes at once"),
            ("types", "only these types"),
        )
    },
}
"""Sentences by the path of the field."""


def _rules(old: Policy, new: Policy) -> Iterator[str]:
    before = {rule.name: rule for rule in old.devices}
    after = {rule.name: rule for rule in new.devices}
    kept_before = [name for name in before if name in after]
    kept_after = [name for name in after if name in before]
    counts = (
        (len(after.keys() - before.keys()), "new"),
        (len(before.keys() - after.keys()), "gone"),
        (sum(before[name] != after[name] for name in kept_after), "changed"),
    )
    told = [f"{count} {what}" for count, what in counts if count]
    if kept_before != kept_after:
        told.append("some in another order")
    if told:
        yield f"Device rules: {', '.join(told)}."

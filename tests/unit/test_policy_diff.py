"""A diff: verdicts on an inventory, and no other difference left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import structs
from twinhull_policy.diff import diff
from twinhull_policy.example import example_policy
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import DeviceRule, Match, Policy
from twinhull_policy.parse import canonical, parse_policy

from tests.support.policies import policies

STICK = DeviceFacts(bus="usb", vendor="1234", product="5678", serial="s1", interfaces=("08:06:50",))
KEY = DeviceFacts(bus="usb", vendor="1050", product="0407", interfaces=("03:00:00", "0b:00:00"))
KEYBOARD = DeviceFacts(bus="usb", vendor="046d", product="c31c", interfaces=("03:01:01",))


def with_rules(*rules: DeviceRule) -> Policy:
    return structs.replace(example_policy(), devices=rules)


def rule(verdict: Any, name: str = "c", **match: Any) -> DeviceRule:
    return DeviceRule(name=name, match=Match(**match), verdict=verdict)


def told(old: Policy, new: Policy) -> list[tuple[str, str, str, str]]:
    return [
        (change.device.product, change.partition, change.old, change.new)
        for change in diff(old, new, [STICK, KEY, KEYBOARD]).changes
    ]


def test_two_verdicts_for_each_device() -> None:
    old = with_rules(rule("allow", vendor="1234"))
    new = with_rules(rule("require", name="other", vendor="1234"))
    found = diff(old, new, [STICK, KEY, KEYBOARD])
    assert found.compared == 6
    assert told(old, new) == [("5678", "corporate", "may", "takes"), ("5678", "personal", "owner", "never")]
    assert [change.old_rule for change in found.changes] == ["corporate:c", ""]
    assert [change.new_rule for change in found.changes] == ["corporate:other", "corporate:other"]
    assert found.sections == ("devices",)
    assert found.words == ("Device rules: 1 new, 1 gone.",)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ([], [], []),
        ([], [rule("deny")], []),
        ([rule("allow")], [rule("allow", name="renamed")], []),
        (
            [rule("allow")],
            [],
            [("5678", "corporate", "may", "never"), ("0407", "corporate", "may", "never")],
        ),
        ([rule("require", vendor="046d")], [], []),
        (
            [rule("allow", vendor="1234")],
            [structs.replace(rule("allow", vendor="1234"), access="read-only")],
            [("5678", "corporate", "may", "may read-only")],
        ),
        (
            [structs.replace(rule("require"), access="read-only")],
            [],
            [
                ("5678", "corporate", "takes read-only", "never"),
                ("5678", "personal", "never", "owner"),
                ("0407", "personal", "never", "owner"),
            ],
        ),
    ],
)
def test_only_where_a_device_may_go_counts(old: Any, new: Any, changes: Any) -> None:
    assert told(with_rules(*old), with_rules(*new)) == changes


EXAMPLE = json.loads(canonical(example_policy()))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("lease.offline_hours", 336, "Hours without the server until it locks: 336, was 168."),
        ("lease.network_hours", 2, "2, was 6."),
        ("report", ["version", "devices"], "The laptop reports now with devices and no longer with"),
        ("report", ["grade", "vpn", "image", "partition", "policy", "version"], "reports in another order."),
        ("vpn.gateways.0.endpoint", "192.0.2.1:1", "first moves from 203.0.113.2:51820 to 192.0.2.1:1."),
        ("vpn.gateways.0.name", "second", "second is new, at 203.0.113.2:51820; first is gone."),
        (
            "vpn.gateways.0.public_key",
            "ZXhhbXBsZS1nYXRld2F5LXB1YmxpYy1rZXktMDAwMDI=",
            "first has another key.",
        ),
        ("vpn.routes", ["0.0.0.0/0"], "The tunnel reaches its networks no longer with ::/0."),
        (
            "exchange.from_corporate.files.verdict",
            "ask",
            "Out of the corporate computer, files: may it cross: ask",
        ),
        ("exchange.to_corporate.clipboard.types", ["image/*"], "only these types: image/*, was text/plain."),
        ("partition.memory_mib", 8192, "Its memory, MiB: 8192, was 4096."),
        ("host.least_grade", "B", "Worst isolation grade with which it may run: B, was E."),
    ],
)
def test_the_rest_in_words(path: str, value: object, sentence: str) -> None:
    document = json.loads(json.dumps(EXAMPLE))
    at: Any = document
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        at = at[step]
    at[last] = value
    words = diff(example_policy(), parse_policy(json.dumps(document).encode()), []).words
    assert len(words) == 1
    assert sentence in words[0]


@settings(max_examples=100)
@given(policies(), policies())
def test_no_difference_is_left_out(old: Policy, new: Policy) -> None:
    found = diff(old, new, [STICK])
    assert bool(found.words) == (old != new)
    assert bool(found.sections) == (old != new)
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in found.words)
    assert diff(old, old, [STICK, KEY]).changes == ()


@settings(max_examples=50)
@given(policies(), policies())
def test_a_change_of_one_section_is_told_for_that_section(old: Policy, new: Policy) -> None:
    for section in Policy.__struct_fields__:
        mixed = structs.replace(old, **{section: getattr(new, section)})
        found = diff(old, mixed, [])
        changed = getattr(old, section) != getattr(new, section)
        assert found.sections == ((section,) if changed else ())
        assert bool(found.words) == changed

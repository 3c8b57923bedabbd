"""Ratios of the policy package, interleaved in one run: ``python tests/bench/policy.py`` prints JSON.

``load``: reading a policy of 1,000 rules, against pydantic reading the same text into the same shape.
``decide``: a verdict out of 10,000 rules by the index, against the plain linear reading; for rules by
product, for rules of every shape, and for rules that begin alike (``every_interface`` of one class and more).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.evaluate import decide
from twinhull_policy.example import example_policy
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import (
    CLASS_PATTERN,
    HEX4_PATTERN,
    NAME_PATTERN,
    DeviceRule,
    Match,
    OwnerRules,
    Policy,
)
from twinhull_policy.parse import canonical, parse_policy

Hex4 = Annotated[str, Field(pattern=f"^{HEX4_PATTERN}$")]
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
Classes = tuple[Annotated[str, Field(pattern=f"^{CLASS_PATTERN}$")], ...]

DEVICES = 16
"""Decided one after the other, as those of a dock are."""


class Strict(BaseModel):
    """As closed as the policy's own model."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PydanticMatch(Strict):
    """A match with the same fields and bounds."""

    bus: Literal["usb", "pci", "bluetooth"] | None = None
    vendor: Hex4 | None = None
    product: Hex4 | None = None
    serial: Annotated[str, Field(max_length=126)] | None = None
    any_interface: Classes | None = None
    every_interface: Classes | None = None
    port: Annotated[str, Field(max_length=32)] | None = None
    removable: bool | None = None


class PydanticRule(Strict):
    """A device rule with the same fields and bounds."""

    name: Name
    match: PydanticMatch
    verdict: Literal["require", "allow", "deny"]


class PydanticPolicy(BaseModel):
    """A policy of which only the rules are looked into, which is to pydantic's advantage."""

    devices: list[PydanticRule]


def with_rules(count: int) -> Policy:
    """The example with so many rules, each for another product."""
    rules = tuple(
        DeviceRule(
            name=f"rule-{n}",
            match=Match(bus="usb", vendor=f"{n // 256:04x}", product=f"{n % 256:04x}"),
            verdict="allow",
        )
        for n in range(count)
    )
    return structs.replace(example_policy(), devices=rules)


def of_every_shape(count: int) -> Policy:
    """The example with so many rules that match on different things: numbers, classes, ports, serials."""
    shapes = (
        lambda n: Match(bus="usb", vendor=f"{n:04x}"),
        lambda n: Match(vendor=f"{n:04x}", product="0407", serial=f"s{n}"),
        lambda n: Match(vendor=f"{n:04x}", any_interface=("08:*:*", "0e:01:*")),
        lambda n: Match(product=f"{n:04x}", every_interface=("01:*:*", "03:00:*")),
        lambda n: Match(port=f"1-{n}"),
        lambda n: Match(bus="pci", vendor=f"{n:04x}", removable=False),
    )
    rules = tuple(
        DeviceRule(name=f"rule-{n}", match=shapes[n % len(shapes)](n), verdict="allow") for n in range(count)
    )
    return structs.replace(example_policy(), devices=rules)


def that_begin_alike(count: int) -> Policy:
    """The example with so many rules for devices that are audio and one thing more, each another."""
    rules = tuple(
        DeviceRule(
            name=f"rule-{n}",
            match=Match(every_interface=("01:*:*", f"{n // 256 + 16:02x}:{n % 256:02x}:*")),
            verdict="allow",
        )
        for n in range(count)
    )
    return structs.replace(example_policy(), devices=rules)


def compare(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> dict[str, float]:
    """Medians of both in seconds, run by turns, and how many times faster ours is."""
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for run, into in zip((ours, theirs), samples, strict=True):
            begin = time.perf_counter()
            run()
            into.append(time.perf_counter() - begin)
    mine, other = (statistics.median(s) for s in samples)
    return {"ours": mine, "theirs": other, "ratio": other / mine}


def decide_both(policy: Policy, device: DeviceFacts) -> dict[str, float]:
    """Verdicts on some devices that differ in their product, by the index and by the plain reading."""
    owner = OwnerRules()
    compiled = CompiledPolicy(policy, owner)
    devices = [structs.replace(device, product=f"{n:04x}") for n in range(240, 240 + DEVICES)]
    return compare(
        lambda: [compiled.decide(one, {}) for one in devices],
        lambda: [decide(one, policy, owner, {}) for one in devices],
        20,
    )


def main() -> None:
    """Print all comparisons."""
    text = canonical(with_rules(1000))
    device = DeviceFacts(bus="usb", vendor="0026", product="00ff", interfaces=("ff:00:00",))
    headset = DeviceFacts(bus="usb", vendor="ffff", product="ffff", interfaces=("01:01:00", "03:00:00"))
    result = {
        "load": compare(lambda: parse_policy(text), lambda: PydanticPolicy.model_validate_json(text), 200),
        "decide by product": decide_both(with_rules(10_000), device),
        "decide among every shape": decide_both(of_every_shape(10_000), headset),
        "decide among rules that begin alike": decide_both(that_begin_alike(10_000), headset),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

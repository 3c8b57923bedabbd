"""Two ratios of the policy package, interleaved in one run: ``python tests/bench/policy.py`` prints JSON.

``load``: reading a policy of 1,000 rules, against pydantic reading the same text into the same shape.
``decide``: a verdict out of 10,000 rules by the index, against the plain linear reading.
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


def main() -> None:
    """Print both comparisons."""
    text = canonical(with_rules(1000))
    big = with_rules(10_000)
    compiled = CompiledPolicy(big, OwnerRules())
    device = DeviceFacts(bus="usb", vendor="0026", product="00ff", interfaces=("ff:00:00",))
    owner = OwnerRules()
    result = {
        "load": compare(lambda: parse_policy(text), lambda: PydanticPolicy.model_validate_json(text), 200),
        "decide": compare(lambda: compiled.decide(device, {}), lambda: decide(device, big, owner, {}), 50),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

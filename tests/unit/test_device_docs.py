"""docs/devices.md says what the code does: every kind, every rule of the start, every state, every code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from twinhull_hypervisor.daemon import device_errors
from twinhull_policy.api.types import DeviceState
from twinhull_policy.descriptors import MalformedDescriptors
from twinhull_policy.errors import TwinhullError
from twinhull_policy.kinds import Kind
from twinhull_policy.owner_defaults import default_owner_rules

TEXT = (Path(__file__).parents[2] / "docs" / "devices.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of a table."""
    body = TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]


def test_every_kind_a_usb_device_can_be_is_in_the_table() -> None:
    told = {kind for row in rows("kind") for kind in re.findall("^`(.*)`$", row[0])}
    assert told == {kind.value for kind in Kind} - {"display", "platform"}


def test_the_rules_are_in_their_order_and_do_what_is_said() -> None:
    rules = {rule.name: rule.to for rule in default_owner_rules().devices}
    told = [(name, row[3]) for row in rows("kind") for name in re.findall("^`owner:(.*)`$", row[2])]
    order = list(dict.fromkeys(name for name, _ in told if name != "pci"))
    assert order == [name for name in rules if name in order]
    assert set(order) == set(rules) - {"pci", "bluetooth-devices"}
    for name, happens in told:
        word = {"ask": "asks", "deny": "stay with the host" if name == "pci" else "refused"}[rules[name]]
        assert happens.startswith(word), name


def test_every_state_is_explained() -> None:
    assert {row[0].strip("`") for row in rows("state")} == set(get_args(DeviceState))


def test_every_code_is_explained() -> None:
    classes = [c for c in vars(device_errors).values() if isinstance(c, type) and c is not TwinhullError]
    codes = {c.code for c in classes if issubclass(c, TwinhullError)} | {MalformedDescriptors.code}
    assert {row[0].strip("`") for row in rows("code")} == codes

"""The audit trail of devices is bounded, and the employer's part of it is the employer's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twinhull_hypervisor.daemon.device_journal import LINES_A_MINUTE, DeviceJournal, reported
from twinhull_hypervisor.daemon.device_memory import MAX_ANSWERS, DeviceMemory
from twinhull_hypervisor.daemon.device_plan import Identity, Placement
from twinhull_hypervisor.daemon.state import State
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import OwnerRules
from twinhull_policy.owner_defaults import default_owner_rules
from twinhull_policy.parse import PolicyError

FACTS = DeviceFacts(bus="usb", vendor="1234", product="5678", interfaces=("08:06:50",), port="1-2")


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.sqlite")


def test_a_flood_is_counted_and_not_listed(state: State) -> None:
    now = 1000.0
    journal = DeviceJournal(state, clock=lambda: now)
    placement = Placement("asking", "owner:storage", "The person decides.")
    for number in range(1000):
        identity = Identity("1-2", "aa", 1, number % 127)
        assert journal.tell("Stick", identity, FACTS, placement)
        assert not journal.tell("Stick", identity, FACTS, placement)
    assert len(state.read_log(1000)) == LINES_A_MINUTE
    now += 60
    journal.tell("Stick", Identity("1-2", "bb", 1, 2), FACTS, placement)
    newest = [entry.text for entry in state.read_log(2)]
    left_out = 1000 - LINES_A_MINUTE
    assert newest[0].startswith(f"{left_out} more decisions")
    assert newest[1] == "Stick: asking by owner:storage"


# Verdict, rule, partition -> the rule that is told, or None when nothing is told at all.
REPORTS: list[tuple[Any, str, str, str | None]] = [
    ("corporate", "corporate:keys", "corporate", "corporate:keys"),
    ("corporate", "corporate:keys", "", "corporate:keys"),
    ("deny", "corporate:no-storage", "", "corporate:no-storage"),
    ("corporate", "owner:my-cards", "corporate", ""),
    ("corporate", "answer", "corporate", ""),
    ("ask", "corporate:audio owner:audio", "corporate", ""),
    ("ask", "corporate:audio owner:audio", "", None),
    ("ask", "corporate:audio owner:audio", "personal", None),
    ("personal", "owner:mine", "personal", None),
    ("deny", "owner:mine", "", None),
    ("deny", "host:camera-off", "", None),
    ("host", "host:hub", "", None),
]


@pytest.mark.parametrize(("verdict", "rule", "partition", "told"), REPORTS)
def test_what_the_employer_is_told(verdict: Any, rule: str, partition: str, told: str | None) -> None:
    info = DeviceInfo(
        id="usb-1-2",
        bus="usb",
        name="Mine",
        port="1-2",
        verdict=verdict,
        rule=rule,
        reason="",
        attached_to=partition,
    )
    report = reported(info)
    assert (report.rule if report else None) == told


def test_answers_are_bounded_and_the_newest_stay(state: State) -> None:
    memory = DeviceMemory(state, "boot")
    for number in range(MAX_ANSWERS + 10):
        facts = DeviceFacts(bus="usb", vendor="1234", product="5678", serial=f"s{number}")
        memory.remember(facts, "personal")
    again = DeviceMemory(state, "boot")
    assert len(again.answers) == MAX_ANSWERS
    assert ("usb", "1234", "5678", f"s{MAX_ANSWERS + 9}") in again.answers
    assert ("usb", "1234", "5678", "s0") not in again.answers


def test_a_bad_document_changes_nothing_and_an_unreadable_one_gives_nothing(state: State) -> None:
    memory = DeviceMemory(state, "boot")
    with pytest.raises(PolicyError):
        memory.set_owner(b'{"schema":"twinhull.owner/1","devices":[{}]}')
    assert memory.owner == default_owner_rules()
    memory.set_owner(b'{"schema":"twinhull.owner/1"}')
    assert DeviceMemory(state, "boot").owner == OwnerRules()
    memory.set_owner(b" ")
    assert DeviceMemory(state, "boot").owner == default_owner_rules()
    state.put_bytes("owner-rules", b'{"schema":"twinhull.owner/9"}')
    assert DeviceMemory(state, "boot").owner == OwnerRules()

"""What needs attention on a laptop, and that each thing has a fix that exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_client.cli import attention
from twinhull_client.cli.attention import LEAST_FREE, from_status, of_this_computer
from twinhull_policy.api.types import Finding, LeaseInfo, PartitionInfo, Status

from tests.support.cli import NO_BUS, command_paths, twinhull
from tests.support.demonstration import demonstration_status

NOW = 1_795_000_000.0
"""After all that the demonstration has done."""


def changed(**parts: dict[str, Any]) -> Status:
    """The demonstration's status with some fields of its parts changed."""
    status = demonstration_status()
    new = {name: msgspec.structs.replace(getattr(status, name), **fields) for name, fields in parts.items()}
    return msgspec.structs.replace(status, **new)


def failed_partition() -> Status:
    corporate = PartitionInfo(name="corporate", state="failed", reason="Its disk is not there.")
    status = demonstration_status()
    return msgspec.structs.replace(status, partitions=[corporate, *status.partitions[1:]])


CASES: dict[str, Callable[[], Status]] = {
    "enrolment": lambda: demonstration_status(enrolled=False),
    "server": lambda: changed(enrolment={"connected": False}),
    "clock": lambda: changed(policy={"applied_at": NOW + 3600}),
    "lease": lambda: msgspec.structs.replace(demonstration_status(), lease=LeaseInfo(stage="warning")),
    "policy": lambda: changed(policy={"last_refusal": "TH-TRU-024 it is older."}),
    "trust-1": lambda: changed(policy={"warnings": ["The root ends tomorrow."]}),
    "vpn-proof": lambda: changed(vpn={"proof_failed": ["ipv6"]}),
    "vpn-confinement": lambda: changed(vpn={"confined": False}),
    "sign-in": lambda: changed(vpn={"portal": "http://portal.example/"}),
    "vpn": lambda: changed(vpn={"state": "error", "reason": "Nobody answers."}),
    "partition-corporate": failed_partition,
    "devices": lambda: msgspec.structs.replace(demonstration_status(), devices_problem="Nobody answers."),
}
"""By the one thing that is found in each."""


def local() -> list[Finding]:
    """All that a computer itself could show."""
    return of_this_computer(lambda: LEAST_FREE - 1, lambda: ["twinhull-fetch.service"])


def test_a_laptop_in_everyday_use_needs_nothing() -> None:
    assert from_status(demonstration_status(), NOW) == []
    assert of_this_computer(lambda: LEAST_FREE, list) == []
    assert of_this_computer(lambda: None, list) == []


@pytest.mark.parametrize("name", CASES)
def test_each_problem_is_found_alone(name: str) -> None:
    assert [finding.name for finding in from_status(CASES[name](), NOW)] == [name]


def test_a_clock_that_was_set_by_a_little_is_right() -> None:
    status = changed(policy={"applied_at": NOW + attention.CLOCK_SLACK - 1})
    assert from_status(status, NOW) == []


def test_what_the_computer_shows_without_the_daemon() -> None:
    assert [finding.name for finding in local()] == ["twinhull-fetch.service", "disk-space"]


def test_every_fix_names_a_command_that_exists() -> None:
    found = [*local(), *(finding for make in CASES.values() for finding in from_status(make(), NOW))]
    assert [finding.name for finding in found if not finding.fix] == []
    named = [
        words.split()
        for finding in found
        for words in re.findall(r"'(?:sudo )?twinhull ([^']+)'", finding.fix)
    ]
    assert len(named) >= 5
    known = set(command_paths())
    assert [words for words in named if not {tuple(words[:1]), tuple(words[:2])} & known] == []


def test_room_is_what_users_have(tmp_path: Path) -> None:
    assert (attention.free_bytes(tmp_path) or 0) > 0
    assert attention.free_bytes(tmp_path / "nothing") is None


def test_systemd_is_asked_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemctl"
    lines = r"twinhull-netd.service loaded failed failed Twinhull\ntwinhulld.service loaded failed failed x\n"
    program.write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(attention, "SYSTEMCTL", str(program))
    monkeypatch.setattr(attention, "SYSTEMD", tmp_path / "none")
    assert attention.failed_units() == []
    monkeypatch.setattr(attention, "SYSTEMD", tmp_path)
    assert attention.failed_units() == ["twinhull-netd.service", "twinhulld.service"]
    monkeypatch.setattr(attention, "SYSTEMCTL", str(tmp_path / "nothing"))
    assert attention.failed_units() == []


def test_without_the_daemon_it_still_ends_as_every_command_does() -> None:
    done = twinhull("doctor", bus=NO_BUS)
    assert (done.returncode, done.stderr.splitlines()[1:2]) == (3, ["TH-CLI-001"])
    assert [line for line in done.stdout.splitlines() if line.startswith("Isolation")] == []

"""Clocks that are wrong and documents that are over, on a laptop's inbox: nothing is revived or given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twinhull_hypervisor.daemon.inbox import Inbox
from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust.envelope import envelope_hash

from tests.support.signing import DAY, NOW
from tests.unit.test_daemon_inbox import IMAGE, Laptop

HOUR = 3600
YEAR = 365 * DAY


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    made = Laptop(tmp_path)
    assert made.inbox.accept(NOW)
    return made


def follow(laptop: Laptop, **fields: Any) -> bytes:
    """The next statement; its policy is called ``next``."""
    return laptop.put(
        seq=2,
        prev_hash=envelope_hash(laptop.statement),
        policies=[laptop.put_body(name="next")],
        **fields,
    )


def refused(laptop: Laptop, now: int) -> str:
    """The code; what was in force stays so, and survives a restart."""
    before = laptop.inbox.in_force
    with pytest.raises(TwinhullError) as caught:
        laptop.inbox.accept(now)
    assert laptop.inbox.in_force == before is not None
    assert Inbox(laptop.state, laptop.paths).in_force == before
    return caught.value.code


def name(laptop: Laptop) -> str:
    assert laptop.inbox.in_force is not None
    return laptop.inbox.in_force.policy.name


@pytest.mark.parametrize("behind", [3 * HOUR, 30 * DAY])
def test_a_clock_that_is_behind_still_takes_what_is_new(laptop: Laptop, behind: int) -> None:
    """What was accepted proves the time: the clock counts no less than that."""
    follow(laptop, issued_at=NOW + 60, expires_at=NOW + DAY)
    assert laptop.inbox.accept(NOW - behind)
    assert name(laptop) == "next"


@pytest.mark.parametrize("behind", [3 * HOUR, 30 * DAY])
def test_a_clock_that_is_behind_revives_nothing_that_is_over(laptop: Laptop, behind: int) -> None:
    follow(laptop, issued_at=NOW - behind, expires_at=NOW - 1)
    assert refused(laptop, NOW - behind) == "TH-TRU-028"


def test_a_clock_three_hours_behind_is_told_to_be_set(laptop: Laptop) -> None:
    """Hours after the last contact, the newest statement seems to come from the future."""
    follow(laptop, issued_at=NOW + 3 * HOUR, expires_at=NOW + DAY)
    assert refused(laptop, NOW) == "TH-TRU-027"
    assert laptop.inbox.accept(NOW + 3 * HOUR)


def test_a_clock_a_year_ahead_stops_changes_and_poisons_nothing(laptop: Laptop) -> None:
    follow(laptop, issued_at=NOW + 60, expires_at=NOW + DAY)
    assert refused(laptop, NOW + YEAR + HOUR) == "TH-TRU-009"
    assert refused(laptop, NOW + YEAR - HOUR) == "TH-TRU-028"
    assert laptop.inbox.accept(NOW + 120)
    assert name(laptop) == "next"


def test_a_root_that_expired_before_the_start(tmp_path: Path) -> None:
    """Off for more than a year: the last good policy is in force, and nothing new until the next root."""
    laptop = Laptop(tmp_path)
    assert laptop.inbox.accept(NOW)
    late = NOW + YEAR + DAY
    restarted = Inbox(laptop.state, laptop.paths)
    assert restarted.in_force == laptop.inbox.in_force is not None
    follow(laptop, issued_at=late, expires_at=late + DAY)
    assert refused(laptop, late) == "TH-TRU-009"
    laptop.company.root_expires = late + YEAR
    (laptop.paths.metadata / "root_history/2.root.json").write_bytes(laptop.company.root(2))
    repository = laptop.company.repository([IMAGE], expires=(late + DAY,) * 3)
    for role in ("timestamp", "snapshot", "targets"):
        (laptop.paths.metadata / f"{role}.json").write_bytes(getattr(repository, role))
    assert laptop.inbox.accept(late)
    assert name(laptop) == "next"


def test_an_expired_repository_stops_changes_and_is_told_once(laptop: Laptop) -> None:
    repository = laptop.company.repository([IMAGE], expires=(NOW - 1, NOW + DAY, NOW + DAY))
    (laptop.paths.metadata / "timestamp.json").write_bytes(repository.timestamp)
    follow(laptop, issued_at=NOW, expires_at=NOW + DAY)
    for _ in range(3):
        assert refused(laptop, NOW) == "TH-TRU-051"
    told = [entry for entry in laptop.state.read_log(50) if entry.kind == "refused"]
    assert len(told) == 1
    assert name(laptop) == "first"


def test_what_runs_out_is_told_in_time(laptop: Laptop) -> None:
    """The root ends after a year and the list of images after 90 days."""
    assert laptop.inbox.warnings(NOW + 70 * DAY) == []
    (images,) = laptop.inbox.warnings(NOW + 80 * DAY)
    assert "list of images expires in 10 days" in images
    root, images = sorted(laptop.inbox.warnings(NOW + 350 * DAY), reverse=True)
    assert "root of trust expires in 15 days" in root
    assert "list of images has expired" in images
    assert "root of trust has expired" in str(laptop.inbox.warnings(NOW + YEAR))

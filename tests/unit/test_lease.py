"""The lease: the tables of docs/policy.md are run, and no order of clocks and sleep gets around it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twinhull_policy.lease import (
    EFFECTS,
    HOUR,
    Effects,
    Keys,
    LeaseClock,
    Reading,
    Stage,
    advance,
    begin,
    decide_lease,
    renew_after,
    seconds_to_next,
    stage,
    terms,
)
from twinhull_policy.model import LeaseSection

from tests.support.policies import leases

DOCUMENT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
SECTION = LeaseSection(offline_hours=168, warning_hours=24, network_hours=6, action="wipe", destroy_hours=48)
START = 1_800_000_000
STEP = re.compile(
    r"(?P<what>run|sleep|off|clock|contact from|server time|reboot|contact) ?(?P<hours>[+-]?\d+)?h?( ago)?"
)
ORDER = list(Stage)


def rows(heading: str) -> list[list[str]]:
    """A table of the document by its first column's heading, without its head."""
    text = DOCUMENT.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


class Laptop:
    """A laptop with clocks, and a server that knows the time; while it runs, somebody looks every hour."""

    def __init__(self) -> None:
        self.true = START
        self.skew = 0
        self.boot = 0
        self.booted_at = START - 3600
        self.proven_at = START
        self.clock = begin(START, self.reading(), None)

    def reading(self) -> Reading:
        return Reading(
            wall=self.true + self.skew, boottime=self.true - self.booted_at, boot_id=f"boot-{self.boot}"
        )

    def look(self) -> None:
        self.clock = advance(self.clock, self.reading())

    def step(self, what: str, hours: int) -> None:
        match what:
            case "run":
                for _ in range(hours):
                    self.true += HOUR
                    self.look()
            case "sleep":
                self.true += hours * HOUR
            case "off":
                self.true += hours * HOUR
                self.step("reboot", 0)
            case "reboot":
                self.boot += 1
                self.booted_at = self.true
            case "clock":
                self.skew += hours * HOUR
            case "contact" | "contact from":
                issued = self.true - hours * HOUR
                self.clock = begin(issued, self.reading(), self.clock)
                self.proven_at = max(self.proven_at, issued)
            case "server time":
                self.proven_at = self.clock.issued_at + hours * HOUR
        self.look()

    def stage(self, section: LeaseSection = SECTION) -> Stage:
        proven = max(0, self.proven_at - self.clock.issued_at)
        return stage(terms(section), self.clock.elapsed, proven)


@pytest.mark.parametrize(("steps", "expected"), rows("what happens after contact"))
def test_what_time_and_clocks_do(steps: str, expected: str) -> None:
    laptop = Laptop()
    for text in steps.strip("`").split(", "):
        found = STEP.fullmatch(text)
        assert found, text
        laptop.step(found["what"], int(found["hours"] or 0))
    assert f"`{laptop.stage()}`" == expected


def test_the_table_of_stages_is_what_they_do() -> None:
    told = {
        Stage(name.strip("`")): Effects(
            warns=warned == "yes",
            network=network == "yes",
            runs=runs == "yes",
            keys=msgspec.convert(keys, Keys),
        )
        for name, _, warned, network, runs, keys in rows("stage")
    }
    assert told == EFFECTS
    assert list(told) == ORDER


def test_terms_that_are_not_said() -> None:
    plain = terms(LeaseSection())
    assert (plain.warning, plain.network, plain.lock, plain.destroy) == (
        144 * HOUR,
        162 * HOUR,
        168 * HOUR,
        None,
    )
    assert terms(LeaseSection(action="wipe")).destroy == 168 * HOUR
    assert terms(LeaseSection(warning_hours=0)).network == 168 * HOUR


@pytest.mark.parametrize("age", [0, 143 * HOUR, 144 * HOUR, 161 * HOUR + 3599, 162 * HOUR, 168 * HOUR, 10**9])
def test_the_next_stage_comes_when_it_is_said_to(age: int) -> None:
    limits = terms(SECTION)
    ahead = seconds_to_next(limits, age)
    if ahead is None:
        assert stage(limits, age, 0) is Stage.LOCKED
    else:
        assert stage(limits, age + ahead - 1, 0) is stage(limits, age, 0)
        assert stage(limits, age + ahead, 0) is not stage(limits, age, 0)


@pytest.mark.parametrize(
    ("hours", "proven", "verdict", "rule", "part"),
    [
        (1, 0, "held", "offline_hours", "60 minutes ago"),
        (150, 0, "warning", "warning_hours", "locks in 18 hours"),
        (163, 0, "no-network", "network_hours", "no network now and locks in 5 hours"),
        (400, 0, "locked", "offline_hours", "16 days; the policy allows 7 days"),
        (1, 300, "destroy", "action", "signed time proves 12 days"),
    ],
)
def test_in_words(hours: int, proven: int, verdict: str, rule: str, part: str) -> None:
    told = decide_lease(SECTION, hours * HOUR, proven * HOUR)
    assert (told.verdict, told.rule) == (verdict, f"corporate:lease.{rule}")
    assert part in told.reason
    assert bool(told.targets) == EFFECTS[told.verdict].runs


@settings(max_examples=200)
@given(leases())
def test_who_is_in_contact_is_neither_warned_nor_locked(section: LeaseSection) -> None:
    """Late by 600 s at the server, which signs that often, and by 1,350 s for a push that was lost."""
    limits = terms(section)
    reached = stage(limits, renew_after(section) + 600 + 1350, 0)
    assert EFFECTS[reached].runs
    if section.offline_hours - section.warning_hours >= 2:
        assert reached is Stage.HELD


STEPS = st.lists(
    st.tuples(st.sampled_from(["run", "sleep", "off", "clock", "reboot"]), st.integers(0, 60)), max_size=12
)
SIGNS = st.lists(st.sampled_from([1, -1, -300, 300]), min_size=12, max_size=12)


@settings(max_examples=400)
@given(STEPS, SIGNS)
def test_nothing_that_was_counted_is_lost_and_no_clock_destroys(
    steps: list[tuple[str, int]], signs: list[int]
) -> None:
    laptop = Laptop()
    awake = 0
    for (what, hours), sign in zip(steps, signs, strict=False):
        before = laptop.clock
        laptop.step(what, hours * sign if what == "clock" else hours)
        awake += hours if what in ("run", "sleep") else 0
        assert laptop.clock.elapsed >= before.elapsed
        assert laptop.clock.counted >= before.counted
        # As the design says it: never less than either clock alone.
        assert laptop.clock.elapsed >= max(
            laptop.reading().wall - laptop.clock.issued_at, laptop.clock.counted
        )
        assert laptop.clock.counted >= awake * HOUR
        assert laptop.stage() is not Stage.DESTROY


@settings(max_examples=300)
@given(leases(), st.integers(-(2**40), 2**40), st.integers(0, 2**40), st.integers(0, 2**40))
def test_stages_come_in_order_for_any_policy(
    section: LeaseSection, elapsed: int, more: int, proven: int
) -> None:
    limits = terms(section)
    now, later = stage(limits, elapsed, 0), stage(limits, elapsed + more, 0)
    assert ORDER.index(now) <= ORDER.index(later) < ORDER.index(Stage.DESTROY)
    assert (stage(limits, elapsed, proven) is Stage.DESTROY) == (
        section.action == "wipe" and limits.destroy is not None and proven >= limits.destroy
    )
    assert decide_lease(section, max(0, elapsed), proven).reason.isprintable()


@settings(max_examples=300)
@given(
    st.builds(
        Reading, wall=st.integers(0, 2**40), boottime=st.integers(0, 2**40), boot_id=st.sampled_from("ab")
    ),
    st.builds(
        Reading, wall=st.integers(0, 2**40), boottime=st.integers(0, 2**40), boot_id=st.sampled_from("ab")
    ),
    st.integers(0, 2**40),
)
def test_any_two_readings_go_forward(first: Reading, second: Reading, issued: int) -> None:
    clock = begin(issued, first, None)
    assert clock.elapsed >= 0
    after = advance(clock, second)
    assert after.elapsed >= clock.elapsed
    assert after.counted >= 0
    assert advance(after, second) == after
    kept = msgspec.json.decode(msgspec.json.encode(after), type=LeaseClock)
    assert kept == after

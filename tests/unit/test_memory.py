"""How much memory the personal partition is left with."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.daemon import memory as keeping
from twinhull_hypervisor.daemon.memory import MemoryKeeper, available
from twinhull_hypervisor.domain.machine import Machine, MachineState, guest_memory
from twinhull_hypervisor.domain.memory import RESERVE_MIB, SLACK_MIB, GuestMemory, least, target
from twinhull_policy.names import Partition

MIB = st.integers(0, 1 << 20)


@st.composite
def guests(draw: st.DrawFn) -> GuestMemory:
    most = draw(st.integers(64, 1 << 20))
    now = draw(st.integers(0, most))
    return GuestMemory(most, now, draw(st.none() | st.integers(0, most)))


@given(guests(), MIB, MIB)
def test_it_is_left_with_something_and_never_with_more_than_is_its_own(
    guest: GuestMemory, spare: int, wanted: int
) -> None:
    goal = target(guest, spare, wanted)
    assert min(guest.now, least(guest)) <= goal <= guest.most
    assert least(guest) >= guest.most // 4


@given(guests(), MIB, MIB)
def test_where_others_are_short_it_gives_and_else_it_does_not(
    guest: GuestMemory, spare: int, wanted: int
) -> None:
    short = RESERVE_MIB + wanted - spare
    goal = target(guest, spare, wanted)
    if short > 0:
        assert goal <= guest.now
        assert guest.now - goal <= short, "no more than is wanted"
        assert guest.now - goal == short or goal <= least(guest), "all that is wanted, or all that it has"
    else:
        assert goal >= guest.now


@given(guests(), MIB, MIB)
def test_what_is_done_once_needs_no_second_look(guest: GuestMemory, spare: int, wanted: int) -> None:
    """However much of what it was given the guest uses, or gave up: nothing swings."""
    goal = target(guest, spare, wanted)
    after = replace(guest, now=goal)
    assert target(after, max(0, spare + guest.now - goal), wanted) == goal


@given(guests(), MIB, MIB, MIB)
def test_more_for_others_is_never_more_for_it(guest: GuestMemory, spare: int, one: int, other: int) -> None:
    assert target(guest, spare, max(one, other)) <= target(guest, spare, min(one, other))
    assert target(guest, max(one, other)) >= target(guest, min(one, other))


@given(guests(), MIB)
def test_a_guest_that_says_it_needs_all_keeps_it_and_gets_no_more(guest: GuestMemory, spare: int) -> None:
    claims = replace(guest, used=guest.most)
    assert target(claims, spare) == max(guest.now, target(replace(guest, used=None), spare))


def test_an_amount_of_each_kind() -> None:
    guest = GuestMemory(most=4096, now=4096, used=1000)
    assert target(guest, RESERVE_MIB) == 4096
    assert target(guest, RESERVE_MIB, wanted=1000) == 3096
    assert target(guest, 0, wanted=4096) == 1125
    assert target(replace(guest, now=2000), RESERVE_MIB + SLACK_MIB + 500) == 2500
    assert target(replace(guest, now=2000), RESERVE_MIB + SLACK_MIB) == 2000


@pytest.mark.parametrize(
    ("untrusted_said", "expected"),
    [
        ({}, GuestMemory(1024, 1024)),
        ({"actual": 512 * 1024}, GuestMemory(1024, 512)),
        ({"actual": 1 << 60}, GuestMemory(1024, 1024)),
        ({"available": 1 << 20, "usable": 1 << 19}, GuestMemory(1024, 1024, 512)),
        ({"actual": 512 * 1024, "available": 1 << 20, "usable": 256 * 1024}, GuestMemory(1024, 512, 256)),
        ({"available": 0, "usable": 1 << 62}, GuestMemory(1024, 1024, 0)),
        ({"available": 1 << 62, "usable": 0}, GuestMemory(1024, 1024, 1024)),
    ],
)
def test_a_guests_words_are_bounded(untrusted_said: dict[str, int], expected: GuestMemory) -> None:
    assert guest_memory(1 << 20, untrusted_said) == expected


class Model:
    """A machine whose guest gives up so much at each look."""

    def __init__(self, gives: int) -> None:
        self.guest = GuestMemory(4096, 4096, 500)
        self.goal = 4096
        self.gives = gives
        self.asked: list[int] = []

    def state(self) -> MachineState:
        return MachineState.RUNNING

    def memory(self) -> GuestMemory:
        self.guest = replace(self.guest, now=max(self.goal, self.guest.now - self.gives))
        return self.guest

    def set_memory(self, mib: int) -> None:
        self.asked.append(mib)
        self.goal = mib


def meminfo(path: Path, mib: int) -> Path:
    path.write_text(f"MemTotal: 1 kB\nMemAvailable:    {mib * 1024} kB\n")
    return path


@pytest.mark.parametrize(("gives", "waits"), [(4096, False), (1000, False), (0, True)])
def test_a_start_waits_for_what_is_given_up_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gives: int, waits: bool
) -> None:
    monkeypatch.setattr(keeping, "ROOM_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(keeping, "ROOM_SECONDS", 0.2 if waits else 3600.0)
    model = Model(gives)
    keeper = MemoryKeeper(cast(Machine, model), meminfo(tmp_path / "meminfo", 100))
    asyncio.run(keeper.make_room(Partition.CORPORATE, 8192))
    assert model.asked == [1024]
    assert model.guest.now == (4096 if waits else 1024)


def test_nobody_gives_up_anything_for_the_personal_partition(tmp_path: Path) -> None:
    model = Model(0)
    keeper = MemoryKeeper(cast(Machine, model), meminfo(tmp_path / "meminfo", 100))
    asyncio.run(keeper.make_room(Partition.PERSONAL, 8192))
    assert model.asked == []


def test_the_kernels_own_account_is_read() -> None:
    assert 0 < available() < 1 << 30

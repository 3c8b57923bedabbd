"""Storage that a partition reads and does not get: by hand, by rule, revoked, lost, and through restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from twinhull_hypervisor.daemon.device_errors import (
    NotAllowed,
    NotGiven,
    ReadOnlyOnlyForStorage,
    ScreenLocked,
)
from twinhull_policy.model import Match
from twinhull_policy.names import Partition

from tests.support.device_laptop import DeviceLaptop, device_laptop
from tests.support.usb_kinds import CAMERA, STICK

PERSONAL = Partition.PERSONAL


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[DeviceLaptop]:
    async with device_laptop(tmp_path) as laptop:
        yield laptop


async def plugged(laptop: DeviceLaptop, to: str = "ask") -> None:
    laptop.set_owner(to)
    laptop.ports.plug("1-2", STICK)
    await laptop.rest()


def lent(laptop: DeviceLaptop) -> list[tuple[str, ...]]:
    return [call for call in laptop.ports.calls if call[0] != "revoke"]


async def read_by(laptop: DeviceLaptop, partition: str) -> None:
    info = await laptop.becomes("1-2", "attached", partition)
    assert info.read_only and info.blocks


async def test_by_hand_it_is_lent_and_never_authorised_for_a_guest(laptop: DeviceLaptop) -> None:
    await plugged(laptop)
    await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    await read_by(laptop, "personal")
    assert lent(laptop) == [("lend", "1-2", "personal")]
    assert [holding.read_only for holding in laptop.machines.guests()[PERSONAL].holdings] == [True]
    assert any("attached personal read-only" in entry.body for entry in laptop.state.read_log(10))
    await laptop.commands.detach("1-2")
    assert laptop.machines.held(PERSONAL) == []
    assert not laptop.ports.at("1-2").authorised


async def test_from_whole_to_read_only_and_back(laptop: DeviceLaptop) -> None:
    await plugged(laptop, "personal")
    await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    await read_by(laptop, "personal")
    await laptop.commands.attach("1-2", PERSONAL, read_only=False)
    assert not (await laptop.becomes("1-2", "attached", "personal")).read_only
    assert [what for what, *_ in laptop.machines.history] == [
        "attach",
        "detach",
        "attach",
        "detach",
        "attach",
    ]


async def test_what_is_no_storage_is_refused(laptop: DeviceLaptop) -> None:
    laptop.set_owner("ask")
    laptop.ports.plug("1-2", CAMERA)
    await laptop.rest()
    with pytest.raises(ReadOnlyOnlyForStorage):
        await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    assert laptop.machines.history == [] and lent(laptop) == []


async def test_reading_takes_the_same_permission_as_having(laptop: DeviceLaptop) -> None:
    await plugged(laptop, "deny")
    with pytest.raises(NotAllowed):
        await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    laptop.set_owner("ask")
    laptop.screen.is_locked = True
    with pytest.raises(ScreenLocked):
        await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    assert lent(laptop) == []


async def test_what_cannot_be_read_goes_nowhere_and_says_so(laptop: DeviceLaptop) -> None:
    await plugged(laptop)
    laptop.ports.unreadable = True
    with pytest.raises(NotGiven, match="not storage that can be read"):
        await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    assert laptop.machines.history == []
    assert not laptop.ports.at("1-2").authorised


async def test_a_machine_that_does_not_take_it_leaves_it_blocked(laptop: DeviceLaptop) -> None:
    await plugged(laptop)
    laptop.machines.refuse = True
    with pytest.raises(NotGiven):
        await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    assert not laptop.ports.at("1-2").authorised


async def test_by_the_companys_rule_even_where_the_owner_would_give_all(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.set_rules(company=("require read-only", Match(vendor="0781")))
    laptop.ports.plug("1-2", STICK)
    await read_by(laptop, "corporate")
    with pytest.raises(NotAllowed):
        await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    # Asked for without --read-only it is what the rule allows, and no more.
    await laptop.commands.attach("1-2", Partition.CORPORATE, read_only=False)
    await read_by(laptop, "corporate")
    assert {call[0] for call in lent(laptop)} == {"lend"}


async def test_a_rule_that_gives_less_than_before_acts_on_what_is_attached(laptop: DeviceLaptop) -> None:
    laptop.set_owner("deny")
    laptop.set_rules(company=("require", Match(vendor="0781")))
    laptop.ports.plug("1-2", STICK)
    assert not (await laptop.becomes("1-2", "attached", "corporate")).read_only
    laptop.set_rules(company=("require read-only", Match(vendor="0781")))
    await read_by(laptop, "corporate")
    laptop.set_rules(company=("deny", Match(vendor="0781")))
    await laptop.becomes("1-2", "blocked")
    assert laptop.machines.held(Partition.CORPORATE) == []
    assert not laptop.ports.at("1-2").authorised


async def test_it_is_served_anew_when_whoever_served_it_is_gone(laptop: DeviceLaptop) -> None:
    await plugged(laptop)
    await laptop.commands.attach("1-2", PERSONAL, read_only=True)
    laptop.machines.lose(PERSONAL)
    laptop.manager.poke()
    await read_by(laptop, "personal")
    assert len(lent(laptop)) == 2
    assert not any(holding.lost for holding in laptop.machines.guests()[PERSONAL].holdings)


async def test_a_restart_of_the_core_or_the_guest_and_a_sleep_keep_it(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal read-only")
    laptop.ports.plug("1-2", STICK)
    await read_by(laptop, "personal")
    await laptop.restart_core()
    await laptop.rest()
    await read_by(laptop, "personal")
    assert len(lent(laptop)) == 1, "it was not touched"
    laptop.machines.stop(PERSONAL)
    laptop.machines.start(PERSONAL)
    laptop.manager.poke()
    await read_by(laptop, "personal")
    await laptop.goes_to_sleep()
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK)
    await laptop.screen.sleep.put(False)
    await read_by(laptop, "personal")

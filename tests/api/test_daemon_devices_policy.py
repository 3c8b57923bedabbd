"""What policy and the person's hand do to devices, also to those that are attached already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from twinhull_hypervisor.daemon.device_errors import (
    CannotRemember,
    NoDevice,
    NotAllowed,
    NotAsked,
    NotAttached,
    NotGiven,
    PciOnlyAtStart,
)
from twinhull_hypervisor.daemon.partition_errors import NotRunning
from twinhull_policy.model import Match
from twinhull_policy.names import Partition

from tests.support.device_laptop import DeviceLaptop, device_laptop
from tests.support.usb_kinds import (
    POINTER,
    STICK,
)


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[DeviceLaptop]:
    async with device_laptop(tmp_path) as laptop:
        yield laptop


# Policy


async def test_require_is_the_companys_whatever_the_owner_says(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.set_rules(company=("require", Match(vendor="0781")))
    await laptop.becomes("1-2", "attached", "corporate")
    assert laptop.machines.history == [
        ("attach", "personal", "1-2"),
        ("detach", "personal", "1-2"),
        ("attach", "corporate", "1-2"),
    ]


async def test_a_policy_that_is_gone_takes_its_devices_along(laptop: DeviceLaptop) -> None:
    laptop.set_owner("deny")
    laptop.set_rules(company=("require", Match(vendor="0781")))
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "corporate")
    laptop.policy = None
    laptop.manager.poke()
    await laptop.becomes("1-2", "blocked")
    assert laptop.machines.held(Partition.CORPORATE) == []
    assert not laptop.ports.at("1-2").authorised


async def test_what_is_revoked_goes_although_devd_is_dead(laptop: DeviceLaptop) -> None:
    laptop.set_owner("deny")
    laptop.set_rules(company=("require", Match(vendor="0781")))
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "corporate")
    laptop.stop_devd()
    await laptop.until(lambda: "devd" in laptop.manager.problem)
    assert laptop.machines.held(Partition.CORPORATE) == ["1-2"]
    laptop.set_rules(company=("deny", Match(vendor="0781")))
    await laptop.until(lambda: laptop.machines.held(Partition.CORPORATE) == [])
    laptop.start_devd()
    await laptop.until(lambda: not laptop.ports.at("1-2").authorised)


async def test_before_devd_was_ever_there_nothing_is_taken_from_a_machine(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.stop_core()
    laptop.stop_devd()
    laptop.new_core()
    await laptop.start_core()
    await laptop.until(lambda: "devd" in laptop.manager.problem)
    assert laptop.machines.held(Partition.PERSONAL) == ["1-2"]
    laptop.start_devd()
    await laptop.becomes("1-2", "attached", "personal")


async def test_before_libvirt_answered_nothing_is_taken_from_a_machine(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.machines.away = True
    await laptop.restart_core()
    laptop.ports.plug("1-3", POINTER)
    await laptop.until(lambda: laptop.ports.at("1-3").driver_bound)
    assert laptop.ports.at("1-2").authorised
    laptop.machines.away = False
    laptop.manager.poke()
    await laptop.becomes("1-2", "attached", "personal")
    assert [what for what, _, _ in laptop.machines.history] == ["attach"]


async def test_without_a_policy_nothing_is_corporate(laptop: DeviceLaptop) -> None:
    laptop.set_owner("corporate")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "blocked")
    laptop.set_owner("ask")
    info = await laptop.becomes("1-2", "asking")
    assert info.targets == ["personal"]
    with pytest.raises(NotAllowed):
        await laptop.commands.attach("1-2", Partition.CORPORATE, read_only=False)


async def test_a_holder_that_does_not_let_go_keeps_everybody_else_out(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.machines.stuck = True
    laptop.set_rules(company=("require", Match(vendor="0781")))
    await laptop.rest()
    assert laptop.machines.held(Partition.PERSONAL) == ["1-2"]
    assert laptop.machines.held(Partition.CORPORATE) == []
    laptop.machines.stuck = False
    laptop.manager.poke()
    await laptop.becomes("1-2", "attached", "corporate")


# By hand


async def test_an_answer_for_once_outlives_core_and_not_the_plug(laptop: DeviceLaptop) -> None:
    laptop.set_owner("ask")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "asking")
    await laptop.commands.attach("1-2", Partition.PERSONAL, read_only=False)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.restart_core()
    await laptop.becomes("1-2", "attached", "personal")
    assert [what for what, _, _ in laptop.machines.history] == ["attach"], "it was not touched"
    await laptop.stop_core()
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK)
    laptop.new_core()
    await laptop.start_core()
    await laptop.becomes("1-2", "asking")
    laptop.boot = "boot-2"
    await laptop.commands.attach("1-2", Partition.PERSONAL, read_only=False)
    await laptop.restart_core()
    await laptop.becomes("1-2", "asking")


async def test_what_is_taken_back_stays_back_until_it_is_plugged_in_again(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.commands.detach("1-2")
    assert laptop.machines.held(Partition.PERSONAL) == []
    assert not laptop.ports.at("1-2").authorised
    await laptop.rest()
    assert (laptop.info("1-2") or laptop.manager.infos()[0]).state == "blocked"
    with pytest.raises(NotAttached):
        await laptop.commands.detach("usb-1-2")
    await laptop.restart_core()
    await laptop.rest()
    assert (laptop.info("1-2") or laptop.manager.infos()[0]).state == "blocked"
    laptop.ports.pull("1-2")
    await laptop.rest()
    assert laptop.manager.plugged.choices == {}
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")


async def test_attach_by_hand_moves_a_device_where_it_may_go(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.set_rules(sticks=("allow", Match(vendor="0781")))
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.commands.attach("1-2", Partition.CORPORATE, read_only=False)
    assert laptop.machines.held(Partition.PERSONAL) == []
    assert laptop.machines.held(Partition.CORPORATE) == ["1-2"]
    laptop.machines.stop(Partition.PERSONAL)
    with pytest.raises(NotRunning):
        await laptop.commands.attach("1-2", Partition.PERSONAL, read_only=False)
    await laptop.becomes("1-2", "attached", "corporate")


async def test_attach_by_hand_is_refused_by_the_rule_that_denies(laptop: DeviceLaptop) -> None:
    laptop.set_rules(no_storage=("deny", Match(any_interface=("08:*:*",))))
    laptop.set_owner("deny")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "blocked")
    for partition in Partition:
        with pytest.raises(NotAllowed, match="By the rule owner:o"):
            await laptop.commands.attach("1-2", partition, read_only=False)
    with pytest.raises(NotAsked):
        await laptop.commands.answer("1-2", "personal", remember=True)
    with pytest.raises(NoDevice):
        await laptop.commands.attach("1-7", Partition.PERSONAL, read_only=False)
    with pytest.raises(PciOnlyAtStart):
        await laptop.commands.attach("0000:03:00.0", Partition.PERSONAL, read_only=False)
    assert laptop.machines.history == []


async def test_what_qemu_cannot_open_is_told_and_taken_back(laptop: DeviceLaptop) -> None:
    laptop.set_owner("ask")
    laptop.machines.refuse = True
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "asking")
    with pytest.raises(NotGiven, match="cannot be opened"):
        await laptop.commands.attach("1-2", Partition.PERSONAL, read_only=False)
    assert not laptop.ports.at("1-2").authorised
    await laptop.becomes("1-2", "asking")
    laptop.set_owner("personal")
    info = await laptop.becomes("1-2", "blocked")
    assert "cannot be opened" in info.reason
    laptop.machines.refuse = False
    await laptop.becomes("1-2", "attached", "personal")


async def test_answers_are_remembered_only_if_asked_to(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=False)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=True)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.ports.pull("1-2")
    await laptop.restart_core()
    laptop.ports.plug("1-5", STICK, serial="a")
    info = await laptop.becomes("1-5", "attached", "personal")
    assert info.rule == "answer"
    await laptop.commands.forget("1-5")
    await laptop.becomes("1-5", "asking")


async def test_a_remembered_answer_never_precedes_a_refusal(laptop: DeviceLaptop) -> None:
    laptop.set_rules(sticks=("allow", Match(vendor="0781")))
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "corporate", remember=True)
    await laptop.becomes("1-2", "attached", "corporate")
    laptop.set_rules(sticks=("deny", Match(vendor="0781")))
    info = await laptop.becomes("1-2", "asking")
    assert info.targets == ["personal"]
    assert laptop.machines.held(Partition.CORPORATE) == []


async def test_no_is_remembered_too(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "deny", remember=True)
    await laptop.becomes("1-2", "blocked")
    with pytest.raises(NotAllowed):
        await laptop.commands.attach("1-2", Partition.PERSONAL, read_only=False)
    await laptop.commands.answer("1-2", "personal", remember=False)
    await laptop.becomes("1-2", "attached", "personal")


async def test_twins_are_answered_for_but_not_remembered(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK, serial="same")
    laptop.ports.plug("1-3", STICK, serial="same")
    await laptop.becomes("1-2", "asking")
    info = await laptop.becomes("1-3", "asking")
    assert not info.remember
    with pytest.raises(CannotRemember):
        await laptop.commands.answer("1-3", "personal", remember=True)
    await laptop.commands.answer("1-3", "personal", remember=False)
    await laptop.becomes("1-3", "attached", "personal")
    await laptop.becomes("1-2", "asking")

"""Where devices go, from plug to partition: the real manager and devd's protocol, on a model of the ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from twinhull_policy.model import Match
from twinhull_policy.names import Partition

from tests.support.device_laptop import DeviceLaptop, device_laptop
from tests.support.usb import simple
from tests.support.usb_kinds import (
    BAD,
    BLUETOOTH,
    CAMERA,
    CARD,
    COMPOSITE,
    HUB,
    KEY,
    KEYBOARD,
    NETWORK,
    PHONE,
    POINTER,
    PRINTER,
    SERIAL,
    STICK,
    VENDOR,
)


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[DeviceLaptop]:
    async with device_laptop(tmp_path) as laptop:
        yield laptop


# Each kind with the rules of the start, and after the owner was asked.

DEFAULTS = {
    "storage": (STICK, "asking"),
    "camera": (CAMERA, "asking"),
    "smart-card": (CARD, "asking"),
    "security-key": (KEY, "asking"),
    "phone": (PHONE, "asking"),
    "serial": (SERIAL, "asking"),
    "network": (NETWORK, "blocked"),
    "bluetooth": (BLUETOOTH, "blocked"),
    "printer": (PRINTER, "asking"),
    "composite": (COMPOSITE, "asking"),
    "other": (VENDOR, "asking"),
    "keyboard": (KEYBOARD, "admission"),
    "pointer": (POINTER, "host"),
    "hub": (HUB, "host"),
}


@pytest.mark.parametrize("kind", DEFAULTS)
async def test_each_kind_has_its_default(laptop: DeviceLaptop, kind: str) -> None:
    descriptors, state = DEFAULTS[kind]
    laptop.ports.plug("1-2", descriptors)
    info = await laptop.becomes("1-2", state)
    assert info.kind == kind
    assert info.targets == (["personal"] if state == "asking" else [])
    assert laptop.machines.history == []
    assert laptop.ports.at("1-2").authorised is (state in ("host", "admission"))
    if state == "asking":
        await laptop.commands.answer("1-2", "personal", remember=False)
        await laptop.becomes("1-2", "attached", "personal")


# Events, with a device that a rule sends somewhere.

Situation = Callable[[DeviceLaptop], Awaitable[None]]


async def _hot_plug(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)


async def _there_before_the_core(laptop: DeviceLaptop) -> None:
    await laptop.stop_core()
    laptop.ports.plug("1-2", STICK)
    laptop.new_core()
    await laptop.start_core()


async def _lost_event(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK, quiet=True)
    laptop.ports.plug("1-9", HUB)


async def _vm_start(laptop: DeviceLaptop) -> None:
    laptop.machines.stop(Partition.PERSONAL)
    laptop.ports.plug("1-2", STICK)
    await laptop.is_out("1-2")
    laptop.machines.start(Partition.PERSONAL)
    laptop.manager.poke()


async def _guest_restart(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.arrives("1-2")
    laptop.machines.stop(Partition.PERSONAL)
    laptop.manager.poke()
    await laptop.is_out("1-2")
    laptop.machines.start(Partition.PERSONAL)
    laptop.manager.poke()


async def _pulled_and_plugged(laptop: DeviceLaptop) -> None:
    for _ in range(5):
        laptop.ports.plug("1-2", STICK)
        await laptop.arrives("1-2")
        laptop.ports.pull("1-2")
        await laptop.until(lambda: laptop.machines.held(Partition.PERSONAL) == [])
    laptop.ports.plug("1-2", STICK)


async def _faster_than_anybody_looks(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.arrives("1-2")
    laptop.ports.pull("1-2", quiet=True)
    laptop.ports.plug("1-2", STICK)


async def _resume(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.arrives("1-2")
    await laptop.goes_to_sleep()
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK)
    await laptop.screen.sleep.put(False)


async def _core_restart(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.arrives("1-2")
    await laptop.restart_core()
    await laptop.arrives("1-2")
    assert "detach" not in [what for what, _, _ in laptop.machines.history]


async def _replugged_while_the_core_is_away(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    await laptop.arrives("1-2")
    await laptop.stop_core()
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK)
    laptop.new_core()
    await laptop.start_core()


async def _devd_restart(laptop: DeviceLaptop) -> None:
    laptop.stop_devd()
    await laptop.until(lambda: "devd" in laptop.manager.problem)
    laptop.ports.plug("1-2", STICK)
    laptop.start_devd()


async def _machine_resumed(laptop: DeviceLaptop) -> None:
    laptop.machines.pause(Partition.PERSONAL)
    laptop.ports.plug("1-2", STICK)
    await laptop.is_out("1-2")
    laptop.machines.start(Partition.PERSONAL)
    laptop.manager.poke()


async def _libvirt_away(laptop: DeviceLaptop) -> None:
    laptop.machines.away = True
    laptop.ports.plug("1-2", STICK)
    await laptop.until(lambda: laptop.manager.problem != "")
    assert laptop.machines.history == []
    laptop.machines.away = False
    laptop.manager.poke()


EVENTS: dict[str, Situation] = {
    name.strip("_").replace("_", " "): event
    for name, event in list(globals().items())
    if name.startswith("_") and not name.startswith("__") and callable(event)
}


@pytest.mark.parametrize("event", EVENTS)
async def test_a_device_gets_where_a_rule_sends_it(laptop: DeviceLaptop, event: str) -> None:
    laptop.set_owner("personal")
    await EVENTS[event](laptop)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.rest()
    assert laptop.machines.held(Partition.PERSONAL) == ["1-2"]
    assert laptop.machines.held(Partition.CORPORATE) == []
    device = laptop.ports.at("1-2")
    assert (device.authorised, device.driver_bound) == (True, False)


@pytest.mark.parametrize("event", EVENTS)
async def test_what_nobody_may_have_gets_nowhere_however_it_comes(laptop: DeviceLaptop, event: str) -> None:
    laptop.set_owner("personal", Match(port="1-9"))
    laptop.set_rules(no_storage=("deny", Match(any_interface=("08:*:*",))))
    laptop.goal = ("blocked", "")
    await EVENTS[event](laptop)
    info = await laptop.arrives("1-2")
    assert info.rule == "corporate:no-storage"
    await laptop.rest()
    assert laptop.machines.history == []
    assert not laptop.ports.at("1-2").authorised
    assert not [call for call in laptop.ports.calls if call[:2] == ("authorise", "1-2")]


# Keyboards


async def test_a_keyboard_is_let_in_by_its_code(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-1", KEYBOARD, at_boot=True)
    await laptop.becomes("1-1", "host")
    laptop.ports.plug("1-2", KEYBOARD, serial="new")
    info = await laptop.becomes("1-2", "admission")
    code = info.code
    assert len(code) == 6
    assert code.isdigit()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    laptop.ports.type_code("1-2", wrong)
    await laptop.rest()
    assert (laptop.info("1-2") or info).state == "admission"
    laptop.ports.type_code("1-2", code)
    info = await laptop.becomes("1-2", "host")
    assert info.code == ""
    await laptop.restart_core()
    await laptop.becomes("1-2", "host")
    assert laptop.ports.calls.count(("admit", "1-2")) == 1


async def test_a_keyboard_whose_code_is_not_typed_stays_out_until_forgotten(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", KEYBOARD)
    await laptop.until(lambda: "1-2" in laptop.ports.admissions)
    first = laptop.ports.admissions["1-2"]
    laptop.ports.give_up("1-2")
    info = await laptop.becomes("1-2", "blocked")
    assert info.reason == "Its code was not typed."
    await laptop.rest()
    assert "1-2" not in laptop.ports.admissions
    await laptop.commands.forget("1-2")
    await laptop.becomes("1-2", "admission")
    await laptop.until(lambda: laptop.ports.admissions.get("1-2", first) != first)


async def test_an_admission_may_be_over_before_the_call_that_began_it(laptop: DeviceLaptop) -> None:
    laptop.ports.during_admit = lambda: laptop.ports.give_up("1-2")
    laptop.ports.plug("1-2", KEYBOARD)
    info = await laptop.becomes("1-2", "blocked")
    assert info.reason == "Its code was not typed."


async def test_an_admission_outlives_neither_core_nor_devd(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", KEYBOARD)
    await laptop.until(lambda: "1-2" in laptop.ports.admissions)
    old = laptop.ports.admissions["1-2"]
    await laptop.restart_core()
    await laptop.until(lambda: laptop.ports.admissions.get("1-2", old) != old)
    laptop.ports.type_code("1-2", laptop.ports.admissions["1-2"])
    await laptop.becomes("1-2", "host")


async def test_a_keyboard_that_types_too_fast_is_out(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-1", KEYBOARD, at_boot=True)
    laptop.ports.plug("1-2", KEYBOARD, serial="2")
    await laptop.until(lambda: "1-2" in laptop.ports.admissions)
    laptop.ports.type_code("1-2", laptop.ports.admissions["1-2"])
    await laptop.becomes("1-2", "host")
    laptop.ports.burst("1-2")
    await laptop.becomes("1-2", "suspended")
    await laptop.rest()
    assert not laptop.ports.at("1-2").authorised
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", KEYBOARD, serial="2")
    await laptop.becomes("1-2", "admission")


async def test_the_last_keyboard_stays_whatever_it_turns_into(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-1", KEYBOARD, at_boot=True)
    await laptop.becomes("1-1", "host")
    laptop.ports.plug("1-1", simple(0x046D, 0xC31C, (3, 1, 1), (3, 0, 0)), at_boot=True)
    await laptop.until(lambda: [info.rule for info in laptop.manager.infos()] == ["host:last-keyboard"])
    assert laptop.ports.at("1-1").authorised
    laptop.ports.plug("1-2", KEYBOARD, serial="2", at_boot=True)
    await laptop.becomes("1-1", "blocked")
    assert not laptop.ports.at("1-1").authorised


async def test_a_keyboard_that_is_a_disk_too_gets_nowhere(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", BAD)
    info = await laptop.becomes("1-2", "blocked")
    assert info.rule == "host:input-and-more"
    await laptop.rest()
    assert laptop.machines.history == []


async def test_a_keyboard_that_slept_need_not_prove_itself_again(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-1", KEYBOARD, at_boot=True)
    await laptop.becomes("1-1", "host")
    await laptop.goes_to_sleep()
    laptop.ports.pull("1-1")
    laptop.ports.plug("1-1", KEYBOARD)
    await laptop.screen.sleep.put(False)
    await laptop.becomes("1-1", "host")
    laptop.ports.plug("1-2", KEYBOARD)
    await laptop.becomes("1-2", "admission")


# What was there before Twinhull


async def test_what_the_person_used_when_twinhull_came_is_left_alone(laptop: DeviceLaptop) -> None:
    laptop.ports.early = False
    laptop.ports.plug("1-2", STICK, at_boot=True)
    info = await laptop.becomes("1-2", "host")
    assert info.rule == "host:in-use"
    await laptop.rest()
    assert laptop.ports.calls == []
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "asking")


# Identity


async def test_a_device_that_comes_back_otherwise_is_denied_until_forgotten(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK, serial="s")
    await laptop.becomes("1-2", "attached", "personal")
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", simple(0x0781, 0x5567, (3, 0, 0)), serial="s")
    info = await laptop.becomes("1-2", "blocked")
    assert info.rule == "host:changed"
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK, serial="s")
    await laptop.becomes("1-2", "blocked")
    await laptop.restart_core()
    await laptop.becomes("1-2", "blocked")
    await laptop.commands.forget("1-2")
    await laptop.becomes("1-2", "attached", "personal")


async def test_another_boot_begins_anew(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.ports.pull("1-2")
    laptop.boot = "boot-2"
    laptop.ports.plug("1-2", simple(0x0781, 0x5567, (8, 6, 0x62)))
    await laptop.becomes("1-2", "blocked")
    await laptop.restart_core()
    await laptop.becomes("1-2", "attached", "personal")


async def test_a_device_that_changes_in_the_middle_is_taken_back(laptop: DeviceLaptop) -> None:
    """Between devd's comparison and QEMU's open the plug is pulled and another device put in."""
    laptop.set_owner("personal", Match(any_interface=("08:*:*",)))

    def swap() -> None:
        laptop.ports.during_authorise = lambda: None
        laptop.ports.pull("1-2", quiet=True)
        laptop.ports.plug("1-2", VENDOR, quiet=True)

    laptop.ports.during_authorise = swap
    laptop.ports.plug("1-2", STICK)
    info = await laptop.becomes("1-2", "blocked")
    assert info.model == "1234:0002"
    await laptop.rest()
    assert laptop.machines.held(Partition.PERSONAL) == []
    assert not laptop.ports.at("1-2").authorised


async def test_two_alike_without_serial_number_are_answered_for_by_port(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK)
    laptop.ports.plug("1-3", STICK)
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=True)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.becomes("1-3", "asking")
    laptop.ports.pull("1-2")
    laptop.ports.pull("1-3")
    laptop.ports.plug("1-3", STICK)
    await laptop.becomes("1-3", "asking")


async def test_two_with_one_serial_number_are_both_asked_about(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK, serial="same")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=True)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.ports.plug("1-3", STICK, serial="same")
    await laptop.becomes("1-3", "asking")
    await laptop.becomes("1-2", "asking")
    assert laptop.machines.held(Partition.PERSONAL) == []

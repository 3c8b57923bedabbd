"""Screen, sleep, switches, floods, records and PCI: the rest of what happens to devices."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from twinhull_hypervisor.daemon.device_errors import (
    NotAllowed,
    ScreenLocked,
    SwitchIncomplete,
)
from twinhull_hypervisor.daemon.device_journal import LINES_A_MINUTE, Line, reported
from twinhull_hypervisor.daemon.device_memory import MAX_SEEN
from twinhull_hypervisor.devices.results import PciFacts, PciFunction
from twinhull_policy.model import Match
from twinhull_policy.names import Partition

from tests.support.device_laptop import DeviceLaptop, device_laptop
from tests.support.usb_kinds import (
    CAMERA,
    CARD,
    KEY,
    KEYBOARD,
    STICK,
    VENDOR,
)


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[DeviceLaptop]:
    async with device_laptop(tmp_path) as laptop:
        yield laptop


# Screen, sleep, switches


async def test_behind_a_locked_screen_answers_wait(laptop: DeviceLaptop) -> None:
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=True)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.screen.is_locked = True
    await laptop.rest()
    assert laptop.machines.held(Partition.PERSONAL) == ["1-2"]
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", STICK, serial="a")
    info = await laptop.becomes("1-2", "waiting")
    assert "unlocked" in info.reason
    laptop.ports.plug("1-3", CAMERA)
    await laptop.becomes("1-3", "asking")
    for refused in (
        laptop.commands.answer("1-3", "personal", remember=False),
        laptop.commands.attach("1-3", Partition.PERSONAL, read_only=False),
    ):
        with pytest.raises(ScreenLocked):
            await refused
    assert not laptop.ports.at("1-2").authorised
    laptop.screen.is_locked = False
    await laptop.becomes("1-2", "attached", "personal")


async def test_what_was_chosen_by_hand_is_there_after_a_sleep_and_not_after_a_plug(
    laptop: DeviceLaptop,
) -> None:
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=False)
    await laptop.goes_to_sleep()
    laptop.ports.pull("1-2")
    await laptop.until(lambda: laptop.machines.held(Partition.PERSONAL) == [])
    await laptop.screen.sleep.put(False)
    laptop.ports.plug("1-2", STICK, serial="a")
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.goes_to_sleep()
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", VENDOR, serial="a")
    await laptop.screen.sleep.put(False)
    await laptop.becomes("1-2", "asking")


async def test_the_camera_is_off_in_every_machine_and_after_a_restart(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.set_rules(cameras=("allow", Match(any_interface=("0e:*:*",))))
    laptop.ports.plug("1-2", CAMERA)
    laptop.ports.plug("1-3", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.commands.switch("camera", off=True)
    assert laptop.machines.held(Partition.PERSONAL) == ["1-3"]
    assert not laptop.ports.at("1-2").authorised
    info = await laptop.becomes("1-2", "blocked")
    assert (info.rule, info.targets) == ("host:camera-off", [])
    for partition in Partition:
        with pytest.raises(NotAllowed, match="camera is switched off"):
            await laptop.commands.attach("1-2", partition, read_only=False)
    await laptop.restart_core()
    laptop.ports.pull("1-2")
    laptop.ports.plug("1-2", CAMERA)
    await laptop.becomes("1-2", "blocked")
    await laptop.commands.switch("camera", off=False)
    await laptop.becomes("1-2", "attached", "personal")


async def test_a_machine_that_keeps_the_camera_is_told_of(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", CAMERA)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.machines.stuck = True
    with pytest.raises(SwitchIncomplete):
        await laptop.commands.switch("camera", off=True)
    assert laptop.manager.memory.switches.camera_off
    laptop.machines.stuck = False
    laptop.manager.poke()
    await laptop.becomes("1-2", "blocked")


# Floods and records


async def test_a_thousand_plugs_end_where_the_last_one_is(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    began = time.monotonic()
    for number in range(1000):
        laptop.ports.plug("1-2", STICK, serial=f"s{number}")
        if number % 4:
            await asyncio.sleep(0)
        laptop.ports.pull("1-2")
    assert time.monotonic() - began < 60
    await laptop.rest()
    assert laptop.manager.infos() == []
    plugged = laptop.manager.plugged
    assert [len(known) for known in (plugged.rows, plugged.seen, plugged.choices)] == [0, 0, 0]
    laptop.ports.plug("1-3", STICK, serial="last")
    await laptop.becomes("1-3", "attached", "personal")
    assert laptop.machines.held(Partition.PERSONAL) == ["1-3"]
    assert len(laptop.lines()) <= 2 * LINES_A_MINUTE


async def test_in_a_flood_another_device_is_decided_and_memory_does_not_grow(laptop: DeviceLaptop) -> None:
    """Two sockets are plugged and pulled all the time; what goes into a third gets to its machine."""
    laptop.set_owner("personal")
    plugs = 0

    async def flood(wanted: int) -> None:
        nonlocal plugs
        for _ in range(wanted):
            port = f"1-{plugs % 2 + 1}"
            # The same few devices: new ones are kept out after 64 (the test after this one).
            laptop.ports.plug(port, STICK, serial=f"s{plugs % 8}")
            await asyncio.sleep(0.001)
            laptop.ports.pull(port)
            plugs += 1

    await flood(300)
    laptop.ports.plug("1-5", CARD)
    before = plugs
    while (info := laptop.info("1-5")) is None or info.state != "attached":
        await flood(1)
        assert plugs - before < 500, "it is starved"
    await laptop.rest()
    logging.disable()  # pytest keeps every record
    tracemalloc.start()
    try:
        await flood(1000)
        await laptop.rest()
        # What this test's models wrote down is no part of it.
        for record in (laptop.machines.history, laptop.ports.calls, laptop.reports):
            record.clear()
        gc.collect()
        ours = [
            tracemalloc.Filter(True, f"*/{package}/*")
            for package in ("twinhull_hypervisor", "twinhull_policy")
        ]
        kept = tracemalloc.take_snapshot().filter_traces(ours).statistics("lineno")
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
    grown = sum(one.size for one in kept)
    assert grown < 64 * 1024, f"{grown} bytes after a thousand plugs: {kept[:5]}"
    assert laptop.machines.held(Partition.PERSONAL) == ["1-5"]


async def test_a_port_that_saw_too_many_takes_no_more(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    for number in range(MAX_SEEN + 1):
        laptop.ports.plug("1-2", STICK, serial=f"s{number}")
        await laptop.until(lambda: laptop.info("1-2") is not None)
        await laptop.rest()
        laptop.ports.pull("1-2")
        await laptop.until(lambda: laptop.info("1-2") is None)
    laptop.ports.plug("1-2", STICK, serial="one more")
    await laptop.becomes("1-2", "blocked")
    laptop.ports.plug("1-3", STICK, serial="elsewhere")
    await laptop.becomes("1-3", "attached", "personal")
    await laptop.commands.forget("1-2")
    await laptop.becomes("1-2", "attached", "personal")


async def test_every_decision_is_one_line_with_all_it_rests_on(laptop: DeviceLaptop) -> None:
    laptop.set_owner("ask")
    laptop.ports.plug("1-2", STICK, serial="a", product="Stick")
    await laptop.becomes("1-2", "asking")
    await laptop.commands.answer("1-2", "personal", remember=True)
    await laptop.becomes("1-2", "attached", "personal")
    for _ in range(5):
        await laptop.rest()
    await laptop.commands.detach("1-2")
    entries = [e for e in laptop.state.read_log(100) if e.body]
    assert [e.text for e in entries] == [
        "Stick (storage), port 1-2: asking by owner:o",
        "Stick (storage), port 1-2: attached personal by answer",
        "Stick (storage), port 1-2: blocked by answer",
    ]
    lines = [msgspec.json.decode(e.body, type=Line) for e in entries]
    assert [line.actor for line in lines] == ["person", "person", "person"]
    assert {line.facts.serial for line in lines} == {"a"}
    assert len({line.facts_sha256 for line in lines}) == 1


async def test_the_employer_is_told_of_corporate_decisions_alone(laptop: DeviceLaptop) -> None:
    laptop.set_owner("personal")
    laptop.set_rules(
        keys=("require", Match(vendor="1050")),
        no_cameras=("deny", Match(any_interface=("0e:*:*",))),
        no_cards=("deny", Match(any_interface=("0b:*:*",))),
    )
    laptop.commands.set_owner_rules(
        '{"schema":"twinhull.owner/1","devices":['
        '{"name":"mine","match":{"any_interface":["0e:*:*"]},"to":"personal"},'
        '{"name":"secret-name","match":{"any_interface":["08:*:*"]},"to":"personal"}]}'
    )
    for number, descriptors in enumerate((KEY, CAMERA, CARD, STICK, VENDOR, KEYBOARD), 1):
        laptop.ports.plug(f"1-{number}", descriptors, serial="serial-number")
    await laptop.becomes("1-1", "attached", "corporate")
    await laptop.becomes("1-2", "attached", "personal")
    await laptop.becomes("1-4", "attached", "personal")
    await laptop.becomes("1-3", "blocked")
    told = [reported(info) for info in laptop.reports]
    assert {(r.model, r.rule, r.outcome) for r in told if r is not None} == {
        ("1050:0120", "corporate:keys", "attached"),
        ("058f:9540", "corporate:no-cards", "blocked"),
    }
    assert b"serial-number" not in msgspec.json.encode(told)


async def test_people_see_names_and_nothing_that_steers_a_terminal(laptop: DeviceLaptop) -> None:
    laptop.commands.set_owner_rules('{"schema":"twinhull.owner/1","devices":[],"ports":{"1-2":"left port"}}')
    laptop.ports.plug("1-2", CAMERA, product="C920\x1b[2J\u202e" + "x" * 100)
    info = await laptop.becomes("1-2", "blocked")
    assert info.name.isprintable()
    assert info.name.endswith(" (camera), left port")
    assert len(info.name) < 80


# PCI


def function(address: str, class_code: str, **changes: Any) -> PciFunction:
    made = PciFunction(
        address=address,
        vendor="8086",
        device="1533",
        class_code=class_code,
        group="14",
        group_members=[address],
        reset_methods=["flr"],
        driver="igb",
        boot_vga=False,
        removable=False,
    )
    return msgspec.structs.replace(made, **changes)


async def test_pci_is_given_at_the_start_or_refused_with_reasons(laptop: DeviceLaptop) -> None:
    card = function("0000:03:00.0", "01:08:02")
    sound = function("0000:04:00.0", "04:03:00", group="15", group_members=["0000:04:00.0"])
    shared = function(
        "0000:05:00.0", "01:08:02", group="16", group_members=["0000:05:00.0", "0000:05:00.1"], device="1534"
    )
    mate = function(
        "0000:05:00.1", "01:08:00", group="16", group_members=["0000:05:00.0", "0000:05:00.1"], device="1535"
    )
    laptop.ports.pci = PciFacts(remapping=True, unsafe=[], functions=[card, sound, shared, mate])
    laptop.set_rules(
        cards=("require", Match(bus="pci", product="1533")),
        shared=("require", Match(bus="pci", product="1534")),
    )
    granted, refused = await laptop.commands.pci_for(Partition.CORPORATE)
    assert granted == ["0000:03:00.0", "0000:04:00.0"]
    assert list(refused) == ["0000:05:00.0"]
    assert "0000:05:00.1" in refused["0000:05:00.0"][0]
    assert await laptop.commands.pci_for(Partition.PERSONAL) == ([], {})
    infos = {info.port: info for info in await laptop.commands.infos()}
    assert (infos["0000:03:00.0"].state, infos["0000:05:00.0"].state) == ("waiting", "blocked")
    assert infos["0000:05:00.1"].state == "host"
    assert "could be passed on" in infos["0000:03:00.0"].reason
    await laptop.commands.switch("microphone", off=True)
    granted, refused = await laptop.commands.pci_for(Partition.CORPORATE)
    assert granted == ["0000:03:00.0"]
    assert refused["0000:04:00.0"] == ["the microphone is switched off"]
    laptop.ports.pci = msgspec.structs.replace(laptop.ports.pci, remapping=False)
    assert (await laptop.commands.pci_for(Partition.CORPORATE))[0] == []
    laptop.stop_devd()
    assert await laptop.commands.pci_for(Partition.CORPORATE) == ([], {})


async def test_a_network_card_is_never_the_corporate_partitions(laptop: DeviceLaptop) -> None:
    laptop.ports.pci = PciFacts(remapping=True, unsafe=[], functions=[function("0000:03:00.0", "02:00:00")])
    laptop.set_rules(cards=("require", Match(bus="pci")))
    granted, _ = await laptop.commands.pci_for(Partition.CORPORATE)
    assert granted == []
    (info,) = (info for info in await laptop.commands.infos() if info.bus == "pci")
    assert info.rule == "host:past-tunnel"


async def test_half_an_iommu_group_goes_nowhere(laptop: DeviceLaptop) -> None:
    members = ["0000:05:00.0", "0000:05:00.1"]
    good = function("0000:05:00.0", "01:08:02", group_members=members)
    bad = function("0000:05:00.1", "01:08:02", group_members=members, reset_methods=[])
    laptop.ports.pci = PciFacts(remapping=True, unsafe=[], functions=[good, bad])
    laptop.set_rules(cards=("require", Match(bus="pci")))
    granted, refused = await laptop.commands.pci_for(Partition.CORPORATE)
    assert granted == []
    assert set(refused) == set(members)


CARD_AT, SOUND_AT = "0000:04:00.0", "0000:05:00.0"


async def running_with_pci(laptop: DeviceLaptop) -> None:
    """The corporate machine has a card and a sound device, by a rule."""
    functions = [function(CARD_AT, "01:08:02"), function(SOUND_AT, "04:03:00")]
    laptop.ports.pci = PciFacts(remapping=True, unsafe=[], functions=functions)
    laptop.set_rules(cards=("require", Match(bus="pci")))
    laptop.machines.give_pci(Partition.CORPORATE, CARD_AT, SOUND_AT)
    await laptop.rest()
    assert laptop.machines.guests()[Partition.CORPORATE].pci == (CARD_AT, SOUND_AT)


def taken(laptop: DeviceLaptop) -> list[str]:
    return [port for what, _, port in laptop.machines.history if what == "detach pci"]


async def test_a_policy_that_changes_takes_pci_functions_from_a_running_machine(laptop: DeviceLaptop) -> None:
    await running_with_pci(laptop)
    laptop.set_rules(
        disks=("require", Match(bus="pci", any_interface=("01:*:*",))),
        rest=("deny", Match(bus="pci")),
    )
    await laptop.until(lambda: taken(laptop) == [SOUND_AT])
    laptop.policy = None
    laptop.manager.poke()
    await laptop.until(lambda: taken(laptop) == [SOUND_AT, CARD_AT])
    assert any(SOUND_AT in line and "taken" in line for line in laptop.lines())


async def test_a_switch_takes_the_sound_device_and_nothing_else(laptop: DeviceLaptop) -> None:
    await running_with_pci(laptop)
    await laptop.commands.switch("camera", off=True)
    assert taken(laptop) == []
    await laptop.commands.switch("microphone", off=True)
    assert taken(laptop) == [SOUND_AT]
    assert laptop.machines.guests()[Partition.CORPORATE].pci == (CARD_AT,)


async def test_a_guest_that_does_not_let_go_is_told_of_and_holds_nothing_up(
    laptop: DeviceLaptop,
) -> None:
    await running_with_pci(laptop)
    laptop.machines.stuck = True
    with pytest.raises(SwitchIncomplete, match=SOUND_AT):
        await laptop.commands.switch("microphone", off=True)
    assert any("does not let go" in line for line in laptop.lines())
    laptop.set_owner("personal")
    laptop.ports.plug("1-2", STICK)
    await laptop.becomes("1-2", "attached", "personal")
    laptop.machines.stuck = False
    laptop.manager.poke()
    await laptop.until(lambda: taken(laptop) == [SOUND_AT])


async def test_without_devd_what_it_said_before_still_counts(laptop: DeviceLaptop) -> None:
    await running_with_pci(laptop)
    laptop.stop_devd()
    await laptop.until(lambda: bool(laptop.manager.problem))
    laptop.policy = None
    laptop.manager.poke()
    await laptop.until(lambda: sorted(taken(laptop)) == [CARD_AT, SOUND_AT])

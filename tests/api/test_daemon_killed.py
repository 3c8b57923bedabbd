"""SIGKILL of the core before every named transition of everything it does: the old state or the new one.

Real: the core with its database, copies, volumes, key files and signatures, in a process that is killed. A
netd that only remembers stands in for the network, and libvirt's test driver plays the machines
(``tests.support.transitions``). After each kill the core starts again over what was left. What it then shows
is what it showed before, or what it shows when nothing is killed; the same thing is then done again, to the
end. ``--long`` tries every transition of every one of them, and instants between; else those are left out
that have the name of one that was tried already.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor.daemon.state import PARTITION_DOCUMENTS, Identity, PartitionRecord, State
from twinhull_hypervisor.fetch.client import Enrolled
from twinhull_hypervisor.storage.errors import HeaderDamaged
from twinhull_hypervisor.storage.slots import Passphrase
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition
from twinhull_policy.owner_defaults import default_owner_rules
from twinhull_policy.trust.command import sign_command
from twinhull_policy.trust.documents import Command, ImageReference

from tests.support import core_laptop
from tests.support.core_laptop import SetClocks
from tests.support.hypervisor import QUICK, make_base
from tests.support.logind import Logind
from tests.support.private_bus import private_bus
from tests.support.signing import DEVICE, Corporate
from tests.support.transitions import (
    LEASE,
    RUNNING,
    Base,
    Laptop,
    copy,
    in_child,
    killed_at,
    restarted,
)

CORPORATE, PERSONAL = Partition
FIRST, SECOND = b"the first canary phrase", b"the second canary phrase"
DAY = 24 * 3600
INSTANTS = 40
"""Of each of them, spread over the time it takes."""
SERVER = "https://fleet.example"
Work = Callable[[Laptop], Awaitable[object]]


async def nothing(_: Laptop) -> None:
    """Nothing has to be done first."""


@dataclass(frozen=True)
class Flow:
    """Something the core does.

    Attributes:
        work: what is killed.
        least: how many transitions it has at least, so that none is lost unseen.
        hours: go by before it, and have gone by when the core starts again.
        keys: whether it could change what opens the personal volume, so that this is looked at.
        first: what is done before it, on the same laptop, and not killed.
        enrolled: whether the laptop is.
    """

    work: Work
    least: int
    first: Work = nothing
    enrolled: bool = True
    hours: float = 0
    keys: bool = False


async def enrol(laptop: Laptop) -> None:
    """From the moment that the server has answered."""
    root = laptop.company.root()
    if laptop.core.fleet.enrolment().enrolled:
        return
    answer = Enrolled(
        tenant=DEVICE.tenant, device_id=DEVICE.device_id, enrol_epoch=DEVICE.enrol_epoch, server=SERVER
    )
    await laptop.core.fleet._enrolled(SERVER, answer, hashlib.sha256(root).hexdigest())
    await laptop.core.fleet.accept()


async def statement(laptop: Laptop) -> None:
    if laptop._seq < 2:
        laptop.statement()
    await laptop.core.fleet.accept()


def commanded(action: Any, number: int = 1) -> Work:
    """The server's next statement carries a command or request, which is carried out."""

    async def work(laptop: Laptop) -> None:
        if laptop._seq < number + 1:
            asks = action == "rotate-vpn-key"
            keys = laptop.company.director_keys if asks else laptop.company.command_keys
            command = Command(
                tenant=DEVICE.tenant,
                device_id=DEVICE.device_id,
                enrol_epoch=DEVICE.enrol_epoch,
                number=number,
                action=action,
                issued_at=laptop.clocks.wall,
                not_after=laptop.clocks.wall + DAY,
            )
            laptop.statement(commands=[sign_command(command, keys).decode()])
        await laptop.core.fleet.accept()
        await laptop.core._commands.carry_out(laptop.core._corporate)

    return work


async def lease(laptop: Laptop) -> None:
    await laptop.core._enforce_lease()


async def heard_of_again(laptop: Laptop) -> None:
    await statement(laptop)
    await lease(laptop)


async def create(laptop: Laptop) -> None:
    record = laptop.core.partitions.record(CORPORATE)
    if record is None or not record.created:
        await laptop.core.disks.create(CORPORATE, bytearray(FIRST))


def stop(name: Partition) -> Work:
    return lambda laptop: laptop.core.partitions.stop(name, force=True)


def start(name: Partition) -> Work:
    return lambda laptop: laptop.core.partitions.start(name, bytearray(FIRST))


async def suspend(laptop: Laptop) -> None:
    if laptop.machine(PERSONAL) == "running":
        await laptop.core.partitions.suspend(PERSONAL)


async def resume(laptop: Laptop) -> None:
    if laptop.machine(PERSONAL) == "paused":
        await laptop.core.partitions.resume(PERSONAL)


async def used(laptop: Laptop) -> None:
    """Its firmware has written something, and it is off."""
    await stop(PERSONAL)(laptop)
    with (laptop.paths.volume(PERSONAL) / "nvram.fd").open("r+b") as file:
        file.write(b"used")


async def reset(laptop: Laptop) -> None:
    laptop.core.partitions._volumes[PERSONAL].unlock(FIRST)
    await laptop.core.disks.reset(PERSONAL)


async def snapshot(laptop: Laptop) -> None:
    if not await laptop.core.disks.snapshots(PERSONAL):
        await laptop.core.disks.snapshot(PERSONAL, "before")


async def stopped_with_a_snapshot(laptop: Laptop) -> None:
    await stop(PERSONAL)(laptop)
    await snapshot(laptop)


async def roll_back(laptop: Laptop) -> None:
    made = await laptop.core.disks.snapshots(PERSONAL)
    if len(made) == 1:
        await laptop.core.disks.roll_back(PERSONAL, made[0].id, bytearray(FIRST))


async def remove_snapshot(laptop: Laptop) -> None:
    for made in await laptop.core.disks.snapshots(PERSONAL):
        await laptop.core.disks.remove_snapshot(PERSONAL, made.id)


async def add_passphrase(laptop: Laptop) -> None:
    if len(await laptop.core.key_slots.infos(PERSONAL)) == 1:
        await laptop.core.key_slots.add_passphrase(PERSONAL, Passphrase(FIRST), bytearray(SECOND))


async def add_code(laptop: Laptop) -> None:
    if len(await laptop.core.key_slots.infos(PERSONAL)) == 1:
        os.close(await laptop.core.key_slots.add_recovery_code(PERSONAL, Passphrase(FIRST)))


async def remove_slot(laptop: Laptop) -> None:
    slots = await laptop.core.key_slots.infos(PERSONAL)
    if len(slots) == 2:
        await laptop.core.key_slots.remove(PERSONAL, slots[1].id, Passphrase(FIRST))


async def damaged_header(laptop: Laptop) -> None:
    await stop(PERSONAL)(laptop)
    overlay = laptop.paths.volume(PERSONAL) / "overlay.qcow2"
    with overlay.open("r+b") as file:
        file.write(bytes(512))


async def restore_header(laptop: Laptop) -> None:
    await laptop.core.key_slots.restore_header(PERSONAL)


def wipe(name: Partition) -> Work:
    async def work(laptop: Laptop) -> None:
        if laptop.core.partitions.record(name) is not None:
            await laptop.core.wipes.wipe(name)

    return work


async def owner_rules(laptop: Laptop) -> None:
    laptop.core.devices.set_owner_rules(msgspec.json.encode(default_owner_rules()).decode())


async def switch(laptop: Laptop) -> None:
    laptop.core._device_manager.memory.switch("camera", off=True)


async def damaged_state(laptop: Laptop) -> None:
    laptop.core._state.close()
    laptop.paths.database.write_bytes(b"")


async def recover_state(laptop: Laptop) -> None:
    if laptop.core.safe_mode is not None:
        await laptop.core.recover_state()


FLOWS: dict[str, Flow] = {
    "enrol": Flow(enrol, 3, enrolled=False),
    "a statement": Flow(statement, 2),
    "the lease: no network": Flow(lease, 3, hours=162),
    "the lease: locked": Flow(lease, 4, hours=168),
    "heard of again": Flow(heard_of_again, 5, hours=200),
    "the command lock": Flow(commanded("lock"), 6),
    "the command unlock": Flow(commanded("unlock", 2), 6, first=commanded("lock")),
    "the command wipe": Flow(commanded("wipe"), 10),
    "the command release": Flow(commanded("release"), 10),
    "the command rotate-vpn-key": Flow(commanded("rotate-vpn-key"), 4),
    "create": Flow(create, 8, first=wipe(CORPORATE)),
    "start the personal one": Flow(start(PERSONAL), 8, first=stop(PERSONAL)),
    "start the corporate one": Flow(start(CORPORATE), 8, first=stop(CORPORATE)),
    "stop": Flow(stop(PERSONAL), 3),
    "suspend": Flow(suspend, 2),
    "resume": Flow(resume, 4, first=suspend),
    "reset": Flow(reset, 2, first=used),
    "a snapshot": Flow(snapshot, 4),
    "going back": Flow(roll_back, 5, first=stopped_with_a_snapshot),
    "removing a snapshot": Flow(remove_snapshot, 2, first=stopped_with_a_snapshot),
    "a passphrase": Flow(add_passphrase, 1, keys=True),
    "a recovery code": Flow(add_code, 1, keys=True),
    "removing a slot": Flow(remove_slot, 1, first=add_passphrase, keys=True),
    "a header put back": Flow(restore_header, 1, first=damaged_header, keys=True),
    "an owner's wipe of the personal one": Flow(wipe(PERSONAL), 8),
    "an owner's wipe of the corporate one": Flow(wipe(CORPORATE), 8),
    "owner's rules": Flow(owner_rules, 1),
    "a kill switch": Flow(switch, 1),
    "recovering the state": Flow(recover_state, 4, first=damaged_state),
}


async def look(laptop: Laptop, flow: Flow) -> object:
    """Everything that one of them changes, without what is random or a time."""
    core = laptop.core
    position = core._state.position()
    shown: dict[str, object] = {
        "enrolled": core.fleet.enrolment().enrolled,
        "position": (position.seq, position.policy_sha256),
        "policy": core.fleet.inbox.in_force.policy.name if core.fleet.inbox.in_force else "",
        "locked": core._commands.locked(),
        "commands": [(entry.action, entry.step) for entry in core._commands.book().entries],
        "safe": core.safe_mode is not None,
        "lease": core._lease.info().stage,
        "rules": core._state.get_bytes("owner-rules") is not None,
        "camera": core._device_manager.memory.switches.camera_off,
    }
    for info in await core.partitions.infos():
        name = Partition(info.name)
        shown[name] = (info.state, laptop.machine(name), info.image_sha256)
        record = core.partitions.record(name)
        if record is None or not record.created:
            continue
        nvram = (laptop.paths.volume(name) / "nvram.fd").read_bytes()
        shown[f"{name} firmware"] = hashlib.sha256(nvram).hexdigest()
        shown[f"{name} snapshots"] = sorted(one.kind for one in await core.disks.snapshots(name))
        shown[f"{name} slots"] = [slot.kind for slot in await core.key_slots.infos(name)]
    if flow.keys:
        try:
            core.partitions._volumes[PERSONAL].check_header()
            core.partitions._volumes[PERSONAL].unlock(FIRST)
        except HeaderDamaged as error:
            shown["header"] = error.code
    return shown


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Base]]:
    """Two laptops: one enrolled with both machines running, one that is not."""
    place = tmp_path_factory.mktemp("bases")
    image = make_base(place)
    company, clocks = Corporate(), SetClocks(wall=int(time.time()))
    (place / "volumes").mkdir()
    for name in Partition:
        (place / "volumes" / name).mkdir()
        QemuLuksVolume(name, place / "volumes" / name, cost=QUICK).create(image, 1, FIRST)
    found = {}
    kept = core_laptop.IMAGE
    core_laptop.IMAGE = ImageReference(
        target="images/corporate-0.qcow2", sha256=image.stem, length=image.stat().st_size
    )
    with private_bus(place):
        for enrolled in (True, False):
            directory = place / f"enrolled-{enrolled}"
            machines = RUNNING if enrolled else {name.value: "absent" for name in Partition}
            base = Base(directory, company, clocks, machines, seq=1, enrolled=enrolled)
            found[enrolled] = replace(base, last=_make(base, place, image))
        yield found
    core_laptop.IMAGE = kept


def _make(base: Base, place: Path, image: Path) -> str:
    """The laptop's directory; the hash of its first statement."""

    async def child(tell: int) -> None:
        base.directory.mkdir()
        laptop = Laptop(base.directory, Logind(), LEASE, enrolled=True, company=base.company)
        laptop.clocks = base.clocks
        laptop.paths.images.mkdir()
        shutil.copy(image, laptop.paths.images)
        state = State(laptop.paths.database)
        for name, document in PARTITION_DOCUMENTS.items():
            if base.enrolled:
                shutil.copytree(place / "volumes" / name, laptop.paths.volume(name))
            assert state.get(document, PartitionRecord) is not None
        if not base.enrolled:
            state.forget("root", "identity", *PARTITION_DOCUMENTS.values())
        else:
            assert state.get("identity", Identity) is not None
        state.close()
        os.write(tell, json.dumps(laptop._last).encode())

    text, status = in_child(child)
    assert status == 0
    return str(json.loads(text))


def prepared(flow: Flow, base: Base, directory: Path) -> Base:
    """The base on which ``first`` was done, and what its core shows after a start."""
    if flow.first is nothing:
        return base
    copy(base, directory)

    async def first(laptop: Laptop) -> object:
        await flow.first(laptop)
        return {
            "machines": laptop.machines(),
            "seq": laptop._seq,
            "last": laptop._last,
            "wall": laptop.clocks.wall,
            "boottime": laptop.clocks.boottime,
        }

    told = restarted(base, directory, base.machines, first)
    clocks = SetClocks(wall=told["wall"], boottime=told["boottime"])
    return replace(
        base,
        directory=directory,
        machines=told["machines"],
        seq=told["seq"],
        last=told["last"],
        clocks=clocks,
    )


def difference(shown: dict[str, object], wanted: dict[str, object]) -> dict[str, tuple[object, object]]:
    """Where they differ."""
    names = sorted({*shown, *wanted})
    return {n: (shown.get(n), wanted.get(n)) for n in names if shown.get(n) != wanted.get(n)}


KILLED: set[str] = set()
"""Names of transitions that a core was killed before, in this run."""


@pytest.mark.parametrize("name", FLOWS)
def test_the_old_state_or_the_new_one(
    name: str, bases: dict[bool, Base], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    flow, work = FLOWS[name], tmp_path / "laptop"
    base = prepared(flow, bases[flow.enrolled], tmp_path / "base")
    clocks = SetClocks(wall=base.clocks.wall, boottime=base.clocks.boottime)
    clocks.go_on(flow.hours)
    later = replace(base, clocks=clocks)

    async def done(laptop: Laptop) -> object:
        laptop.clocks.go_on(flow.hours)
        return await flow.work(laptop)

    async def shows(laptop: Laptop) -> object:
        return await look(laptop, flow)

    async def done_again(laptop: Laptop) -> object:
        shown = await look(laptop, flow)
        await flow.work(laptop)
        return shown, await look(laptop, flow), laptop.machines()

    before = restarted(base, copy(base, work), base.machines, shows)
    _, machines, steps = killed_at(base, work, None, done)
    after = restarted(later, work, machines, shows)
    assert before != after
    assert len(steps) >= flow.least, steps
    for number, known in enumerate(steps):
        if known in KILLED and not request.config.getoption("--long"):
            continue
        step, machines, _ = killed_at(base, work, number, done)
        if step is None:
            break  # what goes on side by side has come in another order
        KILLED.add(step)
        told = f"{name}, before transition {number + 1} of {len(steps)}: {step}"
        shown, again, then = restarted(later, work, machines, done_again)
        assert shown in (before, after), f"{told}: {difference(shown, before)}, {difference(shown, after)}"
        assert again == after or restarted(later, work, then, shows) == after, told


@pytest.mark.parametrize("name", FLOWS)
def test_random_instants(
    name: str, bases: dict[bool, Base], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Wherever it is then, also within a step: with --long."""
    if not request.config.getoption("--long"):
        pytest.skip("random instants are for --long")
    flow, work = FLOWS[name], tmp_path / "laptop"
    base = prepared(flow, bases[flow.enrolled], tmp_path / "base")
    clocks = SetClocks(wall=base.clocks.wall, boottime=base.clocks.boottime)
    clocks.go_on(flow.hours)
    later = replace(base, clocks=clocks)

    async def done(laptop: Laptop) -> object:
        laptop.clocks.go_on(flow.hours)
        return await flow.work(laptop)

    async def timed(laptop: Laptop) -> object:
        began = time.monotonic()
        await flow.work(laptop)
        return time.monotonic() - began

    async def done_again(laptop: Laptop) -> object:
        shown = await look(laptop, flow)
        await flow.work(laptop)
        return shown, await look(laptop, flow), laptop.machines()

    async def shows(laptop: Laptop) -> object:
        return await look(laptop, flow)

    before = restarted(base, copy(base, work), base.machines, shows)
    took = restarted(later, copy(base, work), base.machines, timed)
    _, machines, _ = killed_at(base, work, None, done)
    after = restarted(later, work, machines, shows)
    for number in range(INSTANTS):
        moment = took * (number + 0.5) / INSTANTS
        step, machines, _ = killed_at(base, work, None, done, after=moment)
        if step is None:
            continue
        told = f"{name}, {moment:.4f} s after its beginning"
        shown, again, then = restarted(later, work, machines, done_again)
        assert shown in (before, after), f"{told}: {difference(shown, before)}, {difference(shown, after)}"
        assert again == after or restarted(later, work, then, shows) == after, told


def test_there_are_enough_of_them(request: pytest.FixtureRequest) -> None:
    """Of different names; only where all of them were gone through."""
    if len(request.session.items) > 2 * len(FLOWS):
        assert len(KILLED) >= 80, sorted(KILLED)

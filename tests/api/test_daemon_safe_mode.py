"""The core whose state database is damaged: partitions open, policy's word is not lost, one command recovers.

The real core over its bus, libvirt's test driver, real volumes and real signatures (``core_laptop``).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from sdbus import sd_bus_open_system
from sdbus.exceptions import DbusServiceUnknownError
from twinhull_hypervisor.daemon.main import RESTART
from twinhull_hypervisor.daemon.state import PARTITION_DOCUMENTS, PartitionRecord, Position, State
from twinhull_hypervisor.daemon.state_file import copy_of, read_copy, write_copy
from twinhull_hypervisor.run import run
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH, RULES, DaemonInterface
from twinhull_policy.api.types import Grade, KillSwitches, Log, StateRecovered, Status
from twinhull_policy.example import example_policy
from twinhull_policy.model import OwnerRules
from twinhull_policy.names import Partition
from twinhull_policy.owner_defaults import default_owner_rules

from tests.ipc.table import METHODS, PIPE
from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.fleet_processes import ENVIRONMENT
from tests.support.hypervisor import QUICK, make_volumes
from tests.support.state_damages import DAMAGES, empty

CORPORATE, PERSONAL = Partition
FIRST = "a canary phrase of the owner's"
NOBODY = 65534

ENDS = ("TH-PAR-011", "TH-PAR-103")
"""Where a start ends here, after all that is asked: without QEMU's accounts, or at libvirt's test driver."""


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both volumes, made once."""
    return make_volumes(tmp_path_factory.mktemp("volumes"), FIRST)


@pytest.fixture
async def laptop(passable: Path, volumes: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CoreLaptop]:
    """A laptop that has been in use, whose core was killed and is about to start."""
    monkeypatch.setattr("twinhull_hypervisor.storage.base.for_this_machine", lambda: QUICK)
    async with core_laptop(passable, start=False) as made:
        for partition in Partition:
            shutil.copytree(volumes / partition, made.paths.volume(partition))
        await made.start_core()
        await made.stop_core()
        # With its last connection the journal goes, too: what is damaged below is all there is.
        made.core._state.close()
        for image in (volumes / "images").iterdir():
            shutil.copy(image, made.paths.images)
        state = State(made.paths.database)
        for name, document in PARTITION_DOCUMENTS.items():
            record = state.get(document, PartitionRecord)
            assert record is not None
            state.put(document, msgspec.structs.replace(record, image_sha256=image.stem))
            assert made.paths.volume(name).exists()
        state.put("owner-rules", default_owner_rules())
        state.put("kill-switches", KillSwitches(microphone_off=True))
        state.close()
        made.netd.calls.clear()
        yield made


def contents(path: Path) -> object:
    """What is at a path, to be compared."""
    if path.is_dir():
        return sorted((p.name, p.read_bytes()) for p in path.iterdir())
    return path.read_bytes() if path.exists() else None


def owner(path: Path) -> int:
    """Whose file it is."""
    return path.stat().st_uid


async def grade(laptop: CoreLaptop) -> Grade:
    return msgspec.json.decode(await laptop.daemon.get_grade(), type=Grade)


async def log(laptop: CoreLaptop) -> list[str]:
    return [entry.text for entry in msgspec.json.decode(await laptop.daemon.get_log(1000), type=Log).entries]


async def start(laptop: CoreLaptop, name: Partition) -> str:
    """Try to start a machine that is off; the code it ends with.

    There is no account here for its QEMU, so what can be had is everything before that: the volume opened by
    its passphrase, the golden image verified, the network built.
    """
    with pipe(FIRST) as reading:
        return (await laptop.refusal(laptop.daemon.start_partition(name, reading))).code


@contextmanager
def pipe(secret: str) -> Iterator[int]:
    """The read end of a pipe with a secret."""
    reading, writing = os.pipe()
    os.write(writing, secret.encode())
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)


def unlocked(laptop: CoreLaptop, name: Partition) -> bool:
    return laptop.core.partitions._volumes[name].state() == "unlocked"


async def machine_goes_on(laptop: CoreLaptop, name: Partition) -> None:
    """It is paused and goes on, its network checked before."""
    await laptop.daemon.suspend_partition(name)
    assert laptop.machine(name) == "paused"
    await laptop.daemon.resume_partition(name)
    assert laptop.machine(name) == "running"
    assert "adopt" in [verb for verb, _ in laptop.netd.of(name)]


def assert_shown(status: Status, found: Grade) -> None:
    """A person reads the reason and the way out, and a script, too; isolation is worth what it was."""
    assert status.safe_mode.startswith("The state database ")
    state, *others = found.checks
    assert (state.name, state.passed, status.safe_mode in state.reason) == ("state", False, True)
    assert "twinhull doctor --recover-state" in state.fix
    worst = max((check.caps_at for check in others if not check.passed), default="A")
    assert found.grade == worst


async def assert_changes_nothing(laptop: CoreLaptop) -> None:
    """Every call that would have to be remembered is refused, with the reason."""
    refused = [name for name, rule in RULES.items() if not rule.in_safe_mode]
    assert len(refused) > 15
    for name in refused:
        with pipe("") as reading:
            arguments = [reading if one is PIPE else one for one in METHODS[name].arguments]
            report = await laptop.refusal(getattr(laptop.daemon, name)(*arguments))
        assert (report.code, "state database" in report.message) == ("TH-DMN-040", True), name


def assert_gives_nothing_away(laptop: CoreLaptop) -> None:
    """The owner's rules and answers count for nothing, and both switches are off."""
    memory = laptop.core._device_manager.memory
    assert memory.owner == OwnerRules()
    assert dict(memory.answers) == {}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_partitions_open_and_one_command_recovers(
    laptop: CoreLaptop, damage: Callable[[Path], None]
) -> None:
    database = laptop.paths.database
    good = read_copy(copy_of(database))
    assert good is not None
    damage(database)
    before = contents(database)
    await laptop.start_core()
    status = await laptop.status()
    assert_shown(status, await grade(laptop))
    assert (status.enrolment.enrolled, status.policy.sequence) == (True, 1)
    assert [info.state for info in status.partitions] == ["running", "running"]
    for name in Partition:
        await machine_goes_on(laptop, name)
        await laptop.daemon.stop_partition(name, True)
        assert await start(laptop, name) in ENDS
        assert unlocked(laptop, name)
    # The corporate network comes from the policy whose signature was verified again, and from nothing else.
    built = [arguments for verb, arguments in laptop.netd.calls if verb == "corporate_up"]
    assert {tuple(arguments["routes"]) for arguments in built} == {tuple(example_policy().vpn.routes)}
    await assert_changes_nothing(laptop)
    assert_gives_nothing_away(laptop)
    assert (await laptop.status()).kill_switches == KillSwitches(microphone_off=True)
    assert contents(database) == before

    done = msgspec.json.decode(await laptop.daemon.recover_state(), type=StateRecovered)
    await laptop.until(laptop.core.renewal.is_set)
    assert done.source == "copy"
    assert contents(Path(done.kept)) == before
    assert Path(done.kept).parent == database.parent
    await laptop.stop_core()
    await laptop.start_core()
    status = await laptop.status()
    assert (status.safe_mode, status.enrolment.enrolled, status.policy.sequence) == ("", True, 1)
    assert any(Path(done.kept).name in line for line in await log(laptop))
    assert (await laptop.refusal(laptop.daemon.recover_state())).code == "TH-DMN-041"
    recovered = read_copy(copy_of(database))
    assert recovered is not None
    assert {
        name: recovered[name] for name in good if name in ("root", "identity", "policy", "owner-rules")
    } == {name: good[name] for name in good if name in ("root", "identity", "policy", "owner-rules")}
    assert laptop.core._device_manager.memory.owner == default_owner_rules()


async def test_the_service_itself_and_another_users_database(laptop: CoreLaptop) -> None:
    """EACCES: twinhulld without a capability, as its unit has it, and the database another user's.

    It answers in safe mode, and after a recovery ends with the status that has it started again.
    """
    database = laptop.paths.database
    os.chown(database, NOBODY, NOBODY)
    before = contents(database)
    with twinhulld(laptop) as process:
        status = await asked(laptop, process)
        assert "unable to open" in status.safe_mode
        assert (status.enrolment.enrolled, status.policy.sequence) == (True, 1)
        done = msgspec.json.decode(await laptop.daemon.recover_state(), type=StateRecovered)
        assert await asyncio.to_thread(process.wait, 20) == RESTART
    assert (done.source, contents(Path(done.kept))) == ("copy", before)
    assert (owner(database), owner(Path(done.kept))) == (0, NOBODY)
    with twinhulld(laptop) as process:
        assert (await asked(laptop, process)).safe_mode == ""
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 0


@contextmanager
def twinhulld(laptop: CoreLaptop) -> Iterator[subprocess.Popen[bytes]]:
    """The program, without capabilities and as root."""
    about = laptop.paths.run / "twinhull-0.dist-info" / "METADATA"
    about.parent.mkdir(exist_ok=True)
    about.write_text("Metadata-Version: 2.1\nName: twinhull\nVersion: 0\n")
    path = os.pathsep.join((ENVIRONMENT["PYTHONPATH"], str(laptop.paths.run)))
    settings = laptop.paths.run / "host.json"
    settings.write_text('{"allow_unconfined": true}')
    command = [
        "setpriv",
        "--bounding-set=-all",
        sys.executable,
        "-m",
        "twinhull_hypervisor.daemon.main",
        "--settings",
        str(settings),
    ]
    for option, place in (("state", "state"), ("fetch", "fetch"), ("run", "run")):
        command += [f"--{option}-dir", str(getattr(laptop.paths, place))]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def asked(laptop: CoreLaptop, process: subprocess.Popen[bytes]) -> Status:
    """What it says of itself, once it is there."""
    bus = sd_bus_open_system()
    laptop._buses.append(bus)
    laptop.daemon = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, bus)
    for _ in range(2000):
        try:
            return await laptop.status()
        except DbusServiceUnknownError:
            assert process.poll() is None
            await asyncio.sleep(0.01)
    raise AssertionError("it did not answer")


async def test_a_full_disk_is_over_once_there_is_room(laptop: CoreLaptop) -> None:
    """Nothing is made anew then: the database was never damaged."""
    database = laptop.paths.database
    kept = laptop.paths.state.with_name("kept")
    laptop.paths.state.rename(kept)
    laptop.paths.state.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", laptop.paths.state], timeout=10)
    try:
        shutil.copytree(kept, laptop.paths.state, dirs_exist_ok=True)
        before, filler = contents(database), laptop.paths.state / "filler"
        with filler.open("wb", buffering=0) as stream:
            for size in (65536, 4096, 1):
                try:
                    while stream.write(b"x" * size):
                        pass
                except OSError:
                    continue
        await laptop.start_core()
        assert_shown(await laptop.status(), await grade(laptop))
        await machine_goes_on(laptop, PERSONAL)
        await machine_goes_on(laptop, CORPORATE)
        refused = await laptop.refusal(laptop.daemon.recover_state())
        assert (refused.code, contents(database)) == ("TH-DMN-002", before)
        filler.unlink()
        done = msgspec.json.decode(await laptop.daemon.recover_state(), type=StateRecovered)
        assert (done.kept, done.source) == ("", "database")
        await laptop.stop_core()
        await laptop.start_core()
        assert (await laptop.status()).safe_mode == ""
    finally:
        await laptop.stop_core()
        run(["umount", "-l", laptop.paths.state], timeout=10)
        laptop.paths.state.rmdir()
        kept.rename(laptop.paths.state)
        await laptop.start_core()


# What fails closed


async def assert_corporate_closed(laptop: CoreLaptop) -> None:
    """Its running machine stands still, cut off, and it neither starts nor goes on nor shows anything."""
    await laptop.until(lambda: laptop.machine(CORPORATE) == "paused")
    await laptop.until(lambda: ("corporate_cut", {}) in laptop.netd.calls)
    assert "corporate_up" not in [verb for verb, _ in laptop.netd.calls]
    for call in (laptop.daemon.resume_partition("corporate"), laptop.daemon.open_display("corporate")):
        report = await laptop.refusal(call)
        assert (report.code, "safe mode" in report.message) == ("TH-PAR-021", True)
    await laptop.daemon.stop_partition("corporate", True)
    assert await start(laptop, CORPORATE) == "TH-PAR-021"
    assert not unlocked(laptop, CORPORATE)
    await machine_goes_on(laptop, PERSONAL)


def _no_statement(laptop: CoreLaptop) -> None:
    (laptop.paths.inbox / "statement.dsse").unlink()


def _another_company(laptop: CoreLaptop) -> None:
    """Somebody else's statement, with a good signature of somebody else's."""
    path = laptop.paths.inbox / "statement.dsse"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"sig":"', b'"sig":"AAAA', 1))


def _body_changed(laptop: CoreLaptop) -> None:
    (body,) = (laptop.paths.inbox / "bodies").iterdir()
    body.write_bytes(body.read_bytes().replace(b"e", b"f", 1))


def _without(*names: str) -> Callable[[CoreLaptop], None]:
    def change(laptop: CoreLaptop) -> None:
        copy = copy_of(laptop.paths.database)
        documents = read_copy(copy)
        assert documents is not None
        write_copy(copy, {name: body for name, body in documents.items() if name not in names})

    return change


def _with(name: str, body: bytes) -> Callable[[CoreLaptop], None]:
    def change(laptop: CoreLaptop) -> None:
        copy = copy_of(laptop.paths.database)
        documents = read_copy(copy)
        assert documents is not None
        write_copy(copy, {**documents, name: body})

    return change


UNPROVED: dict[str, Callable[[CoreLaptop], None]] = {
    "no statement": _no_statement,
    "a statement whose signature is bad": _another_company,
    "a policy that is not the signed one": _body_changed,
    "no root of trust": _without("root"),
    "no identity": _without("identity"),
    "no lease": _without("lease"),
    "a lease that cannot be read": _with("lease", b'{"future":1}'),
    "a journal of commands that cannot be read": _with("commands", b'{"future":1}'),
    "another statement accepted": _with(
        "position", msgspec.json.encode(Position(seq=1, sha256="cd" * 32, applied_at=1.0))
    ),
    "a newer statement accepted": _with("position", msgspec.json.encode(Position(seq=2, sha256="cd" * 32))),
}


@pytest.mark.parametrize("change", UNPROVED.values(), ids=UNPROVED)
async def test_what_is_not_proved_is_not_allowed(
    laptop: CoreLaptop, change: Callable[[CoreLaptop], None]
) -> None:
    change(laptop)
    empty(laptop.paths.database)
    await laptop.start_core()
    await assert_corporate_closed(laptop)


async def test_a_policy_that_was_kept_is_not_the_signed_one(laptop: CoreLaptop) -> None:
    """Whatever the copy says of the policy, the one in force is what the company signed."""
    forged = msgspec.structs.replace(example_policy(), name="Forged")
    _with("policy", msgspec.json.encode(forged))(laptop)
    empty(laptop.paths.database)
    await laptop.start_core()
    assert (await laptop.status()).policy.name == example_policy().name


async def test_a_lease_that_ended_stays_ended(laptop: CoreLaptop) -> None:
    await laptop.start_core()
    await laptop.passes(168)
    assert laptop.machine(CORPORATE) == "absent"
    await laptop.stop_core()
    empty(laptop.paths.database)
    # Back to where the lease had only begun: the copy has counted.
    laptop.clocks.wall -= 168 * 3600
    await laptop.start_core()
    assert await laptop.stage() == "locked"
    assert (await laptop.refusal(laptop.daemon.open_display("corporate"))).code == "TH-PAR-020"
    await laptop.daemon.recover_state()
    await laptop.stop_core()
    await laptop.start_core()
    assert await laptop.stage() == "locked"


async def test_a_newer_statement_counts_meanwhile_and_after(laptop: CoreLaptop) -> None:
    """What the server says is followed in safe mode, too, and is not forgotten by recovering."""
    empty(laptop.paths.database)
    await laptop.start_core()
    await laptop.contact()
    assert (await laptop.status()).policy.sequence == 2
    await laptop.daemon.recover_state()
    await laptop.stop_core()
    await laptop.start_core()
    assert (await laptop.status()).policy.sequence == 2


async def test_without_a_copy_the_disks_speak_for_themselves(laptop: CoreLaptop) -> None:
    """Both are lost: the personal side opens, and what only the server could say has to be said again."""
    sizes = {info.name: info.image_sha256 for info in (await _statused(laptop)).partitions}
    copy_of(laptop.paths.database).write_bytes(b"damaged as well")
    empty(laptop.paths.database)
    await laptop.start_core()
    status = await laptop.status()
    assert (status.enrolment.enrolled, status.policy.sequence) == (False, 0)
    assert {info.name for info in status.partitions if info.state != "absent"} == set(sizes)
    assert status.kill_switches == KillSwitches(camera_off=True, microphone_off=True)
    assert_gives_nothing_away(laptop)
    await assert_corporate_closed(laptop)
    await laptop.daemon.stop_partition("personal", True)
    assert await start(laptop, PERSONAL) in ENDS
    assert unlocked(laptop, PERSONAL)
    done = msgspec.json.decode(await laptop.daemon.recover_state(), type=StateRecovered)
    assert done.source == "volumes"
    await laptop.stop_core()
    await laptop.start_core()
    status = await laptop.status()
    assert (status.safe_mode, status.enrolment.enrolled) == ("", False)
    assert [info.state for info in status.partitions] == ["locked", "locked"]
    assert await start(laptop, CORPORATE) != ""
    assert laptop.machine(CORPORATE) == "absent"


async def _statused(laptop: CoreLaptop) -> Status:
    await laptop.start_core()
    status = await laptop.status()
    await laptop.stop_core()
    return status


async def test_a_recovery_cut_short_is_begun_again(laptop: CoreLaptop) -> None:
    """After the damaged file was put aside and before the new one has its name."""
    database = laptop.paths.database
    empty(database)
    await laptop.start_core()
    await laptop.stop_core()
    database.rename(database.with_name("state.sqlite.damaged-20260101T000000Z"))
    database.with_name("state.sqlite.recovered").write_bytes(b"half of it")
    await laptop.start_core()
    assert "it is gone" in (await laptop.status()).safe_mode
    await laptop.daemon.recover_state()
    await laptop.stop_core()
    await laptop.start_core()
    assert (await laptop.status()).safe_mode == ""
    assert (await laptop.status()).enrolment.enrolled

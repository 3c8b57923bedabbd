"""A partition wiped by its owner, on the real core: real disks, libvirt's test driver for machines."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from twinhull_hypervisor.daemon.state import PARTITION_DOCUMENTS, WIPE_DOCUMENTS, State
from twinhull_hypervisor.daemon.wipes import Wipe
from twinhull_hypervisor.storage import qemu_luks
from twinhull_hypervisor.storage.errors import BadKeyFile
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.api.types import WipeDone
from twinhull_policy.names import Partition
from twinhull_policy.trust.receipt import parse_wipe

from tests.api.test_daemon_key_slots import FIRST, volumes
from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.hypervisor import QUICK
from tests.support.killed import STEPS, killed_before

__all__ = ["volumes"]
CORPORATE, PERSONAL = Partition


@pytest.fixture
async def laptop(tmp_path: Path, volumes: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CoreLaptop]:
    """Both volumes made, with a snapshot each, locked; both machines running."""
    monkeypatch.setattr("twinhull_hypervisor.storage.base.for_this_machine", lambda: QUICK)
    async with core_laptop(tmp_path, start=False) as made:
        for partition in Partition:
            shutil.copytree(volumes / partition, made.paths.volume(partition))
            volume(made, partition).snapshot("before")
        await made.start_core()
        yield made


def volume(laptop: CoreLaptop, name: Partition) -> QemuLuksVolume:
    return QemuLuksVolume(name, laptop.paths.volume(name), cost=QUICK)


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def wipe(laptop: CoreLaptop, name: Partition) -> WipeDone:
    return msgspec.json.decode(await laptop.daemon.wipe_partition(name), type=WipeDone)


def journal(laptop: CoreLaptop, name: Partition) -> tuple[bool, bool]:
    """Whether the partition, and a wipe of it, are written down."""
    state = State(laptop.paths.database)
    try:
        return state.get_bytes(PARTITION_DOCUMENTS[name]) is not None, state.get_bytes(
            WIPE_DOCUMENTS[name]
        ) is not None
    finally:
        state.close()


@pytest.mark.parametrize("name", [CORPORATE, PERSONAL])
async def test_all_of_one_and_nothing_of_the_other(laptop: CoreLaptop, name: Partition) -> None:
    other = PERSONAL if name is CORPORATE else CORPORATE
    before = contents(laptop.paths.volume(other))
    done = await wipe(laptop, name)
    assert (done.survived, done.other_untouched) == ([], True)
    assert "fetch cannot be reached" in done.unsigned
    receipt = parse_wipe(done.receipt.encode())
    assert (receipt.partition, receipt.other_before == receipt.other_after) == (name.value, True)
    assert list(laptop.paths.volume(name).iterdir()) == []
    assert contents(laptop.paths.volume(other)) == before
    assert (laptop.machine(name), laptop.machine(other)) == ("absent", "running")
    assert journal(laptop, name) == (False, False)
    states = {info.name: info.state for info in (await laptop.status()).partitions}
    assert (states[name], states[other]) == ("absent", "running")
    assert receipt.other_after in await laptop.daemon.get_log(100)
    assert (await laptop.refusal(laptop.daemon.wipe_partition(name))).code == "TH-PAR-004"


async def test_an_old_header_backup_opens_nothing(laptop: CoreLaptop, tmp_path: Path) -> None:
    """A backup that somebody kept, and the disk's header put back from it: the passphrase opens neither."""
    made = volume(laptop, PERSONAL)
    (backup,) = made.paths.directory.glob("header-*.backup")
    kept = tmp_path / backup.name
    shutil.copy(backup, kept)
    made.unlock(FIRST.encode())
    assert qemu_luks.open_once(kept, made.secret_value()).status == 0
    await wipe(laptop, PERSONAL)
    shutil.copy(kept, made.paths.directory / backup.name)
    shutil.copy(kept, made.paths.overlay)
    again = volume(laptop, PERSONAL)
    with pytest.raises(BadKeyFile):
        again.unlock(FIRST.encode())
    assert qemu_luks.open_once(kept, FIRST.encode()).status != 0


async def test_what_was_not_overwritten_is_told(laptop: CoreLaptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receipt does not say what did not happen."""
    for module in ("volume", "header", "snapshots"):
        monkeypatch.setattr(f"twinhull_hypervisor.storage.{module}.overwrite_head", lambda *_: None)
    survived = (await wipe(laptop, PERSONAL)).survived
    assert [path.rpartition("/")[2][:6] for path in survived] == ["header", "overla", "disk.q"]
    assert list(laptop.paths.volume(PERSONAL).iterdir()) == []


@pytest.mark.parametrize("name", [CORPORATE, PERSONAL])
async def test_an_interrupted_one_is_finished_at_the_next_start(laptop: CoreLaptop, name: Partition) -> None:
    """Killed before any step of it, and the receipt is in the log."""
    await laptop.stop_core()
    directory = laptop.paths.volume(name)
    saved = directory.with_name("before")
    shutil.copytree(directory, saved)
    state = State(laptop.paths.database)
    record = state.get_bytes(PARTITION_DOCUMENTS[name])
    assert record is not None
    for number in range(0, 100, 5):
        shutil.rmtree(directory)
        shutil.copytree(saved, directory)
        state.put_bytes(PARTITION_DOCUMENTS[name], record)
        state.put(WIPE_DOCUMENTS[name], Wipe(1.0))
        where = killed_before(number, directory, volume(laptop, name).destroy, STEPS | {"os.rmdir"})
        await laptop.start_core()
        await laptop.until(lambda: journal(laptop, name) == (False, False))
        assert list(directory.iterdir()) == [], where
        if where is None:
            break
        await laptop.stop_core()
    state.close()
    assert where is None
    assert number >= 10
    assert "You wiped the" in await laptop.daemon.get_log(10)


async def test_a_start_wipes_nothing_that_nobody_asked_to(laptop: CoreLaptop) -> None:
    before = contents(laptop.paths.volume(PERSONAL))
    await laptop.stop_core()
    await laptop.start_core()
    assert contents(laptop.paths.volume(PERSONAL)) == before


async def test_a_disk_that_cannot_be_overwritten(laptop: CoreLaptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error, and it is tried again at the next start."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("twinhull_hypervisor.storage.volume.overwrite_head", refuse)
    assert (await laptop.refusal(laptop.daemon.wipe_partition("personal"))).code == "TH-VOL-011"
    assert journal(laptop, PERSONAL) == (True, True)
    assert not (laptop.paths.volume(PERSONAL) / "keys.json").exists()
    await laptop.stop_core()
    monkeypatch.undo()
    await laptop.start_core()
    await laptop.until(lambda: journal(laptop, PERSONAL) == (False, False))
    assert list(laptop.paths.volume(PERSONAL).iterdir()) == []

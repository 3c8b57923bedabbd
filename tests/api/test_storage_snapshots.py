"""Snapshots of real disks: kept, gone back to, undone; killed at every step, all is as before or as after."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage import copies, header, qemu_luks, snapshots
from twinhull_hypervisor.storage.disk_keys import DiskKeys
from twinhull_hypervisor.storage.errors import (
    DiskFull,
    HeaderDamaged,
    NoSnapshot,
    SnapshotDamaged,
    SnapshotsFull,
    SnapshotUnreadable,
    VolumeLocked,
    WrongPassphrase,
)
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

from tests.api.test_storage_rotation import io
from tests.support.hypervisor import PASSPHRASE, QUICK, make_base, passable_directory
from tests.support.killed import STEPS, killed_before

EVERY = STEPS | {"os.link", "os.mkdir", "os.rmdir"}
TELLING = {"os.rename", "os.link", "os.mkdir"}
ROTATING, BETWEEN = {"os.rename", "subprocess.Popen"}, (7, 12)
"""With a new key: one of the two disks has it already; one of them has forgotten the old one already."""
FIRST, SECOND, THIRD = 0x11, 0x22, 0x33
CORE, MACHINE = 65534, 65533
"""Users without privileges."""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A volume that holds FIRST, made once."""
    with passable_directory() as place:
        base = make_base(place)
        (place / "one").mkdir()
        volume = QemuLuksVolume(Partition.PERSONAL, place / "one", cost=QUICK)
        volume.create(base, 1, PASSPHRASE)
        write(volume, FIRST)
        yield place


@pytest.fixture
def volume(made: Path, tmp_path: Path) -> QemuLuksVolume:
    """The volume, unlocked."""
    shutil.copytree(made / "one", tmp_path / "one")
    volume = QemuLuksVolume(Partition.PERSONAL, tmp_path / "one", cost=QUICK)
    volume.unlock(PASSPHRASE)
    return volume


def write(volume: QemuLuksVolume, value: int) -> None:
    """Have the guest's disk and its UEFI variables hold a value."""
    io(volume, f"write -P {value} 0 64k")
    with volume.paths.nvram.open("r+b") as file:
        file.write(bytes([value]) * 64)


def holds(volume: QemuLuksVolume) -> int:
    """The value that disk and variables both hold."""
    value = volume.paths.nvram.read_bytes()[0]
    io(volume, f"read -P {value} 0 64k")
    return value


def names(volume: QemuLuksVolume) -> list[tuple[str, str]]:
    return [(snapshot.kind, snapshot.name) for snapshot in volume.snapshots.found()]


def files(volume: QemuLuksVolume) -> set[str]:
    """The names of all files but snapshots' ids, which are random."""
    place = volume.paths.directory
    return {
        path.name if path.parent == place else f"snapshot/{path.name}"
        for path in place.rglob("*")
        if path.is_file()
    }


def test_back_and_forward(volume: QemuLuksVolume) -> None:
    first = volume.snapshot("the first")
    write(volume, SECOND)
    kept = volume.roll_back(first.id)
    assert holds(volume) == FIRST
    assert names(volume) == [("asked", "the first"), ("rollback", "the first")]
    write(volume, THIRD)
    undone = volume.roll_back(kept)
    assert holds(volume) == SECOND
    assert [snapshot.id for snapshot in volume.snapshots.found()] == [first.id, undone]
    volume.roll_back(undone)
    assert holds(volume) == THIRD
    volume.roll_back(first.id)
    assert holds(volume) == FIRST
    volume.lock()
    volume.unlock(PASSPHRASE)
    assert holds(volume) == FIRST
    for snapshot in volume.snapshots.found():
        volume.snapshots.remove(snapshot.id)
    assert names(volume) == []
    assert holds(volume) == FIRST


def test_what_is_written_later_is_not_in_it(volume: QemuLuksVolume) -> None:
    """Neither way: a snapshot shares no file with the present disk once it has its name."""
    first = volume.snapshot("")
    kept = volume.roll_back(first.id)
    write(volume, THIRD)
    links = [path.stat().st_nlink for path in volume.paths.directory.rglob("*") if path.is_file()]
    assert set(links) == {1}
    volume.roll_back(first.id)
    assert holds(volume) == FIRST
    volume.roll_back(kept)
    assert holds(volume) == FIRST


def test_it_needs_no_key_to_keep_and_one_to_go_back(volume: QemuLuksVolume) -> None:
    volume.lock()
    first = volume.snapshot("")
    with pytest.raises(VolumeLocked):
        volume.roll_back(first.id)
    assert names(volume) == [("asked", "")]


def test_passphrases_do_not_come_back(volume: QemuLuksVolume) -> None:
    first = volume.snapshot("")
    volume.keys.change(PASSPHRASE, b"another passphrase")
    volume.roll_back(first.id)
    volume.lock()
    with pytest.raises(WrongPassphrase):
        volume.unlock(PASSPHRASE)
    volume.unlock(b"another passphrase")
    assert holds(volume) == FIRST


def test_a_new_key_is_the_snapshots_too(volume: QemuLuksVolume) -> None:
    """After a reset the present disk may have its key in another slot of its header than the snapshot."""
    disk = volume.snapshot("").disk
    old = volume.secret_value()
    DiskKeys(Partition.PERSONAL).move(disk, old, 1)
    volume.rotate(PASSPHRASE)
    assert qemu_luks.open_once(disk, old).status != 0
    assert qemu_luks.open_once(disk, volume.secret_value()).status == 0
    assert sum(qemu_luks.keys_in_use(disk)) == 1


def test_going_back_undoes_a_reset(volume: QemuLuksVolume) -> None:
    base = header.read_header(volume.paths.overlay)
    start, length = int.from_bytes(base.cluster[8:16]), int.from_bytes(base.cluster[16:20])
    first = volume.snapshot("")
    volume.reset(Path(base.cluster[start : start + length].decode()), 1)
    volume.roll_back(first.id)
    volume.lock()
    volume.unlock(PASSPHRASE)
    assert holds(volume) == FIRST


def test_the_header_is_backed_up_and_watched_after_going_back(volume: QemuLuksVolume) -> None:
    volume.roll_back(volume.snapshot("").id)
    assert len(header.backups(volume.paths.directory)) == 1
    volume.lock()
    with volume.paths.overlay.open("r+b") as file:
        file.write(bytes(512))
    with pytest.raises(HeaderDamaged):
        volume.snapshot("of a damaged disk")
    volume.restore_header()
    volume.unlock(PASSPHRASE)
    assert holds(volume) == FIRST


def test_an_end_for_good_takes_them_along(volume: QemuLuksVolume, tmp_path: Path) -> None:
    """A copy of a snapshot's file keeps its header; what is overwritten is the one that was here."""
    first = volume.snapshot("")
    key = volume.secret_value()
    held = os.open(first.disk, os.O_RDONLY)
    try:
        volume.destroy()
        os.lseek(held, 0, os.SEEK_SET)
        with os.fdopen(os.dup(held), "rb") as file, (tmp_path / "remains").open("wb") as remains:
            shutil.copyfileobj(file, remains)
    finally:
        os.close(held)
    assert qemu_luks.open_once(tmp_path / "remains", key).status != 0
    assert list(volume.paths.directory.iterdir()) == []


def damaged_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(512))


def damaged_key(path: Path) -> None:
    place = header.read_header(path).offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(os.urandom(2**21))


def of_another_base(path: Path) -> None:
    read = header.read_header(path)
    with path.open("r+b") as file:
        file.seek(int.from_bytes(read.cluster[8:16]))
        file.write(b"/etc/pass")


def of_another_size(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(24)
        file.write((2**31).to_bytes(8))


@pytest.mark.parametrize("damage", [damaged_header, damaged_key, of_another_base, of_another_size])
def test_a_snapshot_that_does_not_fit(volume: QemuLuksVolume, damage: Callable[[Path], None]) -> None:
    first = volume.snapshot("")
    damage(first.disk)
    before = volume.paths.overlay.stat()
    with pytest.raises(SnapshotDamaged, match=first.id):
        volume.roll_back(first.id)
    assert volume.paths.overlay.stat() == before
    assert holds(volume) == FIRST
    assert names(volume) == [("asked", "")]


EVIL = [b"", b"{", b"[]", b'{"version":2,"kind":"asked","name":"","at":1}', b"[" * 4096, b"\xff" * 10_000]
EVIL += [b'{"version":1,"kind":"asked","name":"%s","at":1}' % (b"n" * 61)]
EVIL += [b'{"version":1,"kind":"asked","name":"","at":-1}', b'{"version":1,"kind":"x","name":"","at":1}']


@pytest.mark.parametrize("untrusted", EVIL)
def test_a_description_that_is_none(volume: QemuLuksVolume, untrusted: bytes) -> None:
    """It is not offered, and its disk is neither forgotten by a new key nor by the end of all."""
    first = volume.snapshot("")
    (first.directory / "snapshot.json").write_bytes(untrusted)
    assert names(volume) == []
    with pytest.raises(NoSnapshot):
        volume.roll_back(first.id)
    assert volume.snapshots.disks() == [first.disk]
    volume.snapshots.remove(first.id)
    assert volume.snapshots.disks() == []


@pytest.mark.parametrize("name", ["../one", ".", "..", "", "s-00000000", "/etc"])
def test_what_is_no_snapshot(volume: QemuLuksVolume, name: str) -> None:
    volume.snapshot("")
    for use in (volume.roll_back, volume.snapshots.remove):
        with pytest.raises(NoSnapshot):
            use(name)
    assert len(names(volume)) == 1


def test_bounds(volume: QemuLuksVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = snapshots.SnapshotLimits(count=2, spare_bytes=0)
    monkeypatch.setattr(snapshots, "LIMITS", limits)
    first = volume.snapshot("")
    volume.snapshot("")
    for refused in (lambda: volume.snapshot(""), lambda: volume.roll_back(first.id)):
        with pytest.raises(SnapshotsFull, match="2 snapshots"):
            refused()
    assert holds(volume) == FIRST
    volume.snapshots.remove(first.id)
    kept = volume.roll_back(volume.snapshots.found()[0].id)
    volume.roll_back(kept)


def test_room_is_looked_at_first(volume: QemuLuksVolume, monkeypatch: pytest.MonkeyPatch) -> None:
    first = volume.snapshot("")
    too_much = snapshots.SnapshotLimits(spare_bytes=2**60)
    monkeypatch.setattr(snapshots, "LIMITS", too_much)
    monkeypatch.setattr("twinhull_hypervisor.storage.base.LIMITS", too_much)
    monkeypatch.setattr(copies, "FICLONE", 0)
    before = files(volume)
    for refused in (lambda: volume.snapshot(""), lambda: volume.roll_back(first.id)):
        with pytest.raises(DiskFull, match="not enough room"):
            refused()
    assert files(volume) == before
    assert holds(volume) == FIRST


def test_holes_stay_holes(volume: QemuLuksVolume) -> None:
    os.truncate(volume.paths.overlay, 2**30)
    told: list[tuple[int, int]] = []
    first = volume.snapshot("", lambda done, total: told.append((done, total)))
    assert first.disk.stat().st_size == 2**30
    assert first.bytes < 2**24
    if told:  # not where the file system copies by reference
        assert told == sorted(told)
        assert told[-1][0] > 2**20


@pytest.mark.parametrize("what", ["snapshot", "rollback", "undo", "remove"])
def test_killed_at_every_step(volume: QemuLuksVolume, request: pytest.FixtureRequest, what: str) -> None:
    """Disk, variables and list are those of before or those of after, and nothing is left over."""
    directory = volume.paths.directory
    first = volume.snapshot("first")
    write(volume, SECOND)
    if what == "undo":
        kept = volume.roll_back(first.id)
        write(volume, THIRD)
    works: dict[str, Callable[[], object]] = {
        "snapshot": lambda: volume.snapshot("more"),
        "rollback": lambda: volume.roll_back(first.id),
        "undo": lambda: volume.roll_back(kept),
        "remove": lambda: volume.snapshots.remove(first.id),
    }
    saved = directory.with_name("before")
    shutil.copytree(directory, saved)
    before = (holds(volume), names(volume))
    works[what]()
    after = (holds(volume), names(volume))
    assert after != before
    tidy = files(volume)
    seen, ended = [], []
    for number in range(100):
        shutil.rmtree(directory)
        shutil.copytree(saved, directory)
        steps = EVERY if request.config.getoption("--long") else TELLING
        where = killed_before(number, directory, works[what], steps)
        again = QemuLuksVolume(Partition.PERSONAL, directory, cost=QUICK)
        again.unlock(PASSPHRASE)
        again.make_ready()
        ended.append((holds(again), names(again)))
        assert ended[-1] in (before, after), where
        if ended[-1] == after:
            assert files(again) == tidy
        assert {path.stat().st_nlink for path in directory.rglob("*") if path.is_file()} == {1}, where
        if where is None:
            break
        seen.append(where)
    assert where is None
    assert len(seen) >= (1 if what == "remove" else 4)
    assert ended[-1] == after
    assert before in ended


def test_a_new_key_killed_at_every_step(volume: QemuLuksVolume, request: pytest.FixtureRequest) -> None:
    """Whichever key it is, it opens the present disk and the snapshot, and they hold no other."""
    directory = volume.paths.directory
    volume.snapshot("first")
    saved = directory.with_name("before")
    shutil.copytree(directory, saved)
    long = request.config.getoption("--long")
    keys = set()
    for number in range(200) if long else (*BETWEEN, 1000):
        shutil.rmtree(directory)
        shutil.copytree(saved, directory)
        where = killed_before(
            number, directory, lambda: volume.rotate(PASSPHRASE), EVERY if long else ROTATING
        )
        again = QemuLuksVolume(Partition.PERSONAL, directory, cost=QUICK)
        again.unlock(PASSPHRASE)
        keys.add(again.secret_value() == volume.secret_value())
        for disk in (again.paths.overlay, *again.snapshots.disks()):
            assert sum(qemu_luks.keys_in_use(disk)) == 1, where
            assert qemu_luks.open_once(disk, again.secret_value()).status == 0, where
        if where is None:
            break
    assert where is None
    assert keys == {True, False}


def test_an_end_killed_at_every_step(volume: QemuLuksVolume) -> None:
    """Whatever is left of it, no key opens a snapshot, and doing it again finishes it."""
    directory = volume.paths.directory
    volume.snapshot("first")
    saved = directory.with_name("before")
    shutil.copytree(directory, saved)
    for number in range(100):
        shutil.rmtree(directory)
        shutil.copytree(saved, directory)
        where = killed_before(number, directory, volume.destroy, EVERY)
        again = QemuLuksVolume(Partition.PERSONAL, directory, cost=QUICK)
        if number > 0:
            assert again.state() is VolumeState.ABSENT, where
        again.destroy()
        assert list(directory.iterdir()) == [], where
        if where is None:
            break
    assert where is None
    assert number >= 5


def as_user(uid: int, work: Callable[[], object]) -> str:
    """The class of what ``work`` raises as a user without privileges; "" when it does not."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        try:
            work()
        except Exception as error:  # whatever it is, its class is what the test asks for
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.wait()
    return said


def open_and_close(path: Path, mode: str) -> None:
    path.open(mode).close()


@pytest.mark.parametrize("lent", [False, True])
def test_a_disk_that_its_machine_has(volume: QemuLuksVolume, lent: bool) -> None:
    """libvirt gives the files to the machine's user; core reads on if it saw to that before."""
    volume.lock()
    place = volume.paths.directory
    mine = (volume.paths.overlay, volume.paths.nvram)
    for directory in (place, *place.parents[:3]):
        directory.chmod(0o711)
    for path in (place, *place.iterdir()):
        os.chown(path, CORE, CORE)
    if lent:
        assert as_user(CORE, volume.make_ready) == ""
    for path in mine:
        os.chown(path, MACHINE, MACHINE)
    assert as_user(CORE, lambda: volume.snapshot("")) == ("" if lent else SnapshotUnreadable.__name__)
    assert len(names(volume)) == (1 if lent else 0)
    for path in mine:
        assert as_user(MACHINE, partial(open_and_close, path, "r+b")) == ""
        assert as_user(MACHINE + 100, partial(open_and_close, path, "rb")) == "PermissionError"
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_no_guest_can_name_another_file(volume: QemuLuksVolume) -> None:
    """Formats and bases are explicit: what a guest writes into its disk is never taken for a header."""
    io(volume, "write -P 0x51 0 512")
    volume.roll_back(volume.snapshot("").id)
    shown = run(["qemu-img", "info", "-U", "-f", "qcow2", volume.paths.overlay], timeout=30).text
    assert "encrypted: yes" in shown

"""Updates of real disks to another golden image: what there was is kept whole, killed at every step too."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from twinhull_hypervisor.run import Completed
from twinhull_hypervisor.storage import header, qemu_luks, snapshots
from twinhull_hypervisor.storage.errors import (
    DiskFull,
    NoSnapshot,
    SnapshotDamaged,
    SnapshotsFull,
    VolumeFailed,
    VolumeLocked,
)
from twinhull_hypervisor.storage.snapshots import LIMITS, new_snapshot_id
from twinhull_hypervisor.storage.standing import Standing, read_standing
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

from tests.api.test_storage_rotation import io
from tests.api.test_storage_snapshots import EVERY, FIRST, SECOND, TELLING, files, holds, names, write
from tests.support.hypervisor import PASSPHRASE, QUICK, make_another_base, make_base, passable_directory
from tests.support.killed import killed_before

FRESH = 0x77
"""What the newer image begins with."""
KEPT = "s-00c0ffee"
MAKE = qemu_luks.make
Bench = tuple[QemuLuksVolume, Path, Path]


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, Path, Path]]:
    """A volume that holds FIRST over one image, and a newer image; made once, with a disk over that."""
    with passable_directory() as place:
        base = make_base(place)
        newer = make_another_base(base.parent, FRESH)
        (place / "one").mkdir()
        volume = QemuLuksVolume(Partition.PERSONAL, place / "one", cost=QUICK)
        volume.create(base, 1, PASSPHRASE)
        write(volume, FIRST)
        assert MAKE(place / "fresh.qcow2", newer, 2, volume.secret_value()).status == 0
        yield place, base, newer


@pytest.fixture
def bench(made: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The volume, unlocked, and both images; a new disk is a copy of the one made before."""
    place, base, newer = made
    shutil.copytree(place / "one", tmp_path / "one")
    volume = QemuLuksVolume(Partition.PERSONAL, tmp_path / "one", cost=QUICK)
    volume.unlock(PASSPHRASE)

    def ready(path: Path, over: Path, disk_gib: int, key: bytes) -> Completed:
        assert (over, disk_gib, key) == (newer, 2, volume.secret_value())
        shutil.copyfile(place / "fresh.qcow2", path)
        return Completed(0, b"", b"")

    monkeypatch.setattr(qemu_luks, "make", ready)
    return volume, base, newer


def test_there_and_back_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new disk begins as the new image, and whichever was there comes back whole, any number of times."""
    monkeypatch.setattr(qemu_luks, "make", MAKE)
    volume, base, newer = bench
    both = (base.stem, newer.stem)
    assert volume.stands_on() == Standing(base.stem, 1)
    volume.update(newer, 2, KEPT, "images/newer.qcow2")
    assert volume.stands_on() == Standing(newer.stem, 2)
    io(volume, f"read -P {FRESH} 0 64k")
    io(volume, "read -P 0 64k 64k")
    assert names(volume) == [("update", "images/newer.qcow2")]
    write(volume, SECOND)
    kept = volume.roll_back(KEPT, bases=both)
    assert (holds(volume), volume.stands_on()) == (FIRST, Standing(base.stem, 1))
    assert names(volume) == [("rollback", "images/newer.qcow2")]
    volume.roll_back(kept, bases=both)
    assert (holds(volume), volume.stands_on()) == (SECOND, Standing(newer.stem, 2))
    volume.lock()
    volume.unlock(PASSPHRASE)
    assert holds(volume) == SECOND
    assert len(header.backups(volume.paths.directory)) == 1


def test_an_update_that_is_undone(bench: Bench) -> None:
    """Of the new disk nothing is left; the old one is the very file that it was."""
    volume, base, newer = bench
    before, was = volume.paths.overlay.stat().st_ino, files(volume)
    volume.update(newer, 2, KEPT, "")
    write(volume, SECOND)
    volume.undo_update(KEPT, [base.stem])
    assert (holds(volume), volume.stands_on()) == (FIRST, Standing(base.stem, 1))
    assert volume.paths.overlay.stat().st_ino == before
    assert (names(volume), files(volume)) == ([], was)
    with pytest.raises(NoSnapshot):
        volume.undo_update(KEPT, [base.stem])


def test_only_to_an_image_that_is_named(bench: Bench) -> None:
    volume, base, newer = bench
    volume.update(newer, 2, KEPT, "")
    io(volume, f"write -P {SECOND} 0 64k")
    for going in (volume.roll_back, partial(volume.undo_update, bases=[newer.stem])):
        with pytest.raises(SnapshotDamaged, match=KEPT):
            going(KEPT)
        io(volume, f"read -P {SECOND} 0 64k")
        assert names(volume) == [("update", "")]
    volume.undo_update(KEPT, [base.stem])
    assert holds(volume) == FIRST


def test_a_kept_disk_that_does_not_open(bench: Bench) -> None:
    """It is not put back, and the new one stays."""
    volume, base, newer = bench
    volume.update(newer, 2, KEPT, "")
    disk = volume.snapshots.get(KEPT).disk
    with disk.open("r+b") as file:
        file.seek(header.read_header(disk).offset)
        file.write(bytes(2**21))
    with pytest.raises(SnapshotDamaged):
        volume.undo_update(KEPT, [base.stem])
    assert volume.stands_on() == Standing(newer.stem, 2)
    io(volume, f"read -P {FRESH} 0 64k")


def test_both_get_a_new_key(bench: Bench) -> None:
    volume, base, newer = bench
    volume.update(newer, 2, KEPT, "")
    old = volume.secret_value()
    volume.rotate(PASSPHRASE)
    for disk in (volume.paths.overlay, volume.snapshots.get(KEPT).disk):
        assert qemu_luks.open_once(disk, old).status != 0
        assert qemu_luks.open_once(disk, volume.secret_value()).status == 0
    volume.undo_update(KEPT, [base.stem])
    assert holds(volume) == FIRST


def locked(volume: QemuLuksVolume, _: pytest.MonkeyPatch) -> None:
    volume.lock()


def full(volume: QemuLuksVolume, patch: pytest.MonkeyPatch) -> None:
    volume.snapshot("the first")
    patch.setattr(snapshots, "LIMITS", replace(LIMITS, count=1))


def no_room(_: QemuLuksVolume, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("twinhull_hypervisor.storage.base.LIMITS", replace(LIMITS, spare_bytes=2**60))


def no_new_disk(_: QemuLuksVolume, patch: pytest.MonkeyPatch) -> None:
    """qemu-img has no room any more in the middle of it."""
    said = Completed(1, b"", qemu_luks.NO_ROOM)
    patch.setattr(qemu_luks, "make", lambda *_: said)


def no_place_to_keep(volume: QemuLuksVolume, _: pytest.MonkeyPatch) -> None:
    volume.paths.snapshots.write_bytes(b"")


@pytest.mark.parametrize(
    ("refusing", "error"),
    [
        (locked, VolumeLocked),
        (full, SnapshotsFull),
        (no_room, DiskFull),
        (no_new_disk, DiskFull),
        (no_place_to_keep, VolumeFailed),
    ],
)
def test_what_refuses_it_leaves_all_as_it_was(
    bench: Bench,
    refusing: Callable[[QemuLuksVolume, pytest.MonkeyPatch], None],
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume, base, newer = bench
    refusing(volume, monkeypatch)
    before = volume.paths.overlay.stat(), volume.paths.nvram.stat(), names(volume)
    with pytest.raises(error):
        volume.update(newer, 2, KEPT, "")
    assert before == (volume.paths.overlay.stat(), volume.paths.nvram.stat(), names(volume))
    assert read_standing(volume.paths.overlay) == Standing(base.stem, 1)
    assert list(volume.paths.contents.glob(".*.new")) == []


@pytest.mark.parametrize("what", ["update", "undo", "going back"])
def test_killed_at_every_step(bench: Bench, request: pytest.FixtureRequest, what: str) -> None:
    """The disk, its image, its variables and the list are those of before or those of after."""
    volume, base, newer = bench
    both = (base.stem, newer.stem)
    directory = volume.paths.directory
    if what != "update":
        volume.update(newer, 2, KEPT, "newer")
        write(volume, SECOND)
    works: dict[str, Callable[[], object]] = {
        "update": lambda: volume.update(newer, 2, KEPT, "newer"),
        "undo": lambda: volume.undo_update(KEPT, both),
        "going back": lambda: volume.roll_back(KEPT, bases=both),
    }
    saved = directory.with_name("before")
    shutil.copytree(directory, saved)

    def shown(one: QemuLuksVolume) -> object:
        return one.stands_on(), one.paths.nvram.read_bytes()[:64], names(one)

    before = shown(volume)
    works[what]()
    after = shown(volume)
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
        ended.append(shown(again))
        assert ended[-1] in (before, after), where
        io(again, f"read -P {present(again, base, what)} 0 64k")
        if ended[-1] == after:
            assert files(again) == tidy
        assert {path.stat().st_nlink for path in directory.rglob("*") if path.is_file()} == {1}, where
        if where is None:
            break
        seen.append(where)
    assert where is None
    assert len(seen) >= 4
    assert ended[-1] == after
    assert before in ended


def present(volume: QemuLuksVolume, base: Path, what: str) -> int:
    """What the disk has to begin with, by the image that it says it stands on."""
    if volume.stands_on() == Standing(base.stem, 1):
        return FIRST
    return FRESH if what == "update" else SECOND


NOT_OVERLAYS = [
    b"",
    b"QFI\xfb",
    b"QFI\xfb" + bytes(100),
    bytes.fromhex("514649fb00000003ffffffffffffffff0000000a00000011") + bytes(100),
    bytes.fromhex("514649fb00000003000000000000000800000fff00000011") + bytes(8192),
]


@pytest.mark.parametrize("untrusted", NOT_OVERLAYS)
def test_what_stands_on_nothing(tmp_path: Path, untrusted: bytes) -> None:
    (tmp_path / "disk").write_bytes(untrusted)
    assert read_standing(tmp_path / "disk") is None


@pytest.mark.parametrize("name", ["/etc/passwd", "f" * 63 + ".qcow2", "F" * 64 + ".qcow2", "json:{}"])
def test_an_image_by_another_name(tmp_path: Path, name: str) -> None:
    disk = tmp_path / "disk"
    qemu_luks.make_plain(disk, Path(name), 1)
    assert read_standing(disk) is None


def test_ids_are_as_the_bus_takes_them() -> None:
    assert new_snapshot_id().startswith("s-")
    assert len(new_snapshot_id()) == len(KEPT)

"""A disk that is full, read-only, dying or without power while keys, disks and snapshots change: old or new.

Real faults of a real file system (``tests.support.small_disk``). Whatever was cut short is told in one
sentence with a stable code, and afterwards the volume opens as before or as after.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage import base as base_module
from twinhull_hypervisor.storage import qemu_luks
from twinhull_hypervisor.storage import snapshots as snapshots_module
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.slots import Passphrase
from twinhull_hypervisor.storage.snapshots import SnapshotLimits
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from tests.api.test_storage_rotation import io
from tests.support.hypervisor import PASSPHRASE, QUICK, make_base, passable_directory
from tests.support.killed import killed_before
from tests.support.small_disk import SmallDisk

OTHER = b"another passphrase"
OLD, NEW = "read -P 0x5a 0 64k", "read -P 0x77 0 64k"
CODES = {"TH-VOL-008", "TH-VOL-011"}
"""There is not enough room; it could not be written."""
STEPS = ("os.rename", "os.remove", "subprocess.Popen")


@dataclass
class Laptop:
    """A small disk with a volume that holds data and one snapshot, and the disk as it was then."""

    disk: SmallDisk
    base: Path
    empty: Path
    made: Path

    @property
    def directory(self) -> Path:
        """The volume's."""
        return self.disk.top / "volume"

    def volume(self) -> QemuLuksVolume:
        """As a process sees it that has just started."""
        return QemuLuksVolume(Partition.PERSONAL, self.directory, cost=QUICK)


@pytest.fixture(scope="module")
def laptop() -> Iterator[Laptop]:
    limits = SnapshotLimits(spare_bytes=0)
    with passable_directory() as place, pytest.MonkeyPatch.context() as patch:
        for module in (snapshots_module, base_module):
            patch.setattr(module, "LIMITS", limits)
        base = make_base(place)
        disk = SmallDisk(place)
        try:
            (disk.top / "volume").mkdir(mode=0o711)
            empty = Path(shutil.move(disk.kept(), place / "empty"))
            laptop = Laptop(disk, base, empty, empty)
            volume = laptop.volume()
            volume.create(base, 1, PASSPHRASE)
            io(volume, NEW.replace("read", "write"))
            volume.snapshot("then")
            io(volume, OLD.replace("read", "write"))
            laptop.made = Path(shutil.move(disk.kept(), place / "made"))
            yield laptop
        finally:
            disk.end()


def create(volume: QemuLuksVolume, base: Path) -> None:
    volume.create(base, 1, PASSPHRASE)


def wrap(volume: QemuLuksVolume, _: Path) -> None:
    volume.keys.add_passphrase(Passphrase(PASSPHRASE), OTHER)


def rotate(volume: QemuLuksVolume, _: Path) -> None:
    volume.rotate(PASSPHRASE)


def snapshot(volume: QemuLuksVolume, _: Path) -> None:
    volume.snapshot("another")


def go_back(volume: QemuLuksVolume, _: Path) -> None:
    volume.unlock(PASSPHRASE)
    volume.roll_back(volume.snapshots.found()[0].id)


def wipe(volume: QemuLuksVolume, _: Path) -> None:
    volume.destroy()


WORK: dict[str, Callable[[QemuLuksVolume, Path], None]] = {
    work.__name__: work for work in (create, wrap, rotate, snapshot, go_back, wipe)
}


HEAVY = ("create", "rotate")
"""qemu-img computes for seconds to make a key slot: with --long only."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test for each kind of work."""
    if "work" in metafunc.fixturenames:
        long = metafunc.config.getoption("--long")
        metafunc.parametrize("work", [name for name in WORK if long or name not in HEAVY])


def begin(laptop: Laptop, work: str) -> QemuLuksVolume:
    """The disk as it was, and a process that knows nothing."""
    laptop.disk.put_back(laptop.empty if work == "create" else laptop.made)
    return laptop.volume()


def settled(laptop: Laptop, work: str) -> bool:
    """Look at what is left, as the next start does: True where the work was done, else all is as before."""
    volume = laptop.volume()
    if work in ("create", "wipe") and volume.state() is VolumeState.ABSENT:
        volume.destroy()
        assert list(laptop.directory.iterdir()) == []
        return work == "wipe"
    volume.unlock(PASSPHRASE)
    volume.make_ready()
    volume.check_header()
    for each in (volume.paths.overlay, *volume.snapshots.disks()):
        assert sum(qemu_luks.keys_in_use(each)) == 1
        assert qemu_luks.open_once(each, volume.secret_value()).status == 0
    found = volume.snapshots.found()
    if work == "create":
        return True
    if work == "wipe":
        volume.destroy()
        assert list(laptop.directory.iterdir()) == []
        return False
    if work == "go_back":
        done = any(one.kind == "rollback" for one in found)
        io(volume, NEW if done else OLD)
        return done
    io(volume, OLD)
    if work == "snapshot":
        assert {one.name for one in found} <= {"then", "another"} and len(found) in (1, 2)
        return len(found) == 2
    kinds = [slot.kind for slot in volume.keys.slots()]
    assert kinds in (["passphrase"], ["passphrase", "passphrase" if work == "wrap" else "recovery-code"])
    return len(kinds) == 2


def attempt(laptop: Laptop, work: str, volume: QemuLuksVolume) -> str:
    """Do it; the code it was refused with, which a person is told in a sentence, or "" when it was done."""
    try:
        WORK[work](volume, laptop.base)
    except TwinhullError as error:
        assert error.message.isprintable() and error.next_step
        return error.code
    return ""


FULL = (0, 600)
"""KiB that are left; the keys take 4, the variables 528, a disk's header 2560, its backup as much."""
DYING = (0, 600)


def levels(config: pytest.Config, telling: tuple[int, ...]) -> tuple[int, ...]:
    """A few, or with --long many."""
    return (*telling, *range(8, 6000, 600)) if config.getoption("--long") else telling


@pytest.mark.parametrize("fault", ["full", "dying"])
def test_old_or_new_whatever_the_disk_does(
    laptop: Laptop, work: str, fault: str, request: pytest.FixtureRequest
) -> None:
    told = set()
    for kib in levels(request.config, FULL if fault == "full" else DYING):
        volume = begin(laptop, work)
        happens: AbstractContextManager[None] = getattr(laptop.disk, fault)(kib)
        with happens:
            code = attempt(laptop, work, volume)
        told.add(code)
        done = settled(laptop, work)
        assert code or done, f"{kib} KiB: it was said to be done, and is not"
    assert told <= {"", *CODES}
    assert told - {""} or (work, fault) == ("wipe", "full"), "it never failed"


def test_a_disk_that_is_read_only(laptop: Laptop, work: str) -> None:
    volume = begin(laptop, work)
    laptop.disk.read_only()
    assert attempt(laptop, work, volume) == "TH-VOL-011"
    laptop.disk.unmount()
    laptop.disk.mount()
    assert not settled(laptop, work)


def test_the_power_goes_before_any_step(laptop: Laptop, work: str, request: pytest.FixtureRequest) -> None:
    """What was not synced by then is lost; all the same it is as before or as after."""
    long = request.config.getoption("--long")
    ended = set()
    for number in range(200) if long else (0, 2, 1000):
        volume = begin(laptop, work)
        where = killed_before(number, laptop.directory, partial(WORK[work], volume, laptop.base), STEPS)
        laptop.disk.power_cut()
        done = settled(laptop, work)
        assert done or where, "it was done, and is lost"
        ended.add(done)
        if where is None:
            break
    assert where is None
    assert ended == {True, False}


def test_the_disk_does_fail(laptop: Laptop) -> None:
    """The control: the faults are what they are said to be."""
    begin(laptop, "wrap")
    with laptop.disk.full(4):
        done = run(
            ["dd", "if=/dev/zero", f"of={laptop.disk.top}/x", "bs=1M", "count=1"], timeout=60, check=False
        )
        assert b"No space left" in done.stderr
    with laptop.disk.dying(64):
        into = f"of={laptop.disk.top}/y"
        done = run(["dd", "if=/dev/urandom", into, "bs=1M", "count=4", "conv=fsync"], timeout=60, check=False)
        assert b"Input/output error" in done.stderr or b"Read-only file system" in done.stderr
        done = run(["touch", laptop.disk.top / "z"], timeout=60, check=False)
        assert b"Read-only file system" in done.stderr

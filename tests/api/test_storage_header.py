"""The disk's own header: backed up before there is data, looked at before a question, put back (R29, R30)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.storage import header
from twinhull_hypervisor.storage.errors import HeaderDamaged, HeaderLost
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

from tests.api.test_storage_rotation import io
from tests.support.hypervisor import PASSPHRASE, QUICK, make_base, passable_directory
from tests.support.killed import killed_before

MIB = 1024**2
CORE, MACHINE = 65534, 65533
"""Users without privileges."""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Two volumes with data, made once."""
    with passable_directory() as place:
        base = make_base(place)
        for name in ("one", "other"):
            (place / name).mkdir()
            volume = QemuLuksVolume(Partition.PERSONAL, place / name, cost=QUICK)
            volume.create(base, 1, PASSPHRASE)
            io(volume, "write -P 0x5a 0 64k")
        yield place


@pytest.fixture
def volume(made: Path, tmp_path: Path) -> QemuLuksVolume:
    shutil.copytree(made / "one", tmp_path / "one")
    return QemuLuksVolume(Partition.PERSONAL, tmp_path / "one", cost=QUICK)


def first_sector(path: Path, _: Path) -> None:
    write(path, 0, bytes(512))


def luks_zeroed(path: Path, _: Path) -> None:
    write(path, header.read_header(path).offset, bytes(4096))


def one_bit_of_the_key_material(path: Path, _: Path) -> None:
    found = header.read_header(path)
    write(path, found.offset + 5000, bytes([found.luks[5000] ^ 1]))


def another_base(path: Path, _: Path) -> None:
    """As a guest would have it that could write to its own header."""
    cluster = header.read_header(path).cluster
    write(path, cluster.index(b"/images/"), b"/../../x")


def swapped(path: Path, other: Path) -> None:
    """Of another volume, whole and well-formed."""
    found = header.read_header(other)
    write(path, found.offset, found.luks)


def snapshots(path: Path, _: Path) -> None:
    write(path, 60, (1).to_bytes(4))


def write(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


DAMAGES = [
    first_sector,
    luks_zeroed,
    one_bit_of_the_key_material,
    another_base,
    swapped,
    snapshots,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_seen_before_a_question_and_undone(
    volume: QemuLuksVolume, made: Path, damage: Callable[[Path, Path], None]
) -> None:
    keys = volume.paths.keys.read_bytes()
    damage(volume.paths.overlay, made / "other" / "overlay.qcow2")
    for ask in (volume.check_header, lambda: volume.unlock(PASSPHRASE), lambda: volume.unlock(b"wrong one")):
        with pytest.raises(HeaderDamaged):
            ask()
    assert volume.paths.keys.read_bytes() == keys, "no try was counted"
    volume.restore_header()
    volume.check_header()
    volume.unlock(PASSPHRASE)
    io(volume, "read -P 0x5a 0 64k")


def test_a_wrong_passphrase_touches_no_header(volume: QemuLuksVolume) -> None:
    before = header.read_header(volume.paths.overlay)
    volume.restore_header()
    volume.unlock(PASSPHRASE)
    assert header.read_header(volume.paths.overlay) == before


def test_every_new_overlay_has_its_backup_before_its_name(made: Path, tmp_path: Path) -> None:
    """Killed at every rename of a reset: whichever overlay is there, its header can be put back."""
    directory = tmp_path / "one"
    base = next((made / "images").iterdir())
    seen = []
    for number in range(20):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(made / "one", directory)
        volume = QemuLuksVolume(Partition.PERSONAL, directory, cost=QUICK)
        volume.unlock(PASSPHRASE)
        where = killed_before(number, directory, partial(volume.reset, base, 1), ("os.rename",))
        volume.check_header()
        assert header.read_header(volume.paths.overlay).name in [path.name for path in directory.iterdir()], (
            where
        )
        volume.unlock(PASSPHRASE)
        assert len(header.backups(directory)) == 1
        if where is None:
            break
        seen.append(where)
    assert len(seen) == 3


def test_a_volume_of_before_gets_a_backup_when_it_is_opened(volume: QemuLuksVolume) -> None:
    header.forget(volume.paths.directory)
    volume.check_header()
    volume.unlock(PASSPHRASE)
    assert len(header.backups(volume.paths.directory)) == 1


def test_a_damaged_header_is_not_taken_for_a_backup(volume: QemuLuksVolume) -> None:
    """A volume without a backup whose header no longer opens: the backup would be of no use."""
    header.forget(volume.paths.directory)
    luks_zeroed(volume.paths.overlay, volume.paths.overlay)
    volume.unlock(PASSPHRASE)
    assert header.backups(volume.paths.directory) == []


def test_a_damaged_backup_is_not_put_back(volume: QemuLuksVolume) -> None:
    (backup,) = header.backups(volume.paths.directory)
    one_bit_of_the_key_material(backup, backup)
    luks_zeroed(volume.paths.overlay, backup)
    before = volume.paths.overlay.read_bytes()
    with pytest.raises(HeaderLost, match="0 whole backups"):
        volume.restore_header()
    assert volume.paths.overlay.read_bytes() == before


@pytest.mark.parametrize("lost", ["zeroed", "cut short"])
def test_where_more_than_the_header_is_gone_nothing_is_put_back(volume: QemuLuksVolume, lost: str) -> None:
    """The tables that say where data is have no backup; with the header alone the disk would seem empty."""
    if lost == "zeroed":
        write(volume.paths.overlay, 0, bytes(2 * MIB))
    else:
        os.truncate(volume.paths.overlay, MIB)
    before = volume.paths.overlay.read_bytes()
    with pytest.raises(HeaderDamaged):
        volume.unlock(PASSPHRASE)
    with pytest.raises(HeaderLost, match="more than its header"):
        volume.restore_header()
    assert volume.paths.overlay.read_bytes() == before


def test_a_backup_is_void_without_the_slots(volume: QemuLuksVolume, tmp_path: Path) -> None:
    """Crypto-erase takes the backups too; a stolen one opens with none of what was in the slots before."""
    (backup,) = header.backups(volume.paths.directory)
    stolen = shutil.copy(backup, tmp_path / "stolen")
    disk = shutil.copy(volume.paths.overlay, tmp_path / "disk")
    volume.destroy()
    assert list(volume.paths.directory.iterdir()) == []
    header.put_back(Path(stolen), Path(disk))
    anew = QemuLuksVolume(Partition.PERSONAL, tmp_path / "anew", cost=QUICK)
    anew.paths.directory.mkdir()
    shutil.copy(disk, anew.paths.overlay)
    anew.keys.create(PASSPHRASE)
    anew.unlock(PASSPHRASE)
    with pytest.raises(Exception, match="qemu-io"):
        io(anew, "read 0 512")


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_no_header_is_a_surprise(tmp_path_factory: pytest.TempPathFactory, start: bytes, place: int) -> None:
    path = tmp_path_factory.getbasetemp() / "overlay"
    fixed = header.FIXED.pack(b"QFI\xfb", 3, place, place % 1000, 17, 1, 2, 1, 1, 1, 1, 0, 0)
    for content in (start, fixed + start, fixed + bytes(28) + place.to_bytes(4) + start):
        path.write_bytes(content.ljust(header.CLUSTER_BYTES, b"\0"))
        try:
            header.read_header(path)
        except header.BadHeader:
            continue
        raise AssertionError("a header without LUKS was taken")


def test_a_disk_that_was_left_to_its_machine_still_opens(made: Path, passable: Path) -> None:
    """A libvirtd that was killed does not give it back; then nobody but QEMU can look at its header."""
    directory = passable / "volume"
    shutil.copytree(made / "one", directory)
    for path in (directory, *directory.iterdir()):
        os.chown(path, CORE, CORE)
    volume = QemuLuksVolume(Partition.PERSONAL, directory, cost=QUICK)
    os.chown(volume.paths.overlay, MACHINE, MACHINE)
    assert as_user(CORE, volume.check_header) == ""
    assert as_user(CORE, partial(volume.unlock, PASSPHRASE)) == ""
    assert as_user(CORE, partial(volume.unlock, b"not this one")) == "WrongPassphrase"
    assert as_user(CORE, volume.restore_header) == "HeaderLost"


def as_user(user: int, action: Callable[[], object]) -> str:
    """What a user without privileges gets: the name of the error, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = ""
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            action()
        except BaseException as error:
            told = type(error).__name__
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told

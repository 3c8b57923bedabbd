"""Real volumes made by the real qemu-img."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage.errors import (
    BadKeyFile,
    BadPassphrase,
    NoVolume,
    VolumeExists,
    VolumeFailed,
    VolumeLocked,
    WrongPassphrase,
)
from twinhull_hypervisor.storage.interface import Volume, VolumeState
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

from tests.support.hypervisor import PASSPHRASE, QUICK, make_base, make_volume, passable_directory


@pytest.fixture
def place() -> Iterator[Path]:
    with passable_directory() as directory:
        yield directory


@pytest.fixture
def base(place: Path) -> Path:
    return make_base(place)


@pytest.fixture
def volume(place: Path) -> QemuLuksVolume:
    return make_volume(place, Partition.CORPORATE)


def again(volume: QemuLuksVolume) -> QemuLuksVolume:
    """The same volume as another process would find it."""
    return QemuLuksVolume(Partition.CORPORATE, volume.paths.directory, cost=QUICK)


def test_the_format_is_what_the_design_says(volume: QemuLuksVolume, base: Path) -> None:
    volume.create(base, 2, PASSPHRASE)
    shown = run(["qemu-img", "info", "--output", "json", "-f", "qcow2", volume.paths.overlay], timeout=30)
    info = json.loads(shown.stdout)
    specific = info["format-specific"]["data"]
    assert info["virtual-size"] == 2 * 1024**3
    assert info["cluster-size"] == 128 * 1024
    assert info["backing-filename"] == str(base)
    assert info["backing-filename-format"] == "qcow2"
    assert specific["extended-l2"] is True
    assert specific["encrypt"]["format"] == "luks"
    assert specific["encrypt"]["cipher-mode"] == "xts"
    assert specific["encrypt"]["cipher-alg"] == "aes-256"


def test_the_key_opens_it_and_another_does_not(volume: QemuLuksVolume, base: Path) -> None:
    volume.create(base, 1, PASSPHRASE)
    check = [
        "qemu-io",
        "--object",
        "secret,id=key,file=/dev/stdin,format=raw",
        "--image-opts",
        f"driver=qcow2,file.filename={volume.paths.overlay},encrypt.format=luks,encrypt.key-secret=key",
        "-c",
        "write -P 0x5a 0 64k",
        "-c",
        "read -P 0x5a 0 64k",
    ]
    assert run(check, timeout=60, input=volume.secret_value()).status == 0
    assert bytes([0x5A]) * 4096 not in volume.paths.overlay.read_bytes()
    refused = run(check, timeout=60, input=b"0" * 64, check=False)
    assert refused.status != 0


def test_states(volume: QemuLuksVolume, base: Path) -> None:
    interface: Volume = volume
    assert interface.kind == "qemu-luks"
    assert interface.state() is VolumeState.ABSENT
    with pytest.raises(NoVolume):
        interface.unlock(PASSPHRASE)
    interface.create(base, 1, PASSPHRASE)
    assert interface.state() is VolumeState.UNLOCKED
    with pytest.raises(VolumeExists):
        interface.create(base, 1, PASSPHRASE)
    key = volume.secret_value()
    interface.lock()
    assert interface.state() is VolumeState.LOCKED
    with pytest.raises(VolumeLocked):
        volume.secret_value()
    with pytest.raises(VolumeLocked):
        interface.reset(base, 1)
    other = again(volume)
    assert other.state() is VolumeState.LOCKED
    with pytest.raises(WrongPassphrase):
        other.unlock(b"not this one")
    assert other.state() is VolumeState.LOCKED
    other.unlock(PASSPHRASE)
    assert other.secret_value() == key
    interface.destroy()
    assert interface.state() is VolumeState.ABSENT
    assert list(volume.paths.directory.iterdir()) == []


def test_reset_forgets_the_guest_and_keeps_the_passphrase(volume: QemuLuksVolume, base: Path) -> None:
    volume.create(base, 1, PASSPHRASE)
    volume.paths.nvram.write_bytes(b"the guest was here")
    before = volume.paths.overlay.read_bytes()
    volume.reset(base, 1)
    assert volume.paths.overlay.read_bytes() != before
    assert volume.paths.nvram.read_bytes() != b"the guest was here"
    volume.lock()
    volume.unlock(PASSPHRASE)


@pytest.mark.parametrize(
    "leftover", [".overlay.qcow2.new", ".nvram.fd.new", "nvram.fd", "keys.json", ".overlay.qcow2.discarded"]
)
def test_an_interrupted_creation_is_begun_again(volume: QemuLuksVolume, base: Path, leftover: str) -> None:
    (volume.paths.directory / leftover).write_bytes(b"half a file")
    assert volume.state() is VolumeState.ABSENT
    volume.create(base, 1, PASSPHRASE)
    names = {path.name for path in volume.paths.directory.iterdir()}
    assert {name for name in names if not name.startswith("header-")} == {
        "overlay.qcow2",
        "nvram.fd",
        "keys.json",
    }
    assert len(names) == 4


def test_an_overlay_without_its_keys_is_kept(volume: QemuLuksVolume, base: Path) -> None:
    volume.create(base, 1, PASSPHRASE)
    volume.paths.keys.unlink()
    other = again(volume)
    with pytest.raises(VolumeExists):
        other.create(base, 1, PASSPHRASE)
    with pytest.raises(BadKeyFile):
        other.unlock(PASSPHRASE)
    assert volume.paths.overlay.exists()


@pytest.mark.parametrize(("disk_gib", "name"), [(0, "/base"), (16385, "/base"), (1, "base")])
def test_out_of_bounds_leaves_nothing(volume: QemuLuksVolume, disk_gib: int, name: str) -> None:
    with pytest.raises(VolumeFailed):
        volume.create(Path(name), disk_gib, PASSPHRASE)
    assert list(volume.paths.directory.iterdir()) == []
    assert volume.state() is VolumeState.ABSENT


@pytest.mark.parametrize("passphrase", [b"", b"short", b"x" * 1025])
def test_bad_passphrases_make_nothing(volume: QemuLuksVolume, base: Path, passphrase: bytes) -> None:
    with pytest.raises(BadPassphrase):
        volume.create(base, 1, passphrase)
    assert list(volume.paths.directory.iterdir()) == []


def test_the_key_is_in_no_file_of_the_volume(volume: QemuLuksVolume, base: Path) -> None:
    volume.create(base, 1, PASSPHRASE)
    key = volume.secret_value()
    for path in volume.paths.directory.iterdir():
        content = path.read_bytes()
        assert key not in content
        assert bytes.fromhex(key.decode()) not in content
        assert PASSPHRASE not in content

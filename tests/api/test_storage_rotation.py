"""A new volume key in a real disk: killed at every step, it opens with the old slots or the new ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage import qemu_luks
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

from tests.support.hypervisor import PASSPHRASE, QUICK, make_base, passable_directory
from tests.support.killed import STEPS, killed_before

TELLING = ("os.rename", "subprocess.Popen")
"""Every change takes effect at one of these; the steps between them are tried with --long."""


@pytest.fixture
def place() -> Iterator[Path]:
    with passable_directory() as directory:
        yield directory


@pytest.fixture
def volume(place: Path) -> QemuLuksVolume:
    base = make_base(place)
    made = place / "volume"
    made.mkdir()
    volume = QemuLuksVolume(Partition.PERSONAL, made, cost=QUICK)
    volume.create(base, 1, PASSPHRASE)
    io(volume, "write -P 0x5a 0 64k")
    volume.lock()
    return volume


def io(volume: QemuLuksVolume, command: str) -> None:
    """Read or write the disk; raises when it does not open, or holds something else."""
    image = f"driver=qcow2,file.filename={volume.paths.overlay},encrypt.format=luks,encrypt.key-secret=key"
    object_ = "secret,id=key,file=/dev/stdin,format=raw"
    done = run(
        ["qemu-io", "--object", object_, "--image-opts", image, "-c", command],
        timeout=60,
        input=volume.secret_value(),
    )
    assert b"failed" not in done.stdout + done.stderr


def test_a_new_key(volume: QemuLuksVolume, place: Path) -> None:
    before = run(["qemu-img", "info", "-f", "qcow2", volume.paths.overlay], timeout=60).text
    volume.unlock(PASSPHRASE)
    old = volume.secret_value()
    code = volume.rotate(PASSPHRASE)
    assert volume.secret_value() != old
    io(volume, "read -P 0x5a 0 64k")
    assert sum(qemu_luks.keys_in_use(volume.paths.overlay)) == 1
    after = run(["qemu-img", "info", "-f", "qcow2", volume.paths.overlay], timeout=60).text
    assert "backing file:" in before
    assert [line for line in after.splitlines() if "backing" in line] == [
        line for line in before.splitlines() if "backing" in line
    ]
    new = volume.secret_value()
    volume.recover(code, b"another passphrase")
    assert volume.secret_value() == new
    volume.reset(place / "images" / "any.qcow2", 1)
    volume.rotate(b"another passphrase")
    assert sum(qemu_luks.keys_in_use(volume.paths.overlay)) == 1


def test_killed_at_every_step(volume: QemuLuksVolume, request: pytest.FixtureRequest) -> None:
    directory = volume.paths.directory
    before = directory.with_name("before")
    shutil.copytree(directory, before)
    generation = volume.paths.keys.read_bytes().split(b'"generation":"')[1][:32]
    steps = STEPS if request.config.getoption("--long") else TELLING
    seen, ended = [], set()
    for number in range(200):
        shutil.rmtree(directory)
        shutil.copytree(before, directory)
        where = killed_before(number, directory, lambda: volume.rotate(PASSPHRASE), steps)
        volume.unlock(PASSPHRASE)
        io(volume, "read -P 0x5a 0 64k")
        assert sum(qemu_luks.keys_in_use(volume.paths.overlay)) == 1, where
        volume.lock()
        ended.add(generation in volume.paths.keys.read_bytes())
        if where is None:
            break
        seen.append(where)
    assert where is None
    assert len(seen) >= 8
    assert ended == {True, False}

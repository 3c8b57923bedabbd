"""A disk without room: a clear error, the old state intact. On a small tmpfs; needs root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.images.errors import NoRoomForImage
from twinhull_hypervisor.images.store import import_image
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage.errors import DiskFull
from twinhull_hypervisor.storage.files import write_atomically
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from tests.support.hypervisor import PASSPHRASE, QUICK


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0711", "tmpfs", tmp_path], timeout=10)
    try:
        yield tmp_path
    finally:
        run(["umount", tmp_path], timeout=10)


@pytest.mark.parametrize("used_kib", [0, 900, 1020])
def test_a_volume_that_does_not_fit(small: Path, used_kib: int) -> None:
    """The UEFI variables alone take 528 KiB and the LUKS header more than the rest."""
    (small / "filler").write_bytes(b"\1" * used_kib * 1024)
    volume = QemuLuksVolume(Partition.PERSONAL, small, cost=QUICK)
    with pytest.raises(TwinhullError, match="not enough room"):
        volume.create(Path("/nonexistent/base.qcow2"), 1, PASSPHRASE)
    assert volume.state() is VolumeState.ABSENT
    assert {path.name for path in small.iterdir()} == {"filler"}


def test_an_atomic_write_that_does_not_fit(small: Path) -> None:
    path = small / "keys.json"
    write_atomically(path, b"old")
    with pytest.raises(DiskFull, match=r"keys\.json"):
        write_atomically(path, b"\1" * 2 * 1024 * 1024)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in small.iterdir()] == ["keys.json"]


def test_an_image_that_does_not_fit(small: Path) -> None:
    with Path("/dev/zero").open("rb") as source, pytest.raises(NoRoomForImage):
        import_image(source.fileno(), "0" * 64, 2 * 1024 * 1024, small)
    assert list(small.iterdir()) == []

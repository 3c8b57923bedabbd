"""Overlays with headers that lie, and guests that write image headers into their disks: real QEMU."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import libvirt_qemu  # type: ignore[import-untyped]
import msgspec
import pytest
from twinhull_hypervisor.run import run
from twinhull_hypervisor.storage import header, qemu_luks
from twinhull_hypervisor.storage.errors import HeaderDamaged
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from tests.api.test_machine_lifecycle import Bench, bench
from tests.api.test_storage_rotation import io
from tests.support.evil_images import LIES, Place, guests
from tests.support.hypervisor import PASSPHRASE, QUICK, make_base, passable_directory, small_machine
from tests.support.opened import watched

__all__ = ["bench"]
OPENS_A_FILE = (
    "a base that is a file of the host",
    "a base that is a format to be probed",
    "a base in JSON",
    "its contents in another file",
)
"""Lies that have a QEMU which believes them open the canary."""
TAKES_A_DAY = ("a master key that takes a day", "a key that takes a day")
LEFT_UNREAD = (*(lie for lie in OPENS_A_FILE if lie.startswith("a base")), "a base over the network")
LEFT_UNREAD += ("contents that begin nowhere",)
"""Lies in fields that nothing of ours has QEMU follow; without a backup to compare with, nobody notices.

The base is named by whoever opens the disk, and where its contents begin by the qcow2 header."""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A volume with data, made once."""
    with passable_directory() as place:
        base = make_base(place)
        (place / "one").mkdir()
        volume = QemuLuksVolume(Partition.PERSONAL, place / "one", cost=QUICK)
        volume.create(base, 1, PASSPHRASE)
        io(volume, "write -P 0x5a 0 64k")
        yield place


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What a lie leads to: as large as an image, or QEMU would not go on to it."""
    path = tmp_path / "canary"
    path.write_bytes(b"not for any guest".ljust(2**20, b"."))
    return path


@pytest.fixture
def volume(made: Path, tmp_path: Path) -> QemuLuksVolume:
    shutil.copytree(made / "one", tmp_path / "one")
    return QemuLuksVolume(Partition.PERSONAL, tmp_path / "one", cost=QUICK)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_seen_before_a_question_and_leads_nowhere(
    volume: QemuLuksVolume, canary: Path, lie: str
) -> None:
    """No try is counted, nothing it names is opened, and the backup undoes it."""
    keys = volume.paths.keys.read_bytes()
    LIES[lie](Place(volume.paths.overlay, canary))
    with watched(canary) as seen:
        for ask in (
            volume.check_header,
            lambda: volume.unlock(PASSPHRASE),
            lambda: volume.rotate(PASSPHRASE),
            lambda: volume.snapshot("x"),
        ):
            with pytest.raises(HeaderDamaged):
                ask()
        assert volume.paths.keys.read_bytes() == keys, "no try was counted"
        volume.restore_header()
        volume.unlock(PASSPHRASE)
        assert not seen.opened()
    io(volume, "read -P 0x5a 0 64k")


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_a_volume_without_a_backup_leads_nowhere(
    volume: QemuLuksVolume, canary: Path, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As volumes of earlier releases come: what is done ends, opens nothing else, and a lie is no backup.

    A lie that QEMU's own reader of LUKS headers would believe is found when the volume is opened.
    """
    if lie in TAKES_A_DAY:
        monkeypatch.setattr(qemu_luks, "QEMU_IMG_SECONDS", 1.0)
    header.forget(volume.paths.directory)
    LIES[lie](Place(volume.paths.overlay, canary))
    with watched(canary) as seen:
        with nullcontext() if lie in LEFT_UNREAD else pytest.raises(TwinhullError):
            volume.rotate(PASSPHRASE)
        with suppress(HeaderDamaged):
            volume.unlock(PASSPHRASE)
        assert not seen.opened()
    for backup in header.backups(volume.paths.directory):
        assert qemu_luks.open_once(backup, volume.secret_value()).status == 0, "a backup that opens nothing"


@pytest.mark.parametrize("lie", OPENS_A_FILE)
def test_who_believes_the_header_is_led_on(volume: QemuLuksVolume, canary: Path, lie: str) -> None:
    """The control: the same overlays, opened by a name alone, do lead to the canary."""
    volume.unlock(PASSPHRASE)
    key = volume.secret_value()
    LIES[lie](Place(volume.paths.overlay, canary))
    image = f"driver=qcow2,file.filename={volume.paths.overlay},encrypt.format=luks,encrypt.key-secret=key"
    secret = ["--object", "secret,id=key,file=/dev/stdin,format=raw"]
    with watched(canary) as seen:
        run(
            ["qemu-io", "-r", *secret, "--image-opts", image, "-c", "quit"],
            timeout=60,
            input=key,
            check=False,
        )
    assert seen.opened()


class Node(msgspec.Struct):
    """Of what ``query-named-block-nodes`` answers, what is looked at here."""

    drv: str
    file: str


class Nodes(msgspec.Struct):
    """The answer."""

    nodes: list[Node] = msgspec.field(name="return")


def nodes(bench: Bench) -> list[tuple[str, str]]:
    """What QEMU has open as blocks: how it reads each, and of files their names."""
    domain = bench.hypervisor.connection().lookupByName("twinhull-personal")
    answer = libvirt_qemu.qemuMonitorCommand(domain, '{"execute": "query-named-block-nodes"}', 0)
    found = msgspec.json.decode(answer, type=Nodes).nodes
    return sorted((node.drv, node.file if node.drv == "file" else "") for node in found)


def test_what_a_guest_writes_is_data(bench: Bench, canary: Path, tmp_path: Path) -> None:
    """Image headers from the first byte of its disk; then it is started, and all that is done to disks."""
    tmp_path.chmod(0o755)
    bench.start(Partition.PERSONAL)
    volume, machine = bench.volumes[Partition.PERSONAL], bench.machines[Partition.PERSONAL]
    expected = nodes(bench)
    disks = {name for how, name in expected if how == "file" and name.endswith(".qcow2")}
    assert disks == {str(volume.paths.overlay), str(bench.base)}
    assert [how for how, _ in expected].count("qcow2") == 2
    machine.destroy()
    for name, content in guests(canary).items():
        (tmp_path / "written").write_bytes(content.ljust(64 * 1024, b"\0"))
        io(volume, f"write -s {tmp_path}/written 0 64k")
        with watched(canary) as seen:
            spec = small_machine(volume, bench.base, Partition.PERSONAL)
            bench.power_on(volume, spec)
            assert nodes(bench) == expected, name
            machine.resume()
            machine.suspend()
            kept = volume.snapshot(name)
            machine.destroy()
            volume.roll_back(kept.id)
            if name == "LUKS":
                volume.rotate(PASSPHRASE)
            assert not seen.opened(), name
        for snapshot in volume.snapshots.found():
            volume.snapshots.remove(snapshot.id)
        pattern = content[:1].hex()
        io(volume, f"read -P 0x{pattern} 0 1")

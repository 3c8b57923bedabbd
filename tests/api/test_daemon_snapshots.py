"""Snapshots over the bus, on the real core: real disks, libvirt's test driver for machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor.daemon.commands import seal
from twinhull_hypervisor.daemon.slot import start_paused
from twinhull_hypervisor.domain.errors import HypervisorRefused
from twinhull_hypervisor.domain.machine import Machine
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.api.types import SnapshotInfo
from twinhull_policy.names import Partition

from tests.api.test_daemon_key_slots import FIRST, SECOND, laptop, pipes, volumes
from tests.support.core_laptop import CoreLaptop

__all__ = ["laptop", "volumes"]
"""Fixtures of the key slots' tests, which these stand on too."""


def stop(laptop: CoreLaptop, name: str) -> None:
    laptop.hypervisor.connection().lookupByName(f"twinhull-{name}").destroy()


def mark(laptop: CoreLaptop, name: str, content: bytes) -> None:
    """What the guest's firmware keeps stands for all that is in a snapshot."""
    (laptop.paths.volume(Partition(name)) / "nvram.fd").write_bytes(content)


def marked(laptop: CoreLaptop, name: str) -> bytes:
    return (laptop.paths.volume(Partition(name)) / "nvram.fd").read_bytes()


async def listed(laptop: CoreLaptop, name: str) -> list[SnapshotInfo]:
    return msgspec.json.decode(await laptop.daemon.list_snapshots(name), type=list[SnapshotInfo])


async def roll_back(laptop: CoreLaptop, name: str, snapshot: str, passphrase: str = "") -> SnapshotInfo:
    with pipes(passphrase) as (secret,):
        answer = await laptop.daemon.roll_back_partition(name, snapshot, secret)
    return msgspec.json.decode(answer, type=SnapshotInfo)


async def made(laptop: CoreLaptop, name: str, title: str = "") -> SnapshotInfo:
    return msgspec.json.decode(await laptop.daemon.snapshot_partition(name, title), type=SnapshotInfo)


@pytest.mark.parametrize("name", ["corporate", "personal"])
async def test_back_and_forward(laptop: CoreLaptop, name: str) -> None:
    stop(laptop, name)
    mark(laptop, name, b"then")
    first = await made(laptop, name, "before the update")
    assert (first.kind, first.name, first.bytes > 2**20) == ("asked", "before the update", True)
    mark(laptop, name, b"later")
    refused = await laptop.refusal(roll_back(laptop, name, first.id))
    assert refused.code == "TH-PAR-005"
    refused = await laptop.refusal(roll_back(laptop, name, first.id, SECOND))
    assert refused.code == "TH-VOL-001"
    assert marked(laptop, name) == b"later"
    kept = await roll_back(laptop, name, first.id, FIRST)
    assert marked(laptop, name) == b"then"
    assert await listed(laptop, name) == [first, kept]
    undone = await roll_back(laptop, name, kept.id)
    assert marked(laptop, name) == b"later"
    await laptop.daemon.remove_snapshot(name, first.id)
    assert await listed(laptop, name) == [undone]
    log = await laptop.daemon.get_log(100)
    assert all(one.id in log for one in (first, kept, undone))


async def test_a_running_machine_stands_still_meanwhile(
    laptop: CoreLaptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the copy is made it is paused, its state says what is done; then it goes on, checked by netd."""
    seen: list[str] = []
    whole: Callable[..., Any] = QemuLuksVolume.snapshot

    def watched(self: QemuLuksVolume, *arguments: Any) -> Any:
        seen.append(laptop.machine(Partition.PERSONAL))
        arguments[1](1, 2)
        return whole(self, *arguments)

    monkeypatch.setattr(QemuLuksVolume, "snapshot", watched)
    tell = laptop.core.partitions.tell
    notes: list[str] = []

    def told(name: Partition, note: str) -> None:
        notes.append(note)
        tell(name, note)

    monkeypatch.setattr(laptop.core.partitions, "tell", told)
    before = len(laptop.netd.of(Partition.PERSONAL))
    first = await made(laptop, "personal")
    assert seen == ["paused"]
    assert laptop.machine(Partition.PERSONAL) == "running"
    assert "adopt" in [verb for verb, _ in laptop.netd.of(Partition.PERSONAL)[before:]]
    assert (notes[0], notes[-1], "A snapshot is being made: 50 %." in notes) == (
        "A snapshot is being made.",
        "",
        True,
    )
    refused = await laptop.refusal(roll_back(laptop, "personal", first.id, FIRST))
    assert refused.code == "TH-PAR-008"
    shown = next(info for info in (await laptop.status()).partitions if info.name == "personal")
    assert (shown.state, shown.reason) == ("running", "")


async def test_a_paused_machine_stays_paused(laptop: CoreLaptop) -> None:
    await laptop.daemon.suspend_partition("personal")
    await made(laptop, "personal")
    assert laptop.machine(Partition.PERSONAL) == "paused"


async def test_it_goes_on_after_a_failure(laptop: CoreLaptop) -> None:
    overlay = laptop.paths.volume(Partition.PERSONAL) / "overlay.qcow2"
    with overlay.open("r+b") as file:
        file.write(bytes(512))
    refused = await laptop.refusal(laptop.daemon.snapshot_partition("personal", ""))
    assert refused.code == "TH-VOL-019"
    assert laptop.machine(Partition.PERSONAL) == "running"
    assert await listed(laptop, "personal") == []


async def test_a_lease_that_ends_meanwhile(laptop: CoreLaptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is there, and the machine does not go on."""
    whole: Callable[..., Any] = QemuLuksVolume.snapshot

    def long(self: QemuLuksVolume, *arguments: Any) -> Any:
        laptop.clocks.go_on(hours=1000)
        return whole(self, *arguments)

    monkeypatch.setattr(QemuLuksVolume, "snapshot", long)
    first = await made(laptop, "corporate")
    assert laptop.machine(Partition.CORPORATE) == "paused"
    assert await listed(laptop, "corporate") == [first]


BAD = [
    ("snapshot_partition", ("net", ""), "TH-DMN-006"),
    ("snapshot_partition", ("personal", "n" * 61), "TH-DMN-007"),
    ("snapshot_partition", ("personal", "a\nb"), "TH-DMN-007"),
    ("list_snapshots", ("../personal",), "TH-DMN-006"),
    ("remove_snapshot", ("personal", "../one"), "TH-DMN-007"),
    ("remove_snapshot", ("personal", "s-0123456"), "TH-DMN-007"),
    ("remove_snapshot", ("personal", "s-01234567"), "TH-VOL-021"),
]


async def test_what_is_refused(laptop: CoreLaptop) -> None:
    for method, arguments, code in BAD:
        refused = await laptop.refusal(getattr(laptop.daemon, method)(*arguments))
        assert refused.code == code, (method, arguments)
    refused = await laptop.refusal(roll_back(laptop, "personal", "s-01234567/..", FIRST))
    assert refused.code == "TH-DMN-007"


async def test_the_corporate_end_leaves_the_personal_snapshots(laptop: CoreLaptop) -> None:
    """And the proof of a receipt is about them too."""
    await made(laptop, "personal")
    await made(laptop, "corporate")
    personal = laptop.paths.volume(Partition.PERSONAL)
    before = seal(personal, b"key")
    await laptop.core._corporate.erase()
    assert seal(personal, b"key") == before
    assert list(laptop.paths.volume(Partition.CORPORATE).iterdir()) == []
    (disk,) = personal.glob("snapshots/*/disk.qcow2")
    disk.rename(disk.with_name("other"))
    assert seal(personal, b"key") != before


async def test_an_interrupted_rollback_does_not_start(laptop: CoreLaptop) -> None:
    """Killed between its two renames, it is undone before a machine gets the disk."""
    stop(laptop, "personal")
    volume = laptop.core.partitions._volumes[Partition.PERSONAL]
    volume.unlock(FIRST.encode())
    first = volume.snapshot("")
    mark(laptop, "personal", b"later")
    volume.snapshots.keep_present("rollback", first.name)
    half_way = laptop.paths.volume(Partition.PERSONAL) / ".half"
    half_way.write_bytes(b"then")
    half_way.rename(volume.paths.nvram)
    with pytest.raises(HypervisorRefused):  # libvirt's test driver keeps no secrets
        start_paused(laptop.hypervisor, Machine(laptop.hypervisor, Partition.PERSONAL), volume, "")
    assert marked(laptop, "personal") == b"later"
    assert [one.id for one in await listed(laptop, "personal")] == [first.id]

"""Updates to a newer golden image, on the real core: real disks and images, libvirt's test driver for guests.

Whether a guest has opened its agent's channel is the tests' to say: the machines of that driver have none.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from twinhull_hypervisor.daemon import partitions, updates
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.domain.errors import HypervisorRefused
from twinhull_hypervisor.domain.machine import Machine
from twinhull_hypervisor.domain.spec import Accelerator
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.api.types import PartitionInfo
from twinhull_policy.names import Partition
from twinhull_policy.report import Item
from twinhull_policy.trust.documents import ImageReference

from tests.api.test_daemon_key_slots import FIRST, SECOND, pipes
from tests.api.test_daemon_snapshots import listed, mark, marked, roll_back, stop
from tests.support import core_laptop as support
from tests.support.core_laptop import SOON, CoreLaptop, core_laptop
from tests.support.hypervisor import QUICK, make_another_base, make_base
from tests.support.transitions import played_guests

CORPORATE = Partition.CORPORATE
OLDER, NEWER = "images/corporate-0.qcow2", "images/corporate-1.qcow2"
USED = b"used"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The corporate volume, its image and a newer one; made once."""
    place = tmp_path_factory.mktemp("made")
    base = make_base(place)
    newer = make_another_base(base.parent, 0x77)
    (place / "volume").mkdir()
    QemuLuksVolume(CORPORATE, place / "volume", cost=QUICK).create(base, 1, FIRST.encode())
    return place / "volume", base, newer


@pytest.fixture
def comes_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether guests come up; they have not yet, and have as long as they like."""
    monkeypatch.setattr(updates, "COMES_UP_SECONDS", dict.fromkeys(Accelerator, 1e9))
    monkeypatch.setattr(updates, "LOOK_SECONDS", 0.05)

    def say(there: bool) -> None:
        if not there:
            monkeypatch.setattr(updates, "COMES_UP_SECONDS", dict.fromkeys(Accelerator, 0))
        monkeypatch.setattr(Machine, "agent_is_there", lambda _: there)

    monkeypatch.setattr(Machine, "agent_is_there", lambda _: False)
    return say


@pytest.fixture
async def laptop(
    tmp_path: Path,
    made: tuple[Path, Path, Path],
    comes_up: Callable[[bool], None],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[CoreLaptop]:
    """The corporate partition is off and was used; a newer image is here, and named by the server."""
    volume, base, newer = made
    for module, name, stand_in in played_guests():
        monkeypatch.setattr(module, name, stand_in)
    first = ImageReference(target=OLDER, sha256=base.stem, length=base.stat().st_size)
    monkeypatch.setattr(support, "IMAGE", first)
    async with core_laptop(tmp_path, start=False) as laptop:
        shutil.copytree(volume, laptop.paths.volume(CORPORATE))
        await laptop.start_core()
        stop(laptop, CORPORATE)
        shutil.copy(base, laptop.paths.images)
        laptop.offer(newer, NEWER)
        await laptop.core.fleet.accept()
        mark(laptop, CORPORATE, USED)
        yield laptop


async def info(laptop: CoreLaptop) -> PartitionInfo:
    return next(one for one in (await laptop.status()).partitions if one.name == CORPORATE)


async def update(laptop: CoreLaptop, passphrase: str = FIRST) -> None:
    with pipes(passphrase) as (secret,):
        await laptop.daemon.update_partition(CORPORATE, secret)


async def start(laptop: CoreLaptop, passphrase: str = FIRST) -> None:
    with pipes(passphrase) as (secret,):
        await laptop.daemon.start_partition(CORPORATE, secret)


async def judged(laptop: CoreLaptop) -> PartitionInfo:
    """What is shown once it is known what came of an update."""
    async with asyncio.timeout(SOON):
        while True:
            record = laptop.core.partitions.existing(CORPORATE)
            if record.update is None:
                return await info(laptop)
            await asyncio.sleep(0.01)


def reported(laptop: CoreLaptop) -> Item:
    """What the employer is told of the image."""
    return next(item for item in laptop.core.fleet._items("", None) if item.name == "corporate-image")


async def assert_as_before(laptop: CoreLaptop) -> None:
    """The disk of before is in its place, on its image, and nothing was kept beside it."""
    record = laptop.core.partitions.bases.follow(CORPORATE)
    assert (record.image, record.update) == (OLDER, None)
    assert marked(laptop, CORPORATE) == USED
    assert await listed(laptop, CORPORATE) == []
    assert laptop.machine(CORPORATE) == "absent"


async def test_it_comes_up(laptop: CoreLaptop, comes_up: Callable[[bool], None]) -> None:
    before = await info(laptop)
    assert (before.state, before.image, before.newer_image) == ("locked", OLDER, NEWER)
    assert (reported(laptop).state, reported(laptop).actual) == ("pending", before.image_sha256)
    await update(laptop)
    tried = await info(laptop)
    assert (tried.state, tried.image, tried.newer_image, tried.trying) == ("running", NEWER, "", True)
    assert NEWER in tried.reason
    assert (reported(laptop).state, reported(laptop).actual) == ("pending", tried.image_sha256)
    (kept,) = await listed(laptop, CORPORATE)
    assert (kept.kind, kept.name) == ("update", NEWER)
    refused = await laptop.refusal(laptop.daemon.remove_snapshot(CORPORATE, kept.id))
    assert refused.code == "TH-PAR-033"
    comes_up(True)
    up = await judged(laptop)
    assert (up.state, up.image, up.trying, up.reason) == ("running", NEWER, False, "")
    assert reported(laptop).state == "active"
    assert f"updated to {NEWER}, which came up" in await laptop.daemon.get_log(100)

    # It is still there to go back to, and forward again: the image follows the disk.
    stop(laptop, CORPORATE)
    mark(laptop, CORPORATE, b"newer")
    undo = await roll_back(laptop, CORPORATE, kept.id)
    back = await info(laptop)
    assert (back.image, back.newer_image, marked(laptop, CORPORATE)) == (OLDER, NEWER, USED)
    await roll_back(laptop, CORPORATE, undo.id)
    forward = await info(laptop)
    assert (forward.image, forward.newer_image, marked(laptop, CORPORATE)) == (NEWER, "", b"newer")
    await start(laptop)
    assert (await info(laptop)).state == "running"


async def test_it_does_not_come_up(laptop: CoreLaptop, comes_up: Callable[[bool], None]) -> None:
    """Its power is cut, and the disk of before is back without anybody being asked."""
    comes_up(False)
    await update(laptop)
    shown = await judged(laptop)
    await assert_as_before(laptop)
    assert (shown.state, shown.image, shown.newer_image) == ("failed", OLDER, NEWER)
    assert "did not come up" in shown.reason
    told = reported(laptop)
    assert (told.state, told.code, told.actual) == ("failed", "TH-PAR-032", shown.image_sha256)
    assert "TH-PAR-032" in await laptop.daemon.get_log(100)
    await start(laptop, "")
    assert ((await info(laptop)).state, (await info(laptop)).image) == ("running", OLDER)


async def test_it_stops_before_it_came_up(laptop: CoreLaptop) -> None:
    await update(laptop)
    stop(laptop, CORPORATE)
    laptop.core.updates.poke()
    await judged(laptop)
    await assert_as_before(laptop)


async def test_its_start_fails(laptop: CoreLaptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the disk was changed: it is changed back at once."""

    def refuse(_: Hypervisor, machine: Machine, *__: object) -> None:
        assert laptop.core.partitions.bases.follow(CORPORATE).image == NEWER
        raise HypervisorRefused(action="start", reason=f"of {machine}")

    monkeypatch.setattr(partitions, "start_paused", refuse)
    assert (await laptop.refusal(update(laptop))).code == HypervisorRefused.code
    await assert_as_before(laptop)


def running(laptop: CoreLaptop) -> None:
    laptop.create(CORPORATE)


def changed_image(laptop: CoreLaptop) -> None:
    path = laptop.core.fleet._images.path(laptop.image.sha256)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(70_000)
        file.write(b"\xff")


def missing_image(laptop: CoreLaptop) -> None:
    laptop.core.fleet._images.path(laptop.image.sha256).unlink()


def nothing(_: CoreLaptop) -> None:
    """Nothing is in its way."""


@pytest.mark.parametrize(
    ("prepared", "passphrase", "code"),
    [
        (running, FIRST, "TH-PAR-008"),
        (changed_image, FIRST, "TH-IMG-001"),
        (missing_image, FIRST, "TH-PAR-002"),
        (nothing, SECOND, "TH-VOL-001"),
        (nothing, "", "TH-PAR-005"),
    ],
)
async def test_refused_before_anything_changes(
    laptop: CoreLaptop, prepared: Callable[[CoreLaptop], None], passphrase: str, code: str
) -> None:
    prepared(laptop)
    assert (await laptop.refusal(update(laptop, passphrase))).code == code
    if prepared is running:
        stop(laptop, CORPORATE)
    await assert_as_before(laptop)


async def test_there_is_nothing_newer(laptop: CoreLaptop) -> None:
    laptop.image = support.IMAGE
    laptop.statement()
    await laptop.core.fleet.accept()
    assert (await info(laptop)).newer_image == ""
    assert (await laptop.refusal(update(laptop))).code == "TH-PAR-031"
    with pipes("") as (secret,):
        refused = await laptop.refusal(laptop.daemon.update_partition("personal", secret))
    assert refused.code == "TH-PAR-001"


async def test_a_core_that_is_killed_meanwhile(laptop: CoreLaptop, comes_up: Callable[[bool], None]) -> None:
    """The next one goes on waiting for the same guest."""
    await update(laptop)
    await laptop.stop_core()
    await laptop.start_core()
    assert (await info(laptop)).trying
    comes_up(True)
    assert ((await judged(laptop)).image, laptop.machine(CORPORATE)) == (NEWER, "running")


async def test_a_computer_that_is_switched_off_meanwhile(laptop: CoreLaptop) -> None:
    """The disk is locked then, so it is the next start that goes back."""
    await update(laptop)
    await laptop.stop_core()
    stop(laptop, CORPORATE)
    await laptop.start_core()
    shown = await info(laptop)
    assert (shown.state, shown.image, shown.trying) == ("locked", NEWER, False)
    await start(laptop)
    shown = await info(laptop)
    assert (shown.state, shown.image, shown.reason) == ("running", OLDER, "")
    assert marked(laptop, CORPORATE) == USED
    assert "TH-PAR-032" in await laptop.daemon.get_log(100)


async def test_a_disk_whose_header_names_another_image(
    laptop: CoreLaptop, comes_up: Callable[[bool], None]
) -> None:
    """It does not start over that, nor over the one that is on record."""
    comes_up(True)
    await update(laptop)
    await judged(laptop)
    stop(laptop, CORPORATE)
    overlay = laptop.paths.volume(CORPORATE) / "overlay.qcow2"
    content = overlay.read_bytes()[:4096]
    place = content.index(laptop.image.sha256.encode())
    with overlay.open("r+b") as file:
        file.seek(place)
        file.write(b"0" * 64)
    assert (await laptop.refusal(start(laptop, ""))).code == "TH-PAR-034"
    assert laptop.machine(CORPORATE) == "absent"

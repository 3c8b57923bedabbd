"""SIGKILL of the core before each transition of an update to a newer image, and of giving one up.

The laptop is ``test_daemon_killed``'s. Whatever was cut short, the partition starts then: with disk and
image of before, or with the new ones where they had come up. ``--long`` tries each transition.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from twinhull_hypervisor.daemon import updates
from twinhull_hypervisor.domain.machine import Machine
from twinhull_hypervisor.domain.spec import Accelerator
from twinhull_policy.names import Partition

from tests.api.test_daemon_killed import FIRST, Flow, bases, prepared, stop
from tests.support.hypervisor import make_another_base
from tests.support.transitions import Base, Laptop, copy, killed_at, restarted

__all__ = ["bases"]
CORPORATE = Partition.CORPORATE
NEWER = "images/corporate-1.qcow2"
TELLING = (
    "commit partition-corporate",
    "rename snapshot",
    "rename overlay.qcow2",
    "machine start_paused",
    "commit partition-corporate, log (done)",
    "commit partition-corporate, log (refused)",
)
"""Before each of these something else is true; the others are tried with --long."""


def guest(monkeypatch: pytest.MonkeyPatch, *, comes_up: bool) -> None:
    """Processes that are forked from here on have such a guest."""
    monkeypatch.setattr(Machine, "agent_is_there", lambda _: comes_up)
    monkeypatch.setattr(updates, "COMES_UP_SECONDS", dict.fromkeys(Accelerator, 0))


async def done(laptop: Laptop) -> None:
    """An update from its beginning until it is known what came of it."""
    if laptop.core.partitions.existing(CORPORATE).image != NEWER:
        await laptop.core.updates.update(CORPORATE, bytearray(FIRST))
    await laptop.core.updates.look(CORPORATE)


async def looked_at(laptop: Laptop) -> dict[str, object]:
    """What a person has once the partition has been started."""
    await laptop.core.updates.look(CORPORATE)
    await laptop.core.partitions.start(CORPORATE, bytearray(FIRST))
    record = laptop.core.partitions.existing(CORPORATE)
    volume = laptop.core.partitions._volumes[CORPORATE]
    return {
        "image": record.image,
        "open": record.update is not None,
        "stands on": str(volume.stands_on()) if volume.state() == "unlocked" else "",
        "firmware": hashlib.sha256(volume.paths.nvram.read_bytes()).hexdigest(),
        "snapshots": [one.kind for one in await laptop.core.disks.snapshots(CORPORATE)],
        "machine": laptop.machine(CORPORATE),
    }


@pytest.mark.parametrize("comes_up", [True, False], ids=["it comes up", "it does not"])
def test_the_old_image_or_the_new_one(
    comes_up: bool,
    bases: dict[bool, Base],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    (tmp_path / "images").mkdir()
    newer = make_another_base(tmp_path / "images", 0x77)

    async def off_and_used(laptop: Laptop) -> None:
        await stop(CORPORATE)(laptop)
        (laptop.paths.volume(CORPORATE) / "nvram.fd").write_bytes(b"used")
        laptop.offer(newer, NEWER)
        await laptop.core.fleet.accept()

    guest(monkeypatch, comes_up=comes_up)
    work = tmp_path / "laptop"
    base = prepared(Flow(done, 0, first=off_and_used), bases[True], tmp_path / "base")
    before = restarted(base, copy(base, work), base.machines, looked_at)
    _, machines, steps = killed_at(base, work, None, done)
    after = restarted(base, work, machines, looked_at)
    assert (before["image"] == after["image"]) is not comes_up
    assert after["open"] is False
    assert len(steps) >= 12, steps

    ended = []
    for number, known in enumerate(steps):
        if not comes_up and "machine resume" not in steps[:number]:
            continue  # until then it is the same update
        if known not in TELLING and not request.config.getoption("--long"):
            continue
        step, machines, _ = killed_at(base, work, number, done)
        assert step is not None
        shown = restarted(base, work, machines, looked_at)
        shown["stands on"] = shown["stands on"] or after["stands on"]  # it ran on, and the disk is locked
        wanted = [{**one, "stands on": one["stands on"] or after["stands on"]} for one in (before, after)]
        assert shown in wanted, f"before transition {number + 1} of {len(steps)}: {step}"
        ended.append(shown == wanted[1])
    assert len(ended) >= (6 if comes_up else 3)
    assert ended[0] is not comes_up
    assert not comes_up or ended[-1]

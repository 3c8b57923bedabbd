"""Commands on the real core, over its bus and libvirt's test driver: lock, unlock, wipe, release."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twinhull_hypervisor.daemon.state import State
from twinhull_policy.model import LeaseSection
from twinhull_policy.names import Partition
from twinhull_policy.trust.command import sign_command
from twinhull_policy.trust.documents import Command

from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.signing import DAY, DEVICE

CORPORATE, PERSONAL = Partition


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[CoreLaptop]:
    async with core_laptop(tmp_path) as made:
        for partition in Partition:
            volume = made.paths.volume(partition)
            for name in ("overlay.qcow2", "keys.json", "nvram.fd"):
                (volume / name).write_bytes(f"{partition} {name}".encode() * 100)
        yield made


def signed(laptop: CoreLaptop, action: Any, number: int) -> str:
    command = Command(
        tenant=DEVICE.tenant,
        device_id=DEVICE.device_id,
        enrol_epoch=DEVICE.enrol_epoch,
        number=number,
        action=action,
        issued_at=laptop.clocks.wall,
        not_after=laptop.clocks.wall + DAY,
    )
    return sign_command(command, laptop.company.command_keys).decode()


async def command(laptop: CoreLaptop, action: Any, number: int) -> None:
    """The server's next statement carries a command, and the laptop has carried it out."""
    laptop.statement(commands=[signed(laptop, action, number)])
    await laptop.core.fleet.accept()
    await laptop.until(lambda: f"Command {number} ({action})" in told(laptop))


def told(laptop: CoreLaptop) -> str:
    """The owner's log."""
    state = State(laptop.paths.database)
    try:
        return "\n".join(entry.text for entry in state.read_log(1000))
    finally:
        state.close()


def content(laptop: CoreLaptop, partition: Partition) -> str:
    volume = laptop.paths.volume(partition)
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(volume.iterdir()))).hexdigest()


async def state_of(laptop: CoreLaptop, partition: Partition) -> str:
    return next(info.state for info in (await laptop.status()).partitions if info.name == partition)


async def test_lock_and_unlock(laptop: CoreLaptop) -> None:
    await command(laptop, "lock", 1)
    assert (laptop.machine(CORPORATE), laptop.machine(PERSONAL)) == ("absent", "running")
    assert "corporate_cut" in [verb for verb, _ in laptop.netd.of(CORPORATE)]
    refusal = await laptop.refusal(laptop.daemon.open_display("corporate"))
    assert (refusal.code, "command 1" in refusal.message) == ("TH-PAR-021", True)
    await laptop.stop_core()
    laptop.create(CORPORATE)
    await laptop.start_core()
    await laptop.until(lambda: laptop.machine(CORPORATE) == "absent")
    assert (await laptop.refusal(laptop.daemon.open_display("corporate"))).code == "TH-PAR-021"
    await command(laptop, "unlock", 2)
    assert (await laptop.refusal(laptop.daemon.open_display("corporate"))).code == "TH-PAR-007"
    assert laptop.machine(PERSONAL) == "running"


async def test_wipe(laptop: CoreLaptop) -> None:
    before = content(laptop, PERSONAL)
    await command(laptop, "wipe", 1)
    assert (laptop.machine(CORPORATE), laptop.machine(PERSONAL)) == ("absent", "running")
    assert list(laptop.paths.volume(CORPORATE).iterdir()) == []
    assert content(laptop, PERSONAL) == before
    assert (await state_of(laptop, CORPORATE), await state_of(laptop, PERSONAL)) == ("absent", "running")
    assert laptop.netd.of(PERSONAL) == [call for call in laptop.netd.of(PERSONAL) if call[0] != "down"]
    assert (await laptop.status()).enrolment.enrolled


async def test_a_wipe_does_not_wait_for_a_policy(laptop: CoreLaptop) -> None:
    """The statement names a policy that never came: refused, and its command is carried out all the same."""
    laptop.statement(commands=[signed(laptop, "wipe", 1)])
    for body in (laptop.paths.inbox / "bodies").iterdir():
        body.unlink()
    await laptop.core.fleet.accept()
    await laptop.until(lambda: "Command 1 (wipe)" in told(laptop))
    assert list(laptop.paths.volume(CORPORATE).iterdir()) == []


async def test_release_keeps_the_enrolment_until_its_receipt_is_delivered(laptop: CoreLaptop) -> None:
    """fetch is away: the partition is gone at once, the identity when the receipt is."""
    await command(laptop, "release", 1)
    assert list(laptop.paths.volume(CORPORATE).iterdir()) == []
    assert (await laptop.status()).enrolment.enrolled
    assert "This laptop has left the company" not in told(laptop)


async def test_a_wipe_is_gone_on_with_at_the_next_start(laptop: CoreLaptop) -> None:
    """Killed after the command was written down and before anything was done about it."""
    await laptop.stop_core()
    laptop.statement(commands=[signed(laptop, "wipe", 1)])
    before = content(laptop, PERSONAL)
    await laptop.start_core()
    await laptop.stop_core()
    await laptop.start_core()
    await laptop.until(lambda: "Command 1 (wipe)" in told(laptop))
    assert (laptop.machine(CORPORATE), laptop.machine(PERSONAL)) == ("absent", "running")
    assert list(laptop.paths.volume(CORPORATE).iterdir()) == []
    assert content(laptop, PERSONAL) == before


async def test_a_lease_that_wipes_destroys_on_signed_time_alone(tmp_path: Path) -> None:
    """Weeks by the laptop's own clock lock it; that the server's time is past the end destroys."""
    lease = LeaseSection(offline_hours=10, warning_hours=2, network_hours=1, action="wipe")
    async with core_laptop(tmp_path, lease) as laptop:
        volumes = {partition: laptop.paths.volume(partition) / "keys.json" for partition in Partition}
        for path in volumes.values():
            path.write_bytes(b"wrapped")
        await laptop.passes(1000)
        await laptop.core._enforce_lease()
        assert laptop.machine(CORPORATE) == "absent"
        assert volumes[CORPORATE].exists()
        await laptop.contact()
        await laptop.contact(hours_ago=20)
        await laptop.core._enforce_lease()
        assert (laptop.machine(CORPORATE), laptop.machine(PERSONAL)) == ("absent", "running")
        assert not volumes[CORPORATE].exists()
        assert volumes[PERSONAL].read_bytes() == b"wrapped"

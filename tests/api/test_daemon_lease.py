"""The lease on the real core: over its bus, libvirt's test driver, its state database and real signatures."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio
from twinhull_policy.errors import ErrorReport
from twinhull_policy.model import LeaseSection
from twinhull_policy.names import Partition

from tests.support.core_laptop import CoreLaptop, core_laptop

CORPORATE, PERSONAL = Partition.CORPORATE, Partition.PERSONAL
YEARS_2 = 2 * 365 * 24


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[CoreLaptop]:
    async with core_laptop(tmp_path) as laptop:
        yield laptop


async def refused_secret(laptop: CoreLaptop, call: Callable[[int], Any]) -> ErrorReport:
    """How a call is refused that is given a secret in a pipe."""
    reading, writing = os.pipe()
    os.write(writing, b"correct horse battery")
    os.close(writing)
    try:
        return await laptop.refusal(call(reading))
    finally:
        os.close(reading)


async def start(laptop: CoreLaptop) -> ErrorReport:
    return await refused_secret(laptop, lambda pipe: laptop.daemon.start_partition("corporate", pipe))


async def test_the_stages_one_after_the_other(laptop: CoreLaptop) -> None:
    await laptop.passes(143)
    assert await laptop.stage() == "held"
    assert laptop.announced.count("lease") <= 1
    await laptop.passes(1)
    assert await laptop.stage() == "warning"
    await laptop.until(lambda: laptop.announced.count("lease") >= 1)
    status = await laptop.status()
    assert status.lease.reason == "It locks in 24 hours unless the server is heard of."
    assert (status.lease.locks_in_seconds, status.lease.next_in_seconds) == (24 * 3600, 18 * 3600)
    assert status.policy.lease_ends_at == laptop.clocks.wall + 24 * 3600
    assert ("corporate_cut", {}) not in laptop.netd.calls
    await laptop.passes(18)
    assert await laptop.stage() == "no-network"
    assert ("corporate_cut", {}) in laptop.netd.calls
    assert not laptop.netd.tunnel
    assert laptop.machine(CORPORATE) == "running"
    assert (await laptop.status()).vpn.reason.startswith("It was taken away")
    await laptop.passes(6)
    assert await laptop.stage() == "locked"
    assert laptop.machine(CORPORATE) == "absent"
    corporate, personal = (await laptop.status()).partitions
    assert (corporate.state, personal.state) == ("locked", "running")
    assert "The server was not heard of for 7 days" in corporate.reason
    assert personal.reason == ""
    assert [line.partition(".")[0] for line in laptop.log()] == [
        "Lease: warning",
        "Lease: no-network",
        "Lease: locked",
    ]


async def test_what_is_locked_does_not_run_and_shows_nothing(laptop: CoreLaptop) -> None:
    await laptop.passes(168)
    daemon, snapshot = laptop.daemon, "s-00000000"
    for refused in (
        await start(laptop),
        await laptop.refusal(daemon.open_display("corporate")),
        await refused_secret(laptop, lambda pipe: daemon.unlock_volume("corporate", "passphrase", pipe)),
        await refused_secret(laptop, lambda pipe: daemon.roll_back_partition("corporate", snapshot, pipe)),
        await refused_secret(laptop, lambda pipe: daemon.rotate_volume_key("corporate", pipe)),
    ):
        assert (refused.code, refused.blame) == ("TH-PAR-020", 4)
        assert refused.next_step.startswith("Connect to the internet")
    assert laptop.machine(CORPORATE) == "absent"


async def test_nothing_of_it_touches_the_personal_side(laptop: CoreLaptop) -> None:
    await laptop.look()
    before = laptop.netd.of(PERSONAL)
    for _ in range(30):
        await laptop.passes(10)
    assert laptop.machine(PERSONAL) == "running"
    assert laptop.netd.of(PERSONAL) == before
    await laptop.daemon.suspend_partition("personal")
    await laptop.daemon.resume_partition("personal")
    assert laptop.machine(PERSONAL) == "running"


def since_cut(laptop: CoreLaptop) -> list[str]:
    """What netd was asked for since it last took the corporate network away."""
    verbs = [verb for verb, _ in laptop.netd.of(CORPORATE)]
    return verbs[len(verbs) - verbs[::-1].index("corporate_cut") :]


async def test_contact_gives_the_network_back_and_forgets_that_it_was_locked(laptop: CoreLaptop) -> None:
    await laptop.passes(163)
    assert await laptop.stage() == "no-network"
    assert not laptop.netd.tunnel
    await laptop.contact()
    await laptop.until(lambda: since_cut(laptop)[-1:] == ["adopt"])
    assert set(since_cut(laptop)) == {"corporate_up", "adopt"}
    assert since_cut(laptop)[0] == "corporate_up"
    await laptop.passes(200)
    assert laptop.machine(CORPORATE) == "absent"
    await laptop.contact()
    assert await laptop.stage() == "held"
    corporate, _ = (await laptop.status()).partitions
    assert (corporate.state, corporate.reason) == ("locked", "")
    # What refuses now is that it has no volume here, and no lease.
    assert (await start(laptop)).code not in ("TH-PAR-020", "TH-PAR-021")


async def test_one_that_is_paused_does_not_run_again_to_be_ended(laptop: CoreLaptop) -> None:
    await laptop.daemon.suspend_partition("corporate")
    laptop.netd.calls.clear()
    await laptop.passes(200)
    assert laptop.machine(CORPORATE) == "absent"
    assert {"adopt", "corporate_up"} & {verb for verb, _ in laptop.netd.of(CORPORATE)} == set()


async def test_a_clock_set_back_two_years_extends_nothing(laptop: CoreLaptop) -> None:
    await laptop.passes(100)
    laptop.clocks.wall -= YEARS_2 * 3600
    await laptop.passes(60)
    assert await laptop.stage() == "warning"
    await laptop.passes(8)
    assert laptop.machine(CORPORATE) == "absent"
    laptop.clocks.wall -= YEARS_2 * 3600
    await laptop.look()
    assert (await start(laptop)).code == "TH-PAR-020"


async def test_a_clock_set_back_revives_no_expired_statement(laptop: CoreLaptop) -> None:
    await laptop.passes(40 * 24)
    laptop.clocks.wall -= YEARS_2 * 3600
    await laptop.core.fleet.accept()
    assert await laptop.stage() == "locked"
    true = laptop.clocks.wall + YEARS_2 * 3600
    await laptop.contact(true_time=true)
    assert (await laptop.status()).policy.last_refusal.startswith("TH-TRU")
    assert await laptop.stage() == "locked"
    laptop.clocks.wall = true
    await laptop.core.fleet.accept()
    await laptop.look()
    assert await laptop.stage() == "held"


async def test_a_clock_set_forward_locks_and_destroys_nothing(tmp_path: Path) -> None:
    wipe = LeaseSection(offline_hours=168, warning_hours=24, network_hours=6, action="wipe")
    async with core_laptop(tmp_path, wipe) as laptop:
        laptop.clocks.wall += 365 * 24 * 3600
        await laptop.look()
        assert await laptop.stage() == "locked"
        laptop.clocks.wall -= 365 * 24 * 3600
        await laptop.passes(1000)
        assert await laptop.stage() == "locked"
        await laptop.contact()
        await laptop.look()
        assert await laptop.stage() == "held"


async def test_it_counts_on_over_restarts_reboots_and_sleep(laptop: CoreLaptop) -> None:
    laptop.clocks.wall -= 50 * 24 * 3600  # the wall clock is no help
    await laptop.passes(60)
    await laptop.stop_core()
    laptop.clocks.go_on(60)
    await laptop.start_core()
    assert (await laptop.status()).lease.offline_seconds == 120 * 3600
    await laptop.stop_core()
    laptop.clocks.reboot()
    await laptop.start_core()
    await laptop.passes(40)
    assert await laptop.stage() == "warning"
    await laptop.passes(9)
    assert await laptop.stage() == "locked"
    assert laptop.machine(CORPORATE) == "absent"


async def test_a_core_that_comes_back_to_an_ended_lease_locks_before_anything_else(
    laptop: CoreLaptop,
) -> None:
    await laptop.stop_core()
    laptop.netd.calls.clear()
    laptop.clocks.go_on(200)
    await laptop.start_core()
    assert laptop.machine(CORPORATE) == "absent"
    verbs = [verb for verb, _ in laptop.netd.of(CORPORATE)]
    assert (verbs[0], set(verbs)) == ("corporate_cut", {"corporate_cut", "down"})


async def sleep(laptop: CoreLaptop) -> None:
    await laptop.until(lambda: laptop.logind.delayed)
    laptop.logind.prepare_for_sleep.emit(True)
    await laptop.until(lambda: not laptop.logind.delayed)


async def test_a_lease_that_ends_in_sleep_is_locked_before_the_machine_runs_again(laptop: CoreLaptop) -> None:
    await laptop.passes(150)
    await sleep(laptop)
    # Only now does the computer sleep: the delay lock was let go after the machine had been paused.
    assert laptop.machine(CORPORATE) == "paused"
    assert laptop.machine(PERSONAL) == "running"
    laptop.netd.calls.clear()
    laptop.clocks.go_on(100)
    laptop.logind.prepare_for_sleep.emit(False)
    await laptop.until(lambda: laptop.logind.delayed)
    await laptop.until(lambda: laptop.machine(CORPORATE) == "absent")
    assert await laptop.stage() == "locked"
    assert "adopt" not in [verb for verb, _ in laptop.netd.of(CORPORATE)], "it did not run again"


async def test_a_lease_that_goes_on_lets_the_machine_go_on_after_sleep(laptop: CoreLaptop) -> None:
    for _ in range(2):
        await sleep(laptop)
        assert laptop.machine(CORPORATE) == "paused"
        await laptop.look()
        assert laptop.machine(CORPORATE) == "paused"
        laptop.clocks.go_on(1)
        laptop.logind.prepare_for_sleep.emit(False)
        await laptop.until(lambda: laptop.machine(CORPORATE) == "running")


async def test_one_that_somebody_else_starts_is_ended_again(laptop: CoreLaptop) -> None:
    await laptop.passes(200)
    laptop.create(CORPORATE)
    laptop.core.poke_lease()
    await laptop.until(lambda: laptop.machine(CORPORATE) == "absent")


async def test_without_a_policy_there_is_no_lease(tmp_path: Path) -> None:
    async with core_laptop(tmp_path, start=False) as laptop:
        (laptop.paths.inbox / "statement.dsse").unlink()
        await laptop.start_core()
        assert await laptop.stage() == "none"
        assert (await laptop.status()).policy.lease_ends_at == 0

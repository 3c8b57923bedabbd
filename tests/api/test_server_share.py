"""The server's part of the corporate key: from the server through fetch, and in core with its lease."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from twinhull_hypervisor.ipc import listening_socket, serve
from twinhull_hypervisor.run import run
from twinhull_policy.errors import RemoteError, TwinhullError
from twinhull_policy.model import LeaseSection
from twinhull_policy.names import Partition
from twinhull_policy.trust.command import sign_command
from twinhull_policy.trust.documents import Command

from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.fleet_processes import FetchService, FleetServer
from tests.support.signing import DAY, DEVICE

ONE, OTHER = "1" * 32, "2" * 32
GOOD = "correct horse battery"
CORPORATE, PERSONAL = Partition.CORPORATE, Partition.PERSONAL


def code(fetch: FetchService, generation: str = ONE) -> str:
    with pytest.raises(RemoteError) as caught:
        fetch.client.share(generation)
    return caught.value.report().code


def test_the_server_gives_it_to_its_laptop_while_that_is_not_locked(
    server: FleetServer, fetch: FetchService
) -> None:
    assert code(fetch) == "TH-ENR-006"
    device_id = fetch.enrol(server).device_id
    share = fetch.client.share(ONE)
    assert len(share) == 32
    assert fetch.client.share(ONE) == share
    assert fetch.client.share(OTHER) != share
    server.restart()
    assert fetch.client.share(ONE) == share
    server.cli("device", "lock", device_id)
    assert code(fetch) == "TH-SRV-062"
    server.cli("device", "unlock", device_id)
    assert fetch.client.share(ONE) == share
    server.cli("device", "revoke", device_id)
    assert code(fetch) == "TH-SRV-026"


class Fetch:
    """fetch's socket with the one verb behind it."""

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        self.path = path
        self._listener = listening_socket(path)
        self._thread = threading.Thread(
            target=serve,
            args=(self._listener, lambda _: {"share": self._share}, frozenset({os.getuid()})),
            kwargs={"connections": 8},
        )
        self._thread.start()

    def _share(self, arguments: dict[str, Any], _: list[int]) -> Any:
        self.asked.append(arguments["generation"])
        return {"share": "A" * 43 + "="}

    def close(self) -> None:
        self._listener.shutdown(2)
        self._thread.join()
        self._listener.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[CoreLaptop]:
    lease = LeaseSection(offline_hours=168, warning_hours=24, network_hours=6, server_share=True)
    async with core_laptop(tmp_path, lease) as made:
        for name in Partition:
            made.hypervisor.connection().lookupByName(f"twinhull-{name}").destroy()
        yield made


async def create(laptop: CoreLaptop, name: Partition) -> None:
    base = laptop.paths.state / "base.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", base, "64M"], timeout=60)
    volume = laptop.core.partitions._volumes[name]
    await asyncio.to_thread(volume.create, base, 1, GOOD.encode())


async def unlock(laptop: CoreLaptop, name: Partition) -> None:
    reading, writing = os.pipe()
    os.write(writing, GOOD.encode())
    os.close(writing)
    try:
        await laptop.daemon.unlock_volume(name, "passphrase", reading)
    finally:
        os.close(reading)


async def opens(laptop: CoreLaptop, name: Partition) -> None:
    await laptop.daemon.lock_volume(name)
    await unlock(laptop, name)


async def test_no_renewal_means_no_key(laptop: CoreLaptop) -> None:
    kept = laptop.paths.server_share
    with pytest.raises(TwinhullError):
        await create(laptop, CORPORATE)  # the policy wants it, and nobody is there to give it
    fetch = Fetch(laptop.paths.fetch_socket)
    try:
        await create(laptop, CORPORATE)
        await create(laptop, PERSONAL)
        assert len(fetch.asked) == 1, "the personal key has no part of anybody's"
    finally:
        fetch.close()
    assert (kept.stat().st_mode & 0o777) == 0o600
    # The server is away: it works as long as the lease does, also after a restart.
    await laptop.passes(160)
    await opens(laptop, CORPORATE)
    await laptop.stop_core()
    await laptop.start_core()
    await unlock(laptop, CORPORATE)
    await unlock(laptop, PERSONAL)
    await laptop.passes(10)
    assert not kept.exists()
    # The company is heard of again, by somebody who holds its part back.
    await laptop.contact()
    assert await laptop.stage() == "held"
    assert (await laptop.refusal(unlock(laptop, CORPORATE))).code == "TH-VOL-044"
    await opens(laptop, PERSONAL)
    fetch = Fetch(laptop.paths.fetch_socket)
    try:
        await laptop.contact()
        await laptop.until(kept.exists)
        await unlock(laptop, CORPORATE)
        # A lock takes it away as the end of a lease does.
        number, wall = 1, laptop.clocks.wall
        lock = Command(
            tenant=DEVICE.tenant,
            device_id=DEVICE.device_id,
            enrol_epoch=DEVICE.enrol_epoch,
            number=number,
            action="lock",
            issued_at=wall,
            not_after=wall + DAY,
        )
        laptop.statement(commands=[sign_command(lock, laptop.company.command_keys).decode()])
        await laptop.core.fleet.accept()
        await laptop.until(lambda: not kept.exists())
        await opens(laptop, PERSONAL)
        assert set(fetch.asked) == {laptop.core.partitions._volumes[CORPORATE].keys.shared()}
    finally:
        with suppress(OSError):
            fetch.close()

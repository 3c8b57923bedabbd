"""Cases of a fleet that need a real server: revoked streams, a herd, a kill while pushing, two admins."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from twinhull_hypervisor.fetch.errors import BadServerAnswer, ServerUnreachable
from twinhull_hypervisor.fetch.fleet_client import FleetClient
from twinhull_hypervisor.fetch.inbox import named_bodies
from twinhull_hypervisor.fetch.limits import LIMITS
from twinhull_policy.errors import TwinhullError
from twinhull_policy.example import example_policy
from twinhull_policy.model import Policy
from twinhull_policy.parse import canonical
from twinhull_policy.server import admin, repository
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.setup import Settings, initialise
from twinhull_policy.server.storage import open_storage
from twinhull_policy.server.store import audit
from twinhull_policy.trust.policy_body import sign_policy

from tests.api.test_server_commands import Laptop
from tests.support.fleet_processes import PATIENCE, FetchService, FleetServer
from tests.support.fleet_wait import until
from tests.support.tuf_repository import HttpsServer

HERD = 60
"""Laptops here; tests/bench has 10,000."""


@pytest.mark.parametrize("told", [True, False], ids=["by the command", "behind its back"])
async def test_a_revoked_laptop_loses_its_stream_and_is_denied(
    server: FleetServer, tmp_path: Path, told: bool
) -> None:
    """The command returns when the stream is cut; without being told, the server looks every second."""
    laptop = await Laptop(server, tmp_path / "a").enrol()
    with pytest.raises(ServerUnreachable):  # the connection breaks off
        await _follow_until_cut(server, laptop, told=told)
    async with laptop.client() as client:
        answer = await client._session.get(f"{server.url}/v1/statement")
        assert answer.status == 403


async def _follow_until_cut(server: FleetServer, laptop: Laptop, *, told: bool) -> None:
    async with laptop.client() as client, client.open("GET", "/v1/stream") as stream:
        assert b"event: statement" in await stream.content.readany()
        if told:
            await asyncio.to_thread(server.cli, "device", "revoke", laptop.device_id)
        else:
            storage = open_storage(Layout(server.directory).database)
            await asyncio.to_thread(admin.revoke_device, storage, laptop.device_id)
            storage.close()
        async with asyncio.timeout(PATIENCE):
            while not stream.content.at_eof():
                await stream.content.readany()


async def test_a_herd_comes_back_without_an_error(server: FleetServer, tmp_path: Path) -> None:
    """The server is killed, and all laptops are there the moment it is back."""
    laptops = [await Laptop(server, tmp_path / str(number)).enrol() for number in range(3)]
    server.restart(signal.SIGKILL)

    async def comes_back(laptop: Laptop) -> None:
        async with laptop.client() as client, client.open("GET", "/v1/stream") as stream:
            assert b"event: statement" in await stream.content.readany()

    await asyncio.gather(*(comes_back(laptops[number % 3]) for number in range(HERD)))


def test_a_stream_that_is_left_leaves_no_connection(tmp_path: Path) -> None:
    """An answer nobody reads on, of a server that says nothing more: its connection ends with the client."""

    async def leave(web: HttpsServer) -> None:
        async with FleetClient(web.url, ssl.create_default_context(cafile=web.ca)) as client:
            with pytest.raises(BadServerAnswer):
                await client.get("/body", 10)

    with HttpsServer(tmp_path) as web:
        web.files["body"] = b"x" * 5000
        web.misbehave("body", "drip", seconds=0.05)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            asyncio.run(leave(web))
            gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def test_a_server_killed_while_it_pushes(server: FleetServer, tmp_path: Path) -> None:
    """Killed at once after it was told: the laptop has the old or the new, whole, and then the new."""
    (tmp_path / "laptop").mkdir()
    fetch = FetchService(tmp_path / "laptop")
    fetch.start()
    try:
        old = server.publish_example(tmp_path)
        fetch.enrol(server)
        await until(fetch, lambda: (fetch.directory / "inbox" / "bodies" / old).exists())
        publishing = asyncio.create_task(asyncio.to_thread(server.publish_example, tmp_path, "new"))
        assert server.running is not None
        await asyncio.to_thread(server.running.wait_for, "pushed signed=1")
        server.stop(signal.SIGKILL)
        new = await publishing
        named = named_bodies(fetch.statement())
        assert named in ([old], [new])
        server.start()
        await until(fetch, lambda: named_bodies(fetch.statement()) == [new])
    finally:
        fetch.stop()


def test_two_admins_publish_at_once(tmp_path: Path) -> None:
    """Both based on the same policy: one is published, the other is told that its base is stale."""
    layout = Layout(tmp_path)
    initialise(layout, Settings("example", "localhost", 8443, "10.77.1.0/24"))
    signer = repository.signer_for(layout, "policy")

    def publish(number: int) -> str:
        storage = open_storage(layout.database)
        policy = replace_name(f"admin-{number}")
        try:
            document, envelope = canonical(policy), sign_policy(policy, [signer])
            admin.publish_policy(layout, storage, document, envelope, "default", "")
        except TwinhullError as error:
            return error.code
        finally:
            storage.close()
        return ""

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(publish, range(6)))
    assert sorted(outcomes) == ["", *["TH-SRV-008"] * 5]
    storage = open_storage(layout.database)
    with storage.read() as tx:
        lines = [line for line in audit.newest(tx, 50) if line.action == "policy publish"]
    storage.close()
    assert len(lines) == 1


def replace_name(name: str) -> Policy:
    return msgspec.structs.replace(example_policy(), name=name)


@pytest.mark.parametrize(
    ("kind", "more", "error"),
    [
        ("endless", {}, BadServerAnswer),
        ("drip", {"seconds": 0.05}, ServerUnreachable),
        ("silent", {"seconds": 5.0}, ServerUnreachable),
        ("cut", {"bytes": 10}, ServerUnreachable),
    ],
)
async def test_a_body_that_never_ends(
    tmp_path: Path, kind: str, more: dict[str, float], error: type[TwinhullError]
) -> None:
    """Endless, slow, silent or cut off: bounded in size and time, and refused."""
    web = HttpsServer(tmp_path)
    web.files["body"] = b"x" * 5000
    quick = replace(LIMITS, request_seconds=1.0, silence_seconds=1.0)
    with web:
        context = ssl.create_default_context(cafile=web.ca)
        async with FleetClient(web.url, context) as patient:
            assert await patient.get("/body", 5000) == b"x" * 5000
        web.misbehave("body", kind, **more)
        async with FleetClient(web.url, context, quick) as client:
            with pytest.raises(error):
                await client.get("/body", 5000)

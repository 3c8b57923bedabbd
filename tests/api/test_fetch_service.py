"""Enrolment and push, with the real server over real TLS and the real fetch service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TargetFile
from twinhull_hypervisor.fetch.client import ImageProgress
from twinhull_hypervisor.fetch.download import partial_path
from twinhull_hypervisor.fetch.inbox import named_bodies
from twinhull_policy.errors import RemoteError
from twinhull_policy.server.layout import Layout

from tests.support.fleet_processes import PATIENCE, WIREGUARD_KEY, FetchService, FleetServer
from tests.support.tls_proxy import TlsProxy


async def until(fetch: FetchService, reached: Callable[[], bool]) -> None:
    """Follow fetch's events until something holds."""
    async with asyncio.timeout(PATIENCE):
        async for _ in fetch.client.watch():
            if reached():
                return


def named(fetch: FetchService) -> list[str]:
    """The policies the inbox's statement names."""
    return named_bodies(fetch.statement())


def has(fetch: FetchService, sha256: str) -> bool:
    inbox = fetch.directory / "inbox"
    return (
        (inbox / "statement.dsse").exists()
        and named(fetch) == [sha256]
        and (inbox / "bodies" / sha256).exists()
    )


async def test_enrol_and_push(server: FleetServer, fetch: FetchService, tmp_path: Path) -> None:
    first = server.publish_example(tmp_path)
    answer = fetch.enrol(server)
    await until(fetch, lambda: has(fetch, first))
    assert fetch.client.state().device_id == answer.device_id
    pushed = server.publish_example(tmp_path, "changed")
    await until(fetch, lambda: has(fetch, pushed))
    body = fetch.directory / "inbox" / "bodies" / pushed
    assert hashlib.sha256(body.read_bytes()).hexdigest() == pushed
    metadata = {path.name for path in (fetch.directory / "repository" / "metadata").glob("*.json")}
    assert metadata >= {"root.json", "timestamp.json", "snapshot.json", "targets.json"}
    assert not (fetch.directory / "repository" / "metadata" / "root.json").is_symlink()
    assert fetch.enrol(server, "th1." + "A" * 43 + "." + "0" * 64 + "." + "0" * 64) == answer
    device = server.json("device", "list")[0]
    assert device["wireguard_public_key"] == WIREGUARD_KEY
    assert f"AllowedIPs = {device['address']}" in server.cli("device", "wireguard-peers")
    report = {"seq": 1, "policy": pushed, "applied_at": 1}
    fetch.client.report(json.dumps(report))
    assert json.loads(server.json("report", "list")[0]["body"]) == report
    server.cli("root", "rotate")
    history = fetch.directory / "repository" / "metadata" / "root_history"
    await until(fetch, lambda: (history / "2.root.json").exists())


def refused(fetch: FetchService, server: FleetServer, token: str, url: str | None = None) -> str:
    """The code enrolment is refused with; the laptop stays as it was."""
    with pytest.raises(RemoteError) as caught:
        fetch.enrol(server, token, url)
    assert not fetch.client.state().enrolled
    assert token.split(".")[1] not in str(caught.value)
    return caught.value.report().code


def test_tokens_refused(server: FleetServer, fetch: FetchService) -> None:
    good = server.token()
    scheme, secret, root, ca = good.split(".")
    other = "B" if secret[0] != "B" else "C"
    assert refused(fetch, server, ".".join((scheme, other + secret[1:], root, ca))) == "TH-SRV-021"
    assert refused(fetch, server, ".".join((scheme, secret, root, "0" * 64))) == "TH-ENR-003"
    assert refused(fetch, server, "th1.x.y.z") == "TH-TRU-060"
    withdrawn = server.json("token", "new")
    server.cli("token", "revoke", str(withdrawn["number"]))
    assert refused(fetch, server, withdrawn["token"]) == "TH-SRV-024"
    for url in ("http://localhost:1", "https://user@localhost", "https://localhost/x", "localhost", ""):
        with pytest.raises(RemoteError) as caught:
            fetch.client.enrol(url, WIREGUARD_KEY, good.encode())
        assert caught.value.report().code == "TH-ENR-001"
    assert server.running is not None
    log = "".join(server.running.log)
    assert "TH-SRV-021" in log
    assert "TH-SRV-024" in log
    assert secret not in log
    assert withdrawn["token"].split(".")[1] not in log


def test_wrong_root_hash_refused(server: FleetServer, fetch: FetchService) -> None:
    scheme, secret, _, ca = server.token().split(".")
    assert refused(fetch, server, ".".join((scheme, secret, "0" * 64, ca))) == "TH-TRU-007"
    assert not (fetch.directory / "inbox" / "statement.dsse").exists()


async def test_lost_answer_is_given_again(server: FleetServer, fetch: FetchService) -> None:
    """The token is consumed, the answer is lost (here: the root is refused), and asking again works."""
    token = server.token()
    scheme, secret, _, ca = token.split(".")
    assert refused(fetch, server, ".".join((scheme, secret, "0" * 64, ca))) == "TH-TRU-007"
    device_id = server.json("device", "list")[0]["device_id"]
    fetch.stop(signal.SIGKILL)
    fetch.start()
    assert fetch.enrol(server, token).device_id == device_id
    await until(fetch, lambda: fetch.client.state().connected)


@pytest.fixture
async def proxy(server: FleetServer, tmp_path: Path) -> AsyncIterator[TlsProxy]:
    async with TlsProxy(tmp_path, server.port) as running:
        yield running


async def test_server_with_another_ca_refused(
    server: FleetServer, fetch: FetchService, proxy: TlsProxy
) -> None:
    """A proxy with its own CA passes the true CA's certificate on, and is refused all the same."""
    url = f"https://localhost:{proxy.port}"
    assert await asyncio.to_thread(refused, fetch, server, server.token(), url) == "TH-ENR-003"
    assert proxy.requests == ["GET /v1/ca"]


async def test_long_polls_where_a_proxy_holds_the_stream_back(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    """The company's own proxy reads each answer whole: of a stream nothing comes, of a poll everything."""
    first = server.publish_example(tmp_path)
    async with TlsProxy(tmp_path, server.port, Layout(server.directory)) as proxy:
        proxy.identity = fetch.directory / "identity"
        url = f"https://localhost:{proxy.port}"
        device_id = (await asyncio.to_thread(fetch.enrol, server, None, url)).device_id
        await until(fetch, lambda: fetch.client.state().connected)
        assert has(fetch, first)
        assert proxy.requests.count("GET /v1/stream") == 1
        for version in ("second", "third"):
            published = await asyncio.to_thread(server.publish_example, tmp_path, version)
            await until(fetch, lambda: has(fetch, published))  # noqa: B023 - awaited in the same round
        assert proxy.requests.count("GET /v1/stream") == 1
        await asyncio.to_thread(server.cli, "device", "revoke", device_id)
        await until(fetch, lambda: "revoked" in fetch.client.state().error)
        assert not fetch.client.state().connected


async def test_revoked_device_is_cut_off(server: FleetServer, fetch: FetchService) -> None:
    device_id = fetch.enrol(server).device_id
    await until(fetch, lambda: fetch.client.state().connected)
    server.cli("device", "revoke", device_id)
    await until(fetch, lambda: "revoked" in fetch.client.state().error)
    assert not fetch.client.state().connected
    with pytest.raises(RemoteError) as caught:
        fetch.client.sync()
    assert caught.value.report().code == "TH-SRV-026"
    assert server.cli("device", "wireguard-peers") == ""


async def test_reconnects_after_server_was_killed(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    fetch.enrol(server)
    await until(fetch, lambda: fetch.client.state().connected)
    server.stop(signal.SIGKILL)
    await until(fetch, lambda: not fetch.client.state().connected)
    published = server.publish_example(tmp_path, "while it was down")
    server.start()
    await until(fetch, lambda: has(fetch, published))


async def test_fetch_killed_and_restarted_goes_on(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    device_id = fetch.enrol(server).device_id
    fetch.stop(signal.SIGKILL)
    published = server.publish_example(tmp_path)
    fetch.start()
    await until(fetch, lambda: has(fetch, published))
    assert fetch.client.state().device_id == device_id


async def image_outcome(fetch: FetchService, image: dict[str, Any]) -> ImageProgress:
    """Ask until the image is there or given up, as core does."""
    async with asyncio.timeout(PATIENCE):
        while True:
            progress = await asyncio.to_thread(
                fetch.client.image, image["target"], image["sha256"], image["length"]
            )
            if progress.done or progress.error:
                return progress
            await asyncio.sleep(0.05)


def publish_image(server: FleetServer, path: Path) -> dict[str, Any]:
    added: dict[str, Any] = server.json("image", "add", path, "--name", "corp", "--partition", "corporate")
    return added


async def test_image_arrives(server: FleetServer, fetch: FetchService, tmp_path: Path) -> None:
    source = tmp_path / "image.qcow2"
    source.write_bytes(os.urandom(3_000_000))
    image = publish_image(server, source)
    assert not publish_image(server, source)["changed"]
    fetch.enrol(server)
    assert (await image_outcome(fetch, image)).done
    assert (fetch.directory / "repository" / "targets" / image["target"]).read_bytes() == source.read_bytes()
    assert image["target"] in (await image_outcome(fetch, image | {"sha256": "0" * 64})).error


async def test_image_goes_on_after_server_was_killed(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    """A broken connection is no error, and what was received before it is kept."""
    source = tmp_path / "image.qcow2"
    source.write_bytes(os.urandom(3_000_000))
    image = publish_image(server, source)
    fetch.enrol(server)
    await until(fetch, lambda: fetch.client.state().connected)
    server.stop(signal.SIGKILL)
    destination = fetch.directory / "repository" / "targets" / image["target"]
    info = TargetFile(image["length"], {"sha256": image["sha256"]}, image["target"])
    partial_path(destination, info).write_bytes(source.read_bytes()[:1_000_000])
    first = fetch.client.image(image["target"], image["sha256"], image["length"])
    assert (first.done, first.error) == (False, "")
    server.start()
    assert (await image_outcome(fetch, image)).done
    assert destination.read_bytes() == source.read_bytes()


async def test_forget(server: FleetServer, fetch: FetchService) -> None:
    fetch.enrol(server)
    await until(fetch, lambda: fetch.client.state().connected)
    fetch.client.forget()
    assert not fetch.client.state().enrolled
    assert not list((fetch.directory / "inbox" / "bodies").iterdir())
    with pytest.raises(RemoteError) as caught:
        fetch.client.sync()
    assert caught.value.report().code == "TH-ENR-006"
    assert fetch.enrol(server).device_id

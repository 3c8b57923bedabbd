"""The fleet server's HTTP interface and command line, over real TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from cryptography import x509
from sqlalchemy import update
from twinhull_hypervisor.fetch.errors import ServerUnreachable
from twinhull_hypervisor.fetch.fleet_client import FleetClient
from twinhull_hypervisor.fetch.identity import Identity, IdentityStore, pinned_context
from twinhull_policy.errors import RemoteError
from twinhull_policy.server import storage
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import server_ca_path
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.envelope import envelope_hash
from twinhull_policy.trust.statement import DeviceIdentity, LastStatement, verify_statement
from twinhull_policy.trust.token import parse_token

from tests.support.fleet_processes import PATIENCE, WIREGUARD_KEY, FleetServer

ANSWER_LIMIT = 1 << 20


def server_ca(server: FleetServer) -> str:
    return server_ca_path(Layout(server.directory)).read_text()


def anonymous(server: FleetServer) -> FleetClient:
    """A client without a certificate."""
    return FleetClient(server.url, pinned_context(server_ca(server)))


async def enrol(server: FleetServer, token: str, store: IdentityStore, **changes: str) -> dict[str, object]:
    """One enrolment request; the answer. Raises RemoteError."""
    request = {"token": token, "csr": store.request(), "wireguard_public_key": WIREGUARD_KEY} | changes
    async with anonymous(server) as client:
        answer = await client.post("/v1/enrol", msgspec.json.encode(request), ANSWER_LIMIT)
    return msgspec.json.decode(answer, type=dict[str, object])


async def enrolled(
    server: FleetServer, store: IdentityStore, token: str = ""
) -> tuple[FleetClient, Identity]:
    """A client with a fresh device's certificate."""
    answer = await enrol(server, token or server.token(), store)
    names = ("tenant", "device_id", "enrol_epoch", "certificate", "device_ca")
    identity = msgspec.convert(
        {name: answer[name] for name in names}
        | {"server": server.url, "enrolled_at": time.time(), "server_ca": server_ca(server)},
        Identity,
    )
    return FleetClient(server.url, store.tls_context(identity)), identity


async def refusal(request: Awaitable[object]) -> str:
    """The code a request is refused with."""
    with pytest.raises(RemoteError) as caught:
        await request
    return caught.value.report().code


async def test_one_token_at_once_by_many(server: FleetServer, tmp_path: Path) -> None:
    """Of several laptops with one token, at the same time, exactly one gets in."""
    token = server.token()
    stores = [IdentityStore(tmp_path / f"laptop{number}") for number in range(6)]
    answers = await asyncio.gather(*(enrol(server, token, s) for s in stores), return_exceptions=True)
    refused = [answer.report().code for answer in answers if isinstance(answer, RemoteError)]
    assert refused == ["TH-SRV-022"] * 5
    assert len(server.json("device", "list")) == 1
    winner = next(i for i, answer in enumerate(answers) if isinstance(answer, dict))
    again = await asyncio.gather(*(enrol(server, token, stores[winner]) for _ in range(3)))
    assert again == [answers[winner]] * 3
    assert await refusal(enrol(server, token, IdentityStore(tmp_path / "late"))) == "TH-SRV-022"


async def test_a_key_that_enrols_again_is_one_device(server: FleetServer, tmp_path: Path) -> None:
    """The answer to the first token was lost, and the next try comes with another."""
    store = IdentityStore(tmp_path / "laptop")
    first = await enrol(server, server.token(), store)
    second = await enrol(server, server.token(), store)
    assert first["device_id"] != second["device_id"]
    devices = {device["device_id"]: device for device in server.json("device", "list")}
    assert devices[first["device_id"]]["revoked_at"] is not None
    assert devices[second["device_id"]]["revoked_at"] is None
    assert server.cli("device", "wireguard-peers").count("[Peer]") == 1


def test_an_image_whose_publication_was_cut_short_is_published_by_the_next_try(
    server: FleetServer, tmp_path: Path
) -> None:
    """Killed after the targets were signed and before snapshot and timestamp named them."""
    metadata = Layout(server.directory).metadata
    before = {path.name: path.read_bytes() for path in metadata.iterdir()}
    image = tmp_path / "image.qcow2"
    image.write_bytes(b"an image")
    add = ("image", "add", image, "--name", "corporate-small", "--partition", "corporate")
    server.cli(*add)
    for path in metadata.iterdir():
        if path.name.endswith((".snapshot.json", "timestamp.json")):
            path.unlink()
            if path.name in before:
                path.write_bytes(before[path.name])
    server.cli(*add)
    named = json.loads((metadata / "timestamp.json").read_bytes())["signed"]["meta"]["snapshot.json"]
    snapshot = json.loads((metadata / f"{named['version']}.snapshot.json").read_bytes())["signed"]
    newest = max(int(path.name.split(".")[0]) for path in metadata.glob("*.targets.json"))
    assert snapshot["meta"]["targets.json"]["version"] == newest > 1


async def test_expired_token(server: FleetServer, tmp_path: Path) -> None:
    token = server.token()
    tokens = storage.tokens
    with storage.open_storage(Layout(server.directory).database).write() as connection:
        connection.execute(update(tokens).values(expires_at=time.time() - 1))
    store = IdentityStore(tmp_path / "laptop")
    assert await refusal(enrol(server, token, store)) == "TH-SRV-023"
    assert server.running is not None
    server.running.wait_for("enrolment refused .*code=TH-SRV-023")
    assert not server.json("device", "list")


@pytest.mark.parametrize(
    "changes",
    [
        {"csr": ""},
        {"csr": "x" * 5000},
        {"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"},
        {"wireguard_public_key": ""},
        {"wireguard_public_key": WIREGUARD_KEY + "\nAllowedIPs = 0.0.0.0/0"},
        {"wireguard_public_key": "A" * 44},
        {"extra": "field"},
    ],
)
async def test_bad_requests_leave_the_token_unused(
    server: FleetServer, tmp_path: Path, changes: dict[str, str]
) -> None:
    token = server.token()
    store = IdentityStore(tmp_path / "laptop")
    assert await refusal(enrol(server, token, store, **changes)) == "TH-SRV-020"
    assert (await enrol(server, token, store))["tenant"] == "example"


async def test_failures_are_limited(server: FleetServer, tmp_path: Path) -> None:
    good = server.token()
    bad = "th1." + "A" * 43 + "." + "0" * 64 + "." + "0" * 64
    store = IdentityStore(tmp_path / "laptop")
    codes = [await refusal(enrol(server, bad, store)) for _ in range(21)]
    assert codes == ["TH-SRV-021"] * 20 + ["TH-SRV-028"]
    assert await refusal(enrol(server, good, store)) == "TH-SRV-028"


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/statement", "/v1/bodies/" + "0" * 64])
async def test_devices_only(server: FleetServer, path: str) -> None:
    async with anonymous(server) as client:
        assert await refusal(client.get(path, ANSWER_LIMIT)) == "TH-SRV-025"


async def test_keys_are_not_served(server: FleetServer) -> None:
    async with anonymous(server) as client:
        await client.get("/repository/metadata/1.root.json", ANSWER_LIMIT)
        for path in ("/online/director.key", "/repository/metadata/%2e%2e/%2e%2e/online/director.key"):
            assert await refusal(client.get(path, ANSWER_LIMIT)) == "TH-SRV-027"


async def test_statements_verify_and_follow_each_other(server: FleetServer, tmp_path: Path) -> None:
    """What the server signs, the laptop's own verifier accepts, one after another."""
    first_root = (server.directory / "repository/metadata/1.root.json").read_bytes()
    root = trust_root.load_first(first_root, parse_token(server.token()).root_sha256)
    client, identity = await enrolled(server, IdentityStore(tmp_path / "laptop"))
    device = DeviceIdentity(identity.tenant, identity.device_id, identity.enrol_epoch)
    last = None
    async with client, client.open("GET", "/v1/stream") as response:
        for number in (1, 2, 3):
            data = await next_statement(response)
            verified = verify_statement(data, root=root, device=device, last=last, now=int(time.time()))
            assert verified.statement.seq == number
            last = LastStatement(number, envelope_hash(data))
            if number < 3:
                await asyncio.to_thread(server.publish_example, tmp_path, f"version {number}")


async def next_statement(response: aiohttp.ClientResponse) -> bytes:
    async with asyncio.timeout(PATIENCE):
        async for line in response.content:
            if line.startswith(b"data: "):
                return line.removeprefix(b"data: ").strip()
    raise AssertionError("the stream ended")


async def test_revocation_closes_the_stream(server: FleetServer, tmp_path: Path) -> None:
    client, identity = await enrolled(server, IdentityStore(tmp_path / "laptop"))
    async with client:
        with pytest.raises(ServerUnreachable):
            async with client.open("GET", "/v1/stream") as response, asyncio.timeout(PATIENCE):
                await next_statement(response)
                await asyncio.to_thread(server.cli, "device", "revoke", identity.device_id)
                await response.content.read()
                raise ServerUnreachable(server=server.url, detail="the stream ended properly")
        assert await refusal(client.get("/v1/statement", ANSWER_LIMIT)) == "TH-SRV-026"


async def test_renewal(server: FleetServer, tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "laptop")
    client, identity = await enrolled(server, store)
    async with client:
        body = msgspec.json.encode({"csr": store.request()})
        answer = json.loads(await client.post("/v1/renew", body, ANSWER_LIMIT))
        other = msgspec.json.encode({"csr": IdentityStore(tmp_path / "other").request()})
        assert await refusal(client.post("/v1/renew", other, ANSWER_LIMIT)) == "TH-SRV-020"
    renewed = msgspec.structs.replace(identity, certificate=answer["certificate"])
    serials = {
        x509.load_pem_x509_certificate(one.certificate.encode()).serial_number for one in (identity, renewed)
    }
    assert len(serials) == 2
    async with FleetClient(server.url, store.tls_context(renewed)) as client:
        await client.get("/v1/statement", ANSWER_LIMIT)


async def test_reports_are_bounded_json(server: FleetServer, tmp_path: Path) -> None:
    client, _ = await enrolled(server, IdentityStore(tmp_path / "laptop"))
    async with client:
        for body in (b"", b"[]", b"{", b"\xff", b'{"x": "' + b"y" * 70_000 + b'"}'):
            assert await refusal(client.post("/v1/report", body, ANSWER_LIMIT)) == "TH-SRV-020"


def test_certificate_of_another_ca_is_refused(server: FleetServer, tmp_path: Path) -> None:
    """The TLS handshake itself fails with a client certificate that the device CA did not sign."""
    other = FleetServer(tmp_path / "other")
    online = Layout(other.directory).online
    context = pinned_context(server_ca(server))
    context.load_cert_chain(online / "server.pem", online / "server.key")

    async def ask() -> None:
        async with FleetClient(server.url, context) as client:
            await client.get("/v1/ca", ANSWER_LIMIT)

    with pytest.raises(ServerUnreachable):
        asyncio.run(ask())


def test_old_tls_is_refused(server: FleetServer) -> None:
    context = pinned_context(server_ca(server))
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2

    async def ask() -> None:
        async with FleetClient(server.url, context) as client:
            await client.get("/v1/ca", ANSWER_LIMIT)

    with pytest.raises(ServerUnreachable):
        asyncio.run(ask())

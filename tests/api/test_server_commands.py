"""Commands, the server's side: what is signed and sent, and that only a laptop's receipt moves them on."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from twinhull_hypervisor.fetch.fleet_client import FleetClient
from twinhull_hypervisor.fetch.identity import Identity, IdentityStore, pinned_context
from twinhull_policy.errors import RemoteError, TwinhullError
from twinhull_policy.server import commanding, repository, two_persons
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import server_ca_path
from twinhull_policy.server.storage import Storage, open_storage
from twinhull_policy.server.store import commands
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.command import VerifiedCommand, verify_command
from twinhull_policy.trust.documents import Receipt
from twinhull_policy.trust.receipt import sign_receipt
from twinhull_policy.trust.statement import DeviceIdentity, verify_statement

from tests.support.fleet_processes import WIREGUARD_KEY, FleetServer

LIMIT = 1 << 20


class Laptop:
    """An enrolled laptop that speaks HTTP by hand."""

    def __init__(self, server: FleetServer, directory: Path) -> None:
        self.server = server
        self.store = IdentityStore(directory)
        self.identity: Identity | None = None

    async def enrol(self) -> Laptop:
        ca = server_ca_path(Layout(self.server.directory)).read_text()
        token = await asyncio.to_thread(self.server.token)
        request = {"token": token, "csr": self.store.request(), "wireguard_public_key": WIREGUARD_KEY}
        async with FleetClient(self.server.url, pinned_context(ca)) as client:
            answer = await client.post("/v1/enrol", msgspec.json.encode(request), LIMIT)
        fields = msgspec.json.decode(answer, type=dict[str, Any])
        fields.pop("roots")
        known = {"server": self.server.url, "enrolled_at": time.time(), "server_ca": ca}
        self.identity = msgspec.convert(fields | known, Identity)
        return self

    @property
    def device(self) -> DeviceIdentity:
        assert self.identity is not None
        return DeviceIdentity(self.identity.tenant, self.identity.device_id, self.identity.enrol_epoch)

    @property
    def device_id(self) -> str:
        return self.device.device_id

    def client(self) -> FleetClient:
        assert self.identity is not None
        return FleetClient(self.server.url, self.store.tls_context(self.identity))

    async def commands(self) -> list[VerifiedCommand]:
        """What the newest statement carries, verified as a laptop does."""
        layout = Layout(self.server.directory)
        root = trust_root.load_stored(repository.root_chain(layout)[-1])
        now = int(time.time())
        async with self.client() as client:
            untrusted = await client.get("/v1/statement", LIMIT)
        statement = verify_statement(untrusted, root=root, device=self.device, last=None, now=now).statement
        return [
            verify_command(c.encode(), root=root, device=self.device, marks={}, now=now)
            for c in statement.commands
        ]

    def receipt(self, command: VerifiedCommand, state: str, **fields: Any) -> bytes:
        defaults: dict[str, Any] = {
            "tenant": self.device.tenant,
            "device_id": self.device_id,
            "enrol_epoch": self.device.enrol_epoch,
            "command": command.sha256,
            "number": command.command.number,
            "action": command.command.action,
            "state": state,
            "at": int(time.time()),
        }
        return sign_receipt(Receipt(**(defaults | fields)), CryptoSigner(self.store.key()))

    async def post(self, receipt: bytes) -> None:
        async with self.client() as client:
            await client.post("/v1/receipt", receipt, LIMIT)

    async def refused(self, receipt: bytes) -> str:
        with pytest.raises(RemoteError) as caught:
            await self.post(receipt)
        return caught.value.report().code


def database(server: FleetServer) -> Storage:
    return open_storage(Layout(server.directory).database)


def shown(server: FleetServer, number: int) -> str:
    """The state as the administrator is told."""
    storage = database(server)
    with storage.read() as tx:
        command = commands.get(tx, number)
    storage.close()
    assert command is not None
    return command.shown(time.time())


async def test_only_receipts_move_a_command_on(server: FleetServer, tmp_path: Path) -> None:
    laptop = await Laptop(server, tmp_path / "a").enrol()
    other = await Laptop(server, tmp_path / "b").enrol()
    (queued,) = await asyncio.to_thread(server.json, "device", "wipe", laptop.device_id)
    number = queued["number"]
    assert queued["state"] == "queued"
    (command,) = await laptop.commands()
    assert command.command.action == "wipe"
    assert await other.commands() == []
    assert shown(server, number) == "queued"  # the statement was handed out, and that says nothing

    forged = [
        other.receipt(command, "done"),  # another laptop's own signature
        laptop.receipt(command, "done", device_id=other.device_id),
        laptop.receipt(command, "done", action="lock"),
        laptop.receipt(command, "done", number=number + 1),
    ]
    codes = [await other.refused(forged[0]), *[await laptop.refused(each) for each in forged[1:]]]
    assert codes == ["TH-SRV-121", "TH-TRU-081", "TH-SRV-121", "TH-SRV-121"]
    assert await other.refused(laptop.receipt(command, "done")) == "TH-TRU-005"
    assert await laptop.refused(b"{}") == "TH-TRU-003"
    assert shown(server, number) == "queued"

    for state in ("delivered", "started", "started", "delivered"):
        await laptop.post(laptop.receipt(command, state))
    assert shown(server, number) == "started"
    done = laptop.receipt(command, "done", removed=["keys", "contents"])
    await laptop.post(done)
    await laptop.post(laptop.receipt(command, "failed"))  # too late to unsay it
    assert shown(server, number) == "done"
    assert await asyncio.to_thread(server.cli, "device", "receipt", str(number)) == done.decode() + "\n"
    await asyncio.to_thread(server.cli, "device", "lock", laptop.device_id)
    assert [c.command.action for c in await laptop.commands()] == ["lock"]


async def test_a_released_laptop_is_out(server: FleetServer, tmp_path: Path) -> None:
    laptop = await Laptop(server, tmp_path / "a").enrol()
    await asyncio.to_thread(server.cli, "device", "release", laptop.device_id)
    (command,) = await laptop.commands()
    await laptop.post(laptop.receipt(command, "done"))
    assert await laptop.refused(laptop.receipt(command, "done")) == "TH-SRV-026"
    (device,) = await asyncio.to_thread(server.json, "device", "list")
    assert (device["address"], device["revoked_at"] is None) == (None, False)


async def test_a_new_tunnel_key_is_taken_from_the_receipt(server: FleetServer, tmp_path: Path) -> None:
    laptop = await Laptop(server, tmp_path / "a").enrol()
    await asyncio.to_thread(server.cli, "device", "rotate-vpn-key", laptop.device_id)
    (command,) = await laptop.commands()
    new = "B" * 42 + "8="
    await laptop.post(laptop.receipt(command, "done", wireguard_public_key=new))
    peers = await asyncio.to_thread(server.cli, "device", "wireguard-peers")
    assert f"PublicKey = {new}" in peers


async def test_what_is_refused_withdrawn_and_expired(server: FleetServer, tmp_path: Path) -> None:
    layout, storage = Layout(server.directory), database(server)
    laptop = await Laptop(server, tmp_path / "a").enrol()
    other = await Laptop(server, tmp_path / "b").enrol()
    ids = [laptop.device_id, other.device_id]

    def refusal(devices: list[str], action: Any, hours: int = 1) -> str:
        with pytest.raises(TwinhullError) as caught:
            commanding.issue(layout, storage, devices, action, hours=hours, actor="test")
        return caught.value.code

    assert refusal(ids, "wipe") == "TH-SRV-120"
    assert refusal(ids, "release") == "TH-SRV-120"
    assert refusal([ids[0], "d-0"], "lock") == "TH-SRV-005"
    with storage.write() as tx:
        number = two_persons.ask(tx, ids, "stolen together", "alice")
    with pytest.raises(TwinhullError):
        commanding.issue(layout, storage, ids, "wipe", hours=1, actor="test", approval=number)
    with storage.write() as tx:
        two_persons.approve(tx, number, "bob")
    with pytest.raises(TwinhullError):
        commanding.issue(layout, storage, ids[:1], "wipe", hours=1, actor="test", approval=number)
    wiped = commanding.issue(layout, storage, ids, "wipe", hours=1, actor="test", approval=number)
    assert [command.approval for command in wiped] == [number, number]
    with pytest.raises(TwinhullError):
        commanding.issue(layout, storage, ids, "wipe", hours=1, actor="test", approval=number)
    assert refusal(ids, "lock", hours=0) == "TH-SRV-034"
    assert refusal(ids, "lock", hours=2161) == "TH-SRV-034"
    with storage.read() as tx:
        assert len(commands.newest(tx, 10)) == 2
    made = commanding.issue(layout, storage, ids, "lock", hours=1, actor="test")
    assert [command.number for command in made] == [3, 4]
    assert made[0].shown(made[0].not_after + 1) == "expired"
    commanding.withdraw(storage, 3, "test")
    assert shown(server, 3) == "withdrawn"
    with pytest.raises(commanding.CommandUnknown):
        commanding.withdraw(storage, 3, "test")
    with storage.read() as tx:
        open_ones = commands.outstanding(tx, time.time())
        assert {d: [n for n, _ in some] for d, some in open_ones.items()} == {
            laptop.device_id: [1],
            other.device_id: [2, 4],
        }
        assert commands.outstanding(tx, made[0].not_after + 1) == {}
    storage.close()


async def test_a_queued_command_survives_a_new_command_key(server: FleetServer, tmp_path: Path) -> None:
    laptop = await Laptop(server, tmp_path / "a").enrol()
    await asyncio.to_thread(server.cli, "device", "wipe", laptop.device_id)
    (before,) = await laptop.commands()
    await asyncio.to_thread(server.cli, "key", "rotate", "command")
    (after,) = await laptop.commands()
    assert before.command == after.command
    assert json.loads(before.raw)["signatures"] != json.loads(after.raw)["signatures"]

"""A command's whole way: signed on the server, carried out by core's journal, answered through real fetch."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from securesystemslib.signer import SSlibKey
from twinhull_hypervisor.daemon.commands import Commands, NotPossible, Removed
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.fetch.identity import IdentityStore
from twinhull_policy.canonical import encode
from twinhull_policy.errors import RemoteError
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.documents import Receipt, WipeReceipt
from twinhull_policy.trust.receipt import verify_wipe
from twinhull_policy.trust.statement import DeviceIdentity, verify_statement

from tests.support.fleet_processes import FetchService, FleetServer
from tests.support.fleet_wait import until


class Side:
    """A corporate side that only says so, and leaves through the real fetch."""

    def __init__(self, fetch: FetchService) -> None:
        self.fetch = fetch
        self.did: list[str] = []

    async def enforce(self) -> None:
        self.did.append("still")

    async def erase(self) -> list[Removed]:
        self.did.append("erased")
        return ["keys", "contents"]

    async def leave(self) -> None:
        self.did.append("left")
        await asyncio.to_thread(self.fetch.client.forget)

    async def rotate_vpn_key(self) -> str:
        raise NotPossible(detail="no tunnel")


def commands_of(fetch: FetchService) -> list[str]:
    """What the statement in the inbox carries; nothing is verified."""
    payload = msgspec.json.decode(fetch.statement(), type=dict[str, Any])["payload"]
    return list(json.loads(msgspec.json.decode(f'"{payload}"'.encode(), type=bytes))["commands"])


async def test_from_the_administrator_and_back(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    device_id = fetch.enrol(server).device_id
    state = State(tmp_path / "state.sqlite")
    journal = Commands(state, fetch.client, tmp_path / "personal", lambda _: None)
    side = Side(fetch)
    root = trust_root.load_stored((fetch.directory / "repository/metadata/root.json").read_bytes())
    device = DeviceIdentity("example", device_id, 1)
    for number, action in ((1, "lock"), (2, "release")):
        await asyncio.to_thread(server.cli, "device", action, device_id)
        await until(fetch, partial(_carries, fetch, number))
        now = int(time.time())
        statement = verify_statement(fetch.statement(), root=root, device=device, last=None, now=now)
        journal.receive(statement.statement.commands, root, device, now)
        await journal.carry_out(side)
        if action == "lock":
            assert [row["state"] for row in _shown(server)] == ["queued"]
            continue
        await journal.deliver(side)
    assert [(row["action"], row["state"]) for row in _shown(server)] == [
        ("release", "done"),
        ("lock", "done"),
    ]
    assert side.did == ["still", "erased", "left"]
    assert not fetch.client.state().enrolled
    (receipt,) = [entry for entry in state.read_log(50) if "(release): done" in entry.text]
    assert receipt.body + "\n" == server.cli("device", "receipt", "2")
    state.close()


def _carries(fetch: FetchService, number: int) -> bool:
    return len(commands_of(fetch)) == number


def _shown(server: FleetServer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = server.json("device", "commands")
    return rows


def test_fetch_signs_no_other_laptops_receipt(server: FleetServer, fetch: FetchService) -> None:
    device_id = fetch.enrol(server).device_id
    good = Receipt(
        tenant="example",
        device_id=device_id,
        enrol_epoch=1,
        command="ab" * 32,
        number=1,
        action="wipe",
        state="done",
        at=1,
    )

    def code(body: str) -> str:
        with pytest.raises(RemoteError) as caught:
            fetch.client.receipt(body)
        return caught.value.report().code

    assert code(encode(good).decode()) == "TH-SRV-121"  # signed and sent; there was no such command
    assert code(encode(msgspec.structs.replace(good, device_id="d-2")).decode()) == "TH-ENR-007"
    assert code(encode(good).decode() + " ") == "TH-TRU-080"
    assert code("{}") == "TH-TRU-080"


def test_a_wipe_is_signed_and_sent_nowhere(server: FleetServer, fetch: FetchService) -> None:
    good = WipeReceipt(
        tenant="example",
        device_id="d-none",
        enrol_epoch=1,
        partition="personal",
        at=1,
        removed=["keys"],
        survived=[],
        other_before="ab" * 32,
        other_after="ab" * 32,
    )

    def code(body: str) -> str:
        with pytest.raises(RemoteError) as caught:
            fetch.client.sign_wipe(body)
        return caught.value.report().code

    assert code(encode(good).decode()) == "TH-ENR-006"
    device = DeviceIdentity("example", fetch.enrol(server).device_id, 1)
    assert code(encode(good).decode()) == "TH-ENR-007"
    own = msgspec.structs.replace(good, device_id=device.device_id)
    key = IdentityStore(fetch.directory / "identity").key().public_key()
    signed = fetch.client.sign_wipe(encode(own).decode())
    verified = verify_wipe(signed.encode(), key=SSlibKey.from_crypto(key), device=device)
    assert verified == own
    assert code(encode(own).decode() + " ") == "TH-TRU-080"
    assert _shown(server) == []

"""The server's disk is full, or its power is cut: a clear error, nothing lost, the audit chain whole."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.run import run
from twinhull_policy.errors import RemoteError

from tests.support.administrators import PHRASE
from tests.support.fleet_processes import ENVIRONMENT, SERVER, FetchService, FleetServer
from tests.support.fleet_wait import until

KILLED = """
import os, signal
from sqlalchemy import event
from sqlalchemy.engine import Engine
left = {number}
def cut(connection):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(Engine, "commit", cut)
from twinhull_policy.server.cli import main
main()
"""
"""The command line, whose power is cut between what its n-th transaction wrote and its commit."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], timeout=10)
    yield place
    run(["umount", place], timeout=10)


def fill(place: Path) -> Path:
    """Leave no room."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (65536, 4096, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError:
                continue
    assert os.statvfs(place).f_bavail == 0
    return filler


def sound(server: FleetServer) -> None:
    """The database is whole, and nobody can have taken a line out of the audit log."""
    server.cli("audit", "verify")
    with sqlite3.connect(server.directory / "server.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


def report(number: int, policy: str) -> str:
    return json.dumps({"seq": number, "policy": policy, "applied_at": number})


async def test_a_full_disk_loses_nothing(small: Path, fetch: FetchService, tmp_path: Path) -> None:
    server = FleetServer(small / "server")
    published = server.publish_example(tmp_path)
    server.start()
    try:
        token = server.token()
        fetch.enrol(server)
        await until(fetch, lambda: fetch.client.state().connected)
        kept = 0
        refused = ""
        filler = fill(small)
        for number in range(1, 200):  # what was reserved before is used up first
            try:
                fetch.client.report(report(number, published))
            except RemoteError as error:
                refused = error.report().code
                break
            kept = number
        assert refused == "TH-SRV-060"
        assert "TH-SRV-032" in server.cli("token", "new", status=1)
        (tmp_path / "other").mkdir()
        other = FetchService(tmp_path / "other")
        other.start()
        try:
            with pytest.raises(RemoteError) as caught:
                other.enrol(server, token)
            assert caught.value.report().code == "TH-SRV-060"
            filler.unlink()
            sound(server)
            bodies = [json.loads(line["body"]) for line in server.json("report", "list")]
            assert [body["seq"] for body in bodies] == list(range(max(1, kept - 49), kept + 1))
            assert other.enrol(server, token).device_id
        finally:
            other.stop()
        fetch.client.report(report(999, published))
        assert fetch.client.state().connected
        changed = server.publish_example(tmp_path, "after the disk was full")
        await until(fetch, lambda: changed.encode() in fetch.statement() or _names(fetch, changed))
        sound(server)
    finally:
        server.stop()


def _names(fetch: FetchService, sha256: str) -> bool:
    return (fetch.directory / "inbox" / "bodies" / sha256).exists()


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("token", "new"), ""),
        (("group", "new", "sales"), ""),
        (("policy", "publish", "POLICY"), ""),
        (("account", "new", "alice", "--role", "owner", "--password-stdin"), f"{PHRASE}\n"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_power_cut_before_each_commit(tmp_path: Path, arguments: tuple[str, ...], stdin: str) -> None:
    """Each command is cut at its first commit, its second, and so on, until it gets through; then again."""
    server = FleetServer(tmp_path / "server")
    server.publish_example(tmp_path)
    given = [str(tmp_path / "policy.json") if word == "POLICY" else word for word in arguments]
    cuts = 0
    while True:
        command = [SERVER[0], "-c", KILLED.format(number=cuts + 1), "--dir", str(server.directory), *given]
        done = subprocess.run(
            command, env=ENVIRONMENT, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        sound(server)
        if done.returncode != -signal.SIGKILL:
            break
        cuts += 1
    assert cuts
    # A command whose work was committed before the cut says so; none is left half done.
    assert done.returncode == 0 or "already" in done.stderr, done.stderr
    server.start()
    server.stop()


async def test_the_serving_process_is_killed_again_and_again(tmp_path: Path, fetch: FetchService) -> None:
    """What a laptop was told is kept is there, whatever the moment."""
    server = FleetServer(tmp_path / "server")
    published = server.publish_example(tmp_path)
    server.start()
    try:
        fetch.enrol(server)
        acknowledged = []
        for number in range(1, 13):
            try:
                fetch.client.report(report(number, published))
                acknowledged.append(number)
            except RemoteError:
                pass
            if number % 4 == 0:
                server.restart(signal.SIGKILL)
                sound(server)
        found = [json.loads(line["body"])["seq"] for line in server.json("report", "list")]
        assert acknowledged
        assert [number for number in acknowledged if number not in found] == []
    finally:
        server.stop()

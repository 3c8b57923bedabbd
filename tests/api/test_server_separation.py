"""The serving process runs as a user that can read no key of the offline and the administrator's roles."""

from __future__ import annotations

import base64
import json
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet_processes import ENVIRONMENT, SERVER, FetchService, FleetServer, LoggedProcess
from tests.support.fleet_wait import until

USER = "nobody"


@pytest.fixture
def server(passable: Path) -> Iterator[FleetServer]:
    """Made by root for an unprivileged user, and run as that user."""
    fleet = FleetServer(passable / "server", init=("--owner", USER))
    user = pwd.getpwnam(USER)
    listen = ["serve", "--listen", "127.0.0.1:0"]
    fleet.running = LoggedProcess(
        [*SERVER, "--dir", str(fleet.directory), *listen], user=user.pw_uid, group=user.pw_gid
    )
    fleet.port = int(fleet.running.wait_for(r"serving host=\S+ port=(\d+)")[1])
    try:
        yield fleet
    finally:
        fleet.stop()


def readable(path: Path) -> bool:
    """Whether the serving user can read it, asked of the kernel as that user."""
    user = pwd.getpwnam(USER)
    tried = subprocess.run(
        ["cat", str(path)],
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        capture_output=True,
        env=ENVIRONMENT,
    )
    return tried.returncode == 0


async def test_serving_needs_no_key_that_it_cannot_read(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    """Enrolment, a policy, a rotation of its own key and a command, all with the process as it is."""
    assert server.running is not None
    assert f"Uid:\t{pwd.getpwnam(USER).pw_uid}" in _proc(server, "status").read_text()
    secret = [*(server.directory / "offline").glob("*.key"), *(server.directory / "authority").glob("*.key")]
    assert {path.stem for path in secret} == {
        "root-1",
        "root-2",
        "root-3",
        "targets",
        "server-ca",
        "policy",
        "command",
    }
    assert [path.name for path in secret if readable(path)] == []
    assert readable(server.directory / "online" / "director.key")
    opened = {str(link.readlink()) for link in _proc(server, "fd").iterdir() if link.exists()}
    assert not any("offline" in path or "authority" in path for path in opened)

    published = server.publish_example(tmp_path)
    device_id = fetch.enrol(server).device_id
    inbox = fetch.directory / "inbox" / "bodies" / published
    await until(fetch, inbox.exists)
    server.cli("key", "rotate", "director")
    assert readable(server.directory / "online" / "director.key")
    server.cli("device", "lock", device_id)
    await until(fetch, lambda: b'"commands":["' in _payload(fetch))
    assert [path.name for path in secret if readable(path)] == []


def _proc(server: FleetServer, name: str) -> Path:
    """What /proc says of the serving process."""
    assert server.running is not None
    return Path(f"/proc/{server.running.process.pid}/{name}")


def _payload(fetch: FetchService) -> bytes:
    return base64.b64decode(json.loads(fetch.statement())["payload"])

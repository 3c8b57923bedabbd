"""Every command of docs/operations.md, in order, against a real server with a laptop; and its words on logs.

What belongs to the machine (apt, systemd, the gateway's wg) is stood in for by programs that note how they
were called. The laptop is its fetch service: it has no partitions, so no receipt of a wipe comes from it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.errors import TrustError
from twinhull_policy.trust.statement import DeviceIdentity, LastStatement, verify_statement

from tests.support.fleet_processes import ENVIRONMENT, ROOT, FetchService, FleetServer
from tests.support.fleet_wait import until
from tests.support.preloaded import preloaded, program

PAGE = ROOT / "docs" / "operations.md"
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOGGED = re.compile(r'log\.(?:info|warning|error|exception)\(\s*"([^"]+)"')
CLIENT = "from twinhull_client.cli.main import main; main()"
PLACE = "/var/lib/twinhull-server"
NOTED = ("apt", "systemctl", "wg", "chown")
"""Programs of the machine that only note how they are called."""
AHEAD = 1
"""Policies that the laptop gets after the backup; the page says how many more it takes then."""


class PageServer(FleetServer):
    """A server that the page's own commands make."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.admin_port = 0
        self._administrators = False
        self.running = None


class Desk:
    """An administrator's shell in a directory of the test's; it keeps what it printed."""

    def __init__(self, directory: Path, server: FleetServer) -> None:
        self.directory = directory / "desk"
        self.server = server
        self.printed = ""
        self._noted = directory / "noted"
        self._noted.touch()
        (self.directory / "bin").mkdir(parents=True)
        words = ["twinhull-server", "--dir", str(server.directory)]
        program(self.directory / "bin" / words[0], directory / "served", words)
        self._tool("twinhull", f'exec {sys.executable} -c "{CLIENT}" "$@"')
        self._tool("runuser", 'shift 3; exec "$@"')
        for name in NOTED:
            self._tool(name, f'echo "{name} $*" >> {self._noted}')

    def _tool(self, name: str, line: str) -> None:
        path = self.directory / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def run(self, block: str) -> str:
        """Run a block of commands; stdout. It has to succeed."""
        url = self.server.url if self.server.running else ""
        script = block.replace("https://fleet.example:8443", url).replace("fleet.example", "localhost")
        parts = (str(ROOT / part) for part in ("policy", "hypervisor", "client"))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(PLACE, str(self.server.directory))],
            cwd=self.directory,
            env=ENVIRONMENT
            | {
                "PATH": f"{self.directory / 'bin'}{os.pathsep}{ENVIRONMENT['PATH']}",
                "PYTHONPATH": os.pathsep.join(parts),
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        return done.stdout

    def noted(self) -> list[str]:
        """How the machine's programs were called since it was asked last."""
        lines = self._noted.read_text().splitlines()
        self._noted.write_text("")
        return lines


class Page:
    """The page's blocks, each taken once and in order."""

    def __init__(self) -> None:
        self._left = BLOCK.findall(PAGE.read_text())

    def take(self, beginning: str) -> str:
        """The next block, which begins so."""
        block: str = self._left.pop(0)
        assert block.startswith(beginning), block
        return block

    def is_done(self) -> bool:
        """Whether all were taken."""
        return not self._left


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    made = PageServer(tmp_path / "server")
    yield made
    made.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[None]:
    """The server's command line."""
    with preloaded(tmp_path / "served", "twinhull_policy.server.cli", ENVIRONMENT["PYTHONPATH"]):
        yield


def secrets_of(server: FleetServer) -> list[str]:
    """What must be in no log: every private key's text."""
    keys = [
        line
        for path in server.directory.rglob("*.key")
        for line in path.read_text("ascii", "replace").splitlines()
        if len(line) > 40 and not line.startswith("-")
    ]
    assert len(keys) > 5
    return keys


def follows(fetch: FetchService, held: bytes) -> bool:
    """Whether a laptop whose core accepted ``held`` accepts what fetch has brought since."""
    history = fetch.directory / "repository" / "metadata" / "root_history"
    root = trust_root.load_stored((history / "1.root.json").read_bytes())
    state = fetch.client.state()
    device = DeviceIdentity(state.tenant, state.device_id, state.enrol_epoch)
    now = int(time.time())
    last = verify_statement(held, root=root, device=device, last=None, now=now)
    try:
        new = verify_statement(
            fetch.statement(),
            root=root,
            device=device,
            last=LastStatement(last.statement.seq, last.sha256),
            now=now,
        )
    except TrustError:
        return False
    return not new.unchanged


def publish(server: FleetServer, directory: Path, description: str) -> None:
    """A policy to the laptop's group, with another description."""
    path = directory / "policy.json"
    path.write_text(json.dumps(json.loads(canonical(example_policy())) | {"description": description}))
    server.cli("policy", "publish", path, "--group", "staff")


async def another(fetch: FetchService, change: Callable[[], object]) -> None:
    """Until a change has brought fetch another statement."""
    before = fetch.statement()
    change()
    await until(fetch, lambda: fetch.statement() != before)


async def test_every_command_of_the_page_works(
    server: PageServer, fetch: FetchService, served: None, tmp_path: Path
) -> None:
    desk, page = Desk(tmp_path, server), Page()

    desk.run(page.take("apt install ./twinhull-server_"))
    assert desk.noted() == [
        "apt install ./twinhull-server_*.deb",
        "systemctl enable --now twinhull-server",
    ]
    server.start()
    groups = desk.run(page.take("twinhull-server group new canary"))
    assert "canary" in groups and "staff" in groups

    desk.run(page.take("umask 077\nmkdir -p answers"))
    answers = [json.loads(path.read_text()) for path in sorted((desk.directory / "answers").iterdir())]
    assert {answer["url"] for answer in answers} == {server.url}
    token, _, lost = (answer["token"] for answer in answers)
    desk.run(page.take("twinhull-server token list --json"))
    fetch.enrol(server, token)
    await until(fetch, (fetch.directory / "inbox" / "statement.dsse").exists)
    desk.run(page.take("twinhull-server device wireguard-peers"))
    peers = (desk.directory / "peers.conf").read_text()
    assert peers.count("[Peer]") == 1 and "10.77." in peers
    desk.run(page.take("wg syncconf"))
    assert desk.noted() == ["wg syncconf wg0 /etc/wireguard/peers.conf"]

    assert "staff" in desk.run(page.take("twinhull policy example > policy.json"))
    await another(fetch, partial(desk.run, page.take("number=$(twinhull-server rollout list --json")))
    assert "withdrawn" in server.cli("rollout", "list")

    desk.run(page.take("twinhull-server device list --json > devices.json"))
    (known,) = json.loads((desk.directory / "devices.json").read_text())
    assert json.loads((desk.directory / "keys.json").read_text())["keys"]

    assert desk.run(page.take("umask 077\nmkdir -p backup")).endswith("ok\n")
    for number in range(AHEAD):
        await another(fetch, partial(publish, server, tmp_path, f"between {number}"))
    held = fetch.statement()
    assert server.running is not None
    log = "".join(server.running.log)
    assert "enrolled address=" in log
    plain = (token, lost, token.split(".")[1], *secrets_of(server))
    assert [one for one in plain if one in log] == []
    server.stop()
    shutil.rmtree(server.directory)
    desk.run(page.take("mkdir -m 0700 /var/lib/twinhull-server"))
    assert desk.noted()[-1] == "systemctl start twinhull-server"
    server.start()
    for number in range(AHEAD + 2):
        publish(server, tmp_path, f"after {number}")
    await until(fetch, lambda: follows(fetch, held))
    with sqlite3.connect(server.directory / "server.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    said = desk.run(page.take("device=$(twinhull-server device list"))
    assert "lock" in said
    assert "wipe" in desk.run(page.take('twinhull-server device lock "$(twinhull-server device list'))
    receipt, revoke = page.take("twinhull-server device receipt NUMBER").splitlines()
    number = server.json("device", "commands")[0]["number"]
    asked = receipt.partition("#")[0].replace("NUMBER", str(number))
    refused = server.cli(*asked.split()[1:], status=1)
    assert "receipt" in refused, "none comes from a laptop without partitions"
    desk.run(revoke.replace("DEVICE", known["device_id"]))
    assert "revoke" in desk.run(page.take("twinhull-server audit list --limit 20"))
    assert page.is_done()


def test_every_line_that_the_server_logs_is_on_the_page() -> None:
    """By its words and its fields."""
    page = PAGE.read_text()
    lines = [
        line
        for path in (ROOT / "policy" / "twinhull_policy" / "server").rglob("*.py")
        for line in LOGGED.findall(path.read_text())
    ]
    assert len(lines) >= 10
    for line in lines:
        words = re.split(r" \w+=|:? %", line)[0]
        fields = re.findall(r"(\w+)=", line)
        assert f"`{words}" in page, line
        assert [field for field in fields if f"`{field}`" not in page] == [], line

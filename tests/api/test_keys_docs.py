"""Every command of docs/keys.md, in order, against a real server with a laptop that follows it all."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.policy_body import verify_policy_body
from twinhull_policy.trust.statement import DeviceIdentity, verify_statement

from tests.support.fleet_processes import ENVIRONMENT, ROOT, FetchService, FleetServer
from tests.support.fleet_wait import until

PAGE = ROOT / "docs" / "keys.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Desk:
    """An administrator's shell: the page's paths lead into a directory of the test's."""

    def __init__(self, directory: Path, server: FleetServer) -> None:
        self.directory = directory
        self.server = server
        tool = directory / "bin" / "twinhull-server"
        tool.parent.mkdir()
        tool.write_text(
            f'#!/bin/sh\nexec {sys.executable} -c "from twinhull_policy.server.cli import main; main()"'
            f' --dir {server.directory} "$@"\n'
        )
        tool.chmod(0o755)

    def run(self, block: str) -> str:
        """Run a block of commands; stdout. It has to succeed."""
        script = block.replace("/media", str(self.directory / "media")).replace(
            "/var/lib/twinhull-server", str(self.server.directory)
        )
        path = f"{self.directory / 'bin'}{os.pathsep}{ENVIRONMENT['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env=ENVIRONMENT | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        return done.stdout


def chain(fetch: FetchService) -> trust_root.TrustedRoot:
    """The root a laptop trusts, followed from the first as core does."""
    history = fetch.directory / "repository" / "metadata" / "root_history"
    trusted = trust_root.load_stored((history / "1.root.json").read_bytes())
    while (following := history / f"{trusted.version + 1}.root.json").exists():
        trusted = trust_root.update(trusted, following.read_bytes())
    return trusted


def follows(fetch: FetchService, server: FleetServer) -> Callable[[], bool]:
    """Whether the laptop is at the server's root, and what it holds is good under it."""
    wanted = server.json("key", "list")["root_version"]

    def check() -> bool:
        trusted = chain(fetch)
        if trusted.version != wanted:
            return False
        state = fetch.client.state()
        device = DeviceIdentity(state.tenant, state.device_id, state.enrol_epoch)
        now = int(time.time())
        try:
            held = verify_statement(fetch.statement(), root=trusted, device=device, last=None, now=now)
            for sha256 in held.statement.policies:
                body = (fetch.directory / "inbox" / "bodies" / sha256).read_bytes()
                verify_policy_body(body, expected_sha256=sha256, root=trusted)
        except (TwinhullError, FileNotFoundError):
            return False
        return bool(held.statement.policies) and state.error == ""

    return check


async def test_the_page_works_and_laptops_follow(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    server.publish_example(tmp_path)
    image = tmp_path / "image.qcow2"
    image.write_bytes(b"an image")
    server.cli("image", "add", image, "--name", "corp", "--partition", "corporate")
    fetch.enrol(server)
    desk = Desk(tmp_path, server)
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 8
    versions = []
    for block in blocks:
        desk.run(block)
        versions.append(server.json("key", "list")["root_version"])
        try:
            await until(fetch, follows(fetch, server))
        except TimeoutError as error:
            assert fetch.running is not None
            raise AssertionError(f"{block}\n{fetch.client.state()}\n{''.join(fetch.running.log)}") from error
    assert versions == [1, 2, 3, 8, 9, 10, 11, 11]
    assert not list((server.directory / "offline").glob("root*"))
    for path in server.directory.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(server.directory.rglob("*.next.key"))


def timestamp_key(server: FleetServer) -> dict[str, str]:
    rows: list[dict[str, str]] = server.json("key", "list")["keys"]
    return next(row for row in rows if row["role"] == "timestamp")


def test_a_rotation_cut_short_is_finished_by_the_same_draft(server: FleetServer, tmp_path: Path) -> None:
    """Killed after the root was written: the server signs with the new keys; publishing again tidies up."""
    draft = tmp_path / "draft.json"
    server.cli("key", "rotate", "timestamp", "--draft", draft)
    for name in ("root-1", "root-2"):
        server.cli("root", "sign", draft, "--key", server.directory / "offline" / f"{name}.key")
    metadata = server.directory / "repository" / "metadata"
    (metadata / "2.root.json").write_bytes(draft.read_bytes())
    server.restart()  # signs what is due as it starts
    new = timestamp_key(server)
    assert new["private_key"].endswith("timestamp.next.key")
    signed = json.loads((metadata / "timestamp.json").read_bytes())["signatures"]
    assert [signature["keyid"] for signature in signed] == [new["keyid"]]
    server.cli("root", "publish", draft)
    assert timestamp_key(server)["private_key"].endswith("timestamp.key")

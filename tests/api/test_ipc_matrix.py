"""The matrix of docs/ipc.md: every method as every caller, on the real core, asking a real polkitd."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sdbus import sd_bus_open_system
from twinhull_hypervisor.daemon.authority import PolkitInterface
from twinhull_installer import system
from twinhull_policy.api.interface import RULES, DaemonInterface

from tests.ipc.document import document
from tests.ipc.table import ACTIONS, CALLERS, HELPERS, METHODS, asked
from tests.support.core_laptop import core_laptop
from tests.support.real_polkit import RealPolkit, real_polkit
from tests.support.source import ROOT

CONFIG = ROOT / "installer" / "config"
UIDS = dict(zip(CALLERS, (*range(11), 13), strict=True))
"""Of accounts that every Debian has (base-passwd), as the bus lets nobody else in; polkitd sees our names."""
REFUSED = "TH-DMN-003"
KEPT = "polkit.retains_authorization_after_challenge"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def test_each_method_has_a_row_and_each_row_a_method() -> None:
    served = {
        name
        for name, member in vars(DaemonInterface).items()
        if not name.startswith("_") and name != "changed" and member is not None
    }
    assert set(METHODS) == served == set(RULES)
    assert {f"org.twinhull.{row.action}" for row in METHODS.values()} == {r.action for r in RULES.values()}
    assert {name: f"org.twinhull.{row.action}" for name, row in METHODS.items()} == {
        name: rule.action for name, rule in RULES.items()
    }


def test_the_page_is_made_from_the_table() -> None:
    page = ROOT / "docs" / "ipc.md"
    assert page.read_text() == document(), "run python -m tests.ipc.document > docs/ipc.md"


def environment() -> dict[str, str]:
    """For a process that runs the code of this tree, on the bus of this moment."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("policy", "hypervisor"))}


class Caller:
    """A caller's process; it has not called yet."""

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.ipc.caller", str(uid)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        """Let it do its next step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def calls(self) -> dict[str, str]:
        """All calls, and the codes they ended with."""
        self.go_on()
        return dict(json.loads(self.line()))

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


async def asks(authority: PolkitInterface, caller: Caller, action: str) -> str:
    """What polkit itself says it would ask, in the words of the table."""
    process = {"pid": ("u", caller.process.pid), "start-time": ("t", 0), "uid": ("i", caller.uid)}
    allowed, challenge, details = await authority.check_authorization(
        ("unix-process", process), f"org.twinhull.{action}", {}, 0, ""
    )
    if allowed:
        return "nothing"
    return ("password, kept" if KEPT in details else "password") if challenge else "refused"


@needs_root
async def test_every_method_as_every_caller(passable: Path) -> None:
    template = (CONFIG / "50-twinhull-owner.rules").read_text()
    actions = CONFIG / "org.twinhull.policy"
    rules = {"50-twinhull-owner.rules": system.owner_rule(template, "th-owner", system.actions(actions))}
    accounts = {name: uid for name, uid in UIDS.items() if uid}
    started: list[RealPolkit] = []

    @asynccontextmanager
    async def polkit() -> AsyncIterator[None]:
        with real_polkit(passable / "polkit", actions, rules, accounts) as running:
            started.append(running)
            yield

    async with core_laptop(passable, polkit=polkit):
        bus = sd_bus_open_system()
        authority = PolkitInterface.new_proxy(
            "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", bus
        )
        seen_asked: dict[str, dict[str, str]] = {}
        seen_codes: dict[str, dict[str, str]] = {}
        for name, uid in UIDS.items():
            caller = Caller(uid)
            try:
                assert await asyncio.to_thread(caller.line) == "connected"
                if name in ("th-active", "th-inactive"):
                    started[0].log_in(caller.process.pid, uid, active=name == "th-active")
                seen_asked[name] = {action: await asks(authority, caller, action) for action in ACTIONS}
                seen_codes[name] = await asyncio.to_thread(caller.calls)
            finally:
                caller.close()
        bus.close()
    assert seen_asked == {name: {action: asked(name, action) for action in ACTIONS} for name in UIDS}
    assert seen_codes == {
        name: {
            method: row.code if asked(name, row.action) == "nothing" else REFUSED
            for method, row in METHODS.items()
        }
        for name in UIDS
    }


def test_the_sockets_are_as_their_units_make_them() -> None:
    units = {
        path.stem.removeprefix("twinhull-"): path for path in (ROOT / "installer/systemd").glob("*.socket")
    }
    assert set(units) == set(HELPERS)
    for name, path in units.items():
        lines = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        row = HELPERS[name]
        assert (lines["SocketUser"], lines["SocketGroup"], lines["SocketMode"]) == (
            row.user,
            row.group,
            row.mode,
        )


def answered(path: Path, uid: int) -> bool:
    """Whether a process of that user gets any answer to a verb that nobody has."""
    code = (
        "import os, socket, sys; os.setgroups([]); uid = int(sys.argv[2]);"
        "os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid);"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]);\n"
        'try: s.send(b\'{"verb": "nothing"}\'); got = s.recv(70000)\n'
        "except (BrokenPipeError, ConnectionResetError): got = b''\n"
        "print(got.decode())"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, path, str(uid)], capture_output=True, text=True, check=True
    )
    return "TH-IPC-002" in done.stdout


SERVED = {
    "core_uids": "from pathlib import Path; from twinhull_hypervisor import ipc;"
    "ipc.serve(ipc.listening_socket(Path(sys.argv[2])), lambda _: {}, ipc.core_uids(), connections=4)",
    "blockd": "from twinhull_hypervisor.block.main import main; main(sys.argv[1:])",
    "tpmd": "from twinhull_hypervisor.tpm.main import main; main(sys.argv[1:])",
    "diskd": "from twinhull_hypervisor.disk.main import main; main(sys.argv[1:])",
    "fetch": "from twinhull_hypervisor.fetch.main import main; sys.argv.insert(1, 'serve'); main()",
}
OPTIONS: dict[str, list[str]] = {
    "core_uids": [],
    "blockd": ["--directory", "served"],
    "tpmd": [],
    "diskd": ["--directory", "served"],
    "fetch": ["--dir", "served"],
}
BIND_ACCOUNTS = 'mount --make-rprivate / && mount --bind "$1" /etc/passwd && shift && exec "$@"'


@needs_root
@pytest.mark.parametrize("helper", list(SERVED))
def test_a_helper_answers_its_row_and_nobody_else(passable: Path, helper: str) -> None:
    """Whatever the file's mode, which is opened to all here; root runs fetch, so its own user is no other."""
    path, accounts = passable / "helper.sock", passable / "passwd"
    (passable / "served").mkdir()
    accounts.write_text("".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in UIDS.items()))
    command = [sys.executable, "-c", "import sys;" + SERVED[helper], "--socket", str(path)]
    command += [str(passable / word) if word == "served" else word for word in OPTIONS[helper]]
    apart = ["unshare", "-m", "sh", "-c", BIND_ACCOUNTS, "sh", str(accounts)]
    with subprocess.Popen([*apart, *command], env=environment()) as process:
        try:
            until = time.monotonic() + 30
            while not reachable(path):
                assert process.poll() is None, "it ended"
                assert time.monotonic() < until
                time.sleep(0.02)
            path.chmod(0o666)
            rows = ("netd", "devd") if helper == "core_uids" else (helper,)
            expected = [set(HELPERS[row].answered.split(", ")) - {"twinhull-fetch"} for row in rows]
            seen = {name for name, uid in UIDS.items() if answered(path, uid)}
            assert [seen] * len(rows) == expected
        finally:
            process.terminate()


def reachable(path: Path) -> bool:
    """Whether somebody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        return connection.connect_ex(str(path)) == 0

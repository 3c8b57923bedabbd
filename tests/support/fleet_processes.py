"""The real fleet server and the real fetch service as processes on the loopback."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinhull_hypervisor.fetch.client import FetchClient
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("policy", "hypervisor")),
    "PYTHONWARNINGS": "error",
}
SERVER = [sys.executable, "-c", "from twinhull_policy.server.cli import main; main()"]
FETCH = [sys.executable, "-c", "from twinhull_hypervisor.fetch.main import main; main()"]
WIREGUARD_KEY = "A" * 42 + "8="
PATIENCE = 60.0
"""Seconds after which something awaited counts as missing."""


class LoggedProcess:
    """A process whose stderr is kept and can be awaited line by line."""

    def __init__(self, command: list[str], user: int | None = None, group: int | None = None) -> None:
        """``user`` and ``group`` are whose process it is, if not ours; it has no other groups then."""
        self.process = subprocess.Popen(
            command,
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
        self.log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The next line of the log that matches; fails when none comes or the process ends."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without {pattern!r}:\n{''.join(self.log)}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and collect it."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(PATIENCE)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


class FleetServer:
    """A server in a directory. ``port`` and ``admin_port`` stay the same over restarts.

    Args:
        init: further options of ``init``.
        administrators: also serve the console and the administrators' interface.
    """

    def __init__(self, directory: Path, init: Sequence[str] = (), *, administrators: bool = False) -> None:
        self.directory = directory
        self.port = 0
        self.admin_port = 0
        self._administrators = administrators
        self.running: LoggedProcess | None = None
        self.cli("init", *init)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"https://localhost:{self.admin_port}"

    def cli(self, *arguments: str | Path, status: int = 0, stdin: str = "") -> str:
        """Run the command line; stdout. Stderr is in the failure if the status is another."""
        command = [*SERVER, "--dir", str(self.directory), *map(str, arguments)]
        done = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, input=stdin, timeout=60, check=False
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if status == 0 else done.stderr

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.cli(*arguments, "--json"))

    def token(self) -> str:
        return self.cli("token", "new").strip()

    def start(self) -> None:
        command = [*SERVER, "--dir", str(self.directory), "serve", "--listen", f"127.0.0.1:{self.port}"]
        if self._administrators:
            command += ["--admin-listen", f"127.0.0.1:{self.admin_port}"]
        self.running = LoggedProcess(command)
        if self._administrators:
            self.admin_port = int(self.running.wait_for(r"administrators host=\S+ port=(\d+)")[1])
        self.port = int(self.running.wait_for(r"serving host=\S+ port=(\d+)")[1])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.running is not None:
            self.running.end(how)
            self.running = None

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.stop(how)
        self.start()

    def publish_example(self, directory: Path, description: str = "") -> str:
        """Publish the example policy with a description of its own; the body's hash."""
        document = json.loads(canonical(example_policy()))
        path = directory / "policy.json"
        path.write_text(json.dumps(document | {"description": description}))
        return str(self.json("policy", "publish", path)["sha256"])


class FetchService:
    """A fetch service in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "state"
        self.socket = directory / "fetch.sock"
        self.client = FetchClient(self.socket)
        self.running: LoggedProcess | None = None

    def start(self) -> None:
        command = [*FETCH, "serve", "--dir", str(self.directory), "--socket", str(self.socket)]
        self.running = LoggedProcess(command)
        self.running.wait_for("listening socket=")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.running is not None:
            self.running.end(how)
            self.running = None

    def enrol(self, server: FleetServer, token: str | None = None, url: str | None = None) -> Any:
        return self.client.enrol(url or server.url, WIREGUARD_KEY, (token or server.token()).encode())

    def statement(self) -> bytes:
        return (self.directory / "inbox" / "statement.dsse").read_bytes()


def fetch_command(
    *arguments: str | Path, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    """Run ``twinhull-fetch`` as a command."""
    command = [*FETCH, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

"""The laptop the quickstart made, driven through its own commands."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twinhull_policy.api.types import Status

from tests.support.guest import Guest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OWNER = "twinhull-owner"
PASSPHRASES = Path("/var/lib/twinhull-quickstart/passphrases")
STATE = Path("/var/lib/twinhull")
FETCH = Path("/var/lib/twinhull-fetch")
SYSTEMD = Path("/run/systemd/system").is_dir()
SERVER_LOG = Path("/var/log/twinhull/twinhull-server.log")


class CommandFailed(AssertionError):
    """A command that was to succeed did not."""


class Laptop:
    """The installed machine.

    Attributes:
        quickstart_output: what the quickstart printed.
    """

    def __init__(self, quickstart_output: str) -> None:
        self.quickstart_output = quickstart_output
        self.owner = os.environ.get("SUDO_USER") or OWNER

    def twinhull(
        self, *arguments: str | Path, stdin: str = "", user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``twinhull`` as the owner, or as ``user``; any exit status."""
        return subprocess.run(
            [*as_user(user or self.owner), "/usr/local/bin/twinhull", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def must(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run ``twinhull`` as the owner; it has to succeed."""
        ended = self.twinhull(*arguments, stdin=stdin)
        if ended.returncode != 0:
            raise CommandFailed(f"twinhull {arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def server(self, *arguments: str | Path) -> str:
        """Run an administrator's ``twinhull-server`` command; it has to succeed."""
        ended = subprocess.run(
            ["/usr/local/bin/twinhull-server", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        if ended.returncode != 0:
            raise CommandFailed(f"twinhull-server {arguments}: {ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def network(self, *arguments: str) -> str:
        """Run a command of the demonstration network; it has to succeed."""
        ended = subprocess.run(
            [sys.executable, "-P", REPOSITORY / "installer/corporate_side", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        if ended.returncode != 0:
            raise CommandFailed(f"corporate_side {arguments}: {ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def services(self, *arguments: str) -> None:
        """Run the service launcher (start, stop, restart); it has to succeed."""
        subprocess.run(["/opt/twinhull/services", *arguments], check=True, timeout=120, capture_output=True)

    def service_pid(self, name: str) -> int | None:
        """The process of one of Twinhull's services, None while it has none."""
        if SYSTEMD:
            asked = ["systemctl", "show", "--property=MainPID", "--value", f"{name}.service"]
            pid = int(subprocess.run(asked, check=True, capture_output=True, timeout=60).stdout)
        else:
            asked = ["/opt/twinhull/services", "status", name]
            said = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout
            pid = int(said.partition("pid ")[2] or 0)
        return pid or None

    def libvirtd_comes_back(self) -> bool:
        """Whether something starts libvirtd again when it dies."""
        return SYSTEMD or Path("/run/twinhull-quickstart/libvirtd.pid").exists()

    def restart_libvirtd(self) -> None:
        """Have libvirtd back after it was killed: by systemd, by the quickstart's supervisor, or by hand."""
        if SYSTEMD:
            subprocess.run(["systemctl", "start", "libvirtd"], check=True, timeout=60)
            return
        if self.libvirtd_comes_back():
            wait_for(lambda: pids_of("libvirtd"), "libvirtd to be back")
        else:
            subprocess.run(["libvirtd", "-d"], check=True, timeout=60)

    def status(self) -> Status:
        """``twinhull status --json``."""
        return msgspec.json.decode(self.must("status", "--json"), type=Status)

    def state(self, partition: str) -> str:
        """A partition's state as status tells it."""
        return next(part.state for part in self.status().partitions if part.name == partition)

    def passphrase(self, partition: str) -> str:
        """The passphrase the quickstart made."""
        return (PASSPHRASES / partition).read_text().strip()

    def guest(self, partition: str) -> Guest:
        """A partition's guest."""
        return Guest(partition)

    def start(self, partition: str) -> None:
        """Start a partition with its passphrase; does not wait for the guest."""
        self.must("partition", "start", partition, "--passphrase-file", "-", stdin=self.passphrase(partition))

    def stop(self, partition: str, *, force: bool = False) -> None:
        """Stop a partition and wait for it."""
        self.must("partition", "stop", *(["--force"] if force else []), partition)

    def ensure_running(self, partition: str) -> Guest:
        """Start a partition if it is off, and wait until its guest answers."""
        if self.state(partition) != "running":
            self.start(partition)
        guest = self.guest(partition)
        guest.wait_until_up()
        return guest


def as_user(user: str) -> list[str]:
    """What to put before a command so that another user runs it, with that user's groups and environment."""
    group = str(pwd.getpwnam(user).pw_gid)
    return ["setpriv", "--reuid", user, "--regid", group, "--init-groups", "--reset-env"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Ask until the answer is true; some things on a machine can only be asked."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def pids_of(program: str) -> list[int]:
    """The processes whose command line names a program as its first or second word."""
    found = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")[:2]
        except OSError:
            continue
        if any(Path(os.fsdecode(word)).name == program for word in words if word):
            found.append(int(directory.name))
    return found


def kill_hard(program: str) -> int:
    """SIGKILL the newest process of a program and return its pid."""
    pid = max(pids_of(program))
    os.kill(pid, signal.SIGKILL)
    return pid


def as_json(text: str) -> Any:
    """Decode a command's ``--json`` output."""
    return json.loads(text)

"""Debian packages: what is missing, and installing it."""

from __future__ import annotations

import fcntl
from pathlib import Path

from twinhull_installer.run import LONG, Runner
from twinhull_installer.steps import Progress, wait_until

LOCK_SECONDS = 300
"""How long another package manager is waited for, or the dpkg of a run that was killed."""
DPKG_LOCKS = (Path("/var/lib/dpkg/lock-frontend"), Path("/var/lib/dpkg/lock"))
"""Locked with fcntl(2) by whoever changes packages (apt's and dpkg's own convention)."""


def listed(path: Path) -> list[str]:
    """The names in a package list: one a line, ``#`` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def missing(runner: Runner, names: list[str]) -> list[str]:
    """Those of ``names`` that are not installed."""
    asked = runner.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *names], check=False, secret=True
    )
    installed = {line.split()[0] for line in asked.output.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def unlocked(locks: tuple[Path, ...] = DPKG_LOCKS) -> bool:
    """Whether nobody changes packages just now."""
    for path in locks:
        with path.open("ab") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return False
    return True


def install(runner: Runner, names: list[str], progress: Progress) -> None:
    """Install what is missing, without recommends, never asking; first finish what was interrupted.

    Services do not start by being installed: what Twinhull needs is started by a later step.
    """
    wanted = missing(runner, names)
    if not wanted:
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    progress.detail("reading the package lists")
    runner.run(["apt-get", "-q", "update"], timeout=LONG, environment=environment)
    options = [
        "-q",
        "-y",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-confold",
        "-o",
        f"DPkg::Lock::Timeout={LOCK_SECONDS}",
    ]

    def on_line(line: str) -> None:
        if line.startswith(("Get:", "Unpacking ", "Setting up ")):
            progress.detail(line)

    # Unlike apt, dpkg does not wait.
    wait_until(unlocked, LOCK_SECONDS)
    # After an interruption apt refuses everything until both are done: "dpkg was interrupted" and unmet
    # dependencies. Both are no-ops otherwise. What is installed may start daemons, which must not be held.
    for command in (
        ["dpkg", "--force-confold", "--configure", "-a"],
        ["apt-get", *options, "--fix-broken", "install"],
        ["apt-get", *options, "install", *wanted],
    ):
        runner.stream(command, on_line, environment=environment, held=False)

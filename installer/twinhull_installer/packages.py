"""Debian packages: what is missing, and installing it."""

from __future__ import annotations

from pathlib import Path

from twinhull_installer.run import LONG, Runner
from twinhull_installer.steps import Progress


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
        "DPkg::Lock::Timeout=300",
    ]

    def on_line(line: str) -> None:
        if line.startswith(("Get:", "Unpacking ", "Setting up ")):
            progress.detail(line)

    # After an interruption apt refuses everything until both are done: "dpkg was interrupted" and unmet
    # dependencies. Both are no-ops otherwise. What is installed may start daemons, which must not be held.
    for command in (
        ["dpkg", "--force-confold", "--configure", "-a"],
        ["apt-get", *options, "--fix-broken", "install"],
        ["apt-get", *options, "install", *wanted],
    ):
        runner.stream(command, on_line, environment=environment, held=False)

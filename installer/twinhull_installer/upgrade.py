"""An upgrade that does not come up is taken back: what the package's scripts call while dpkg still can.

``try`` runs once the new files are in place and dpkg still keeps the old ones; where it fails dpkg puts those
back, and the old package's ``back`` has them run again (docs/adr/0023). Machines run on all the while.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinhull_installer import paths, services
from twinhull_installer.errors import CommandFailed, CommandTimedOut, NotUp
from twinhull_installer.journal import write_whole
from twinhull_installer.run import Runner

LOG = Path("/var/log/twinhull-upgrade.log")
STATE = Path("/var/lib/twinhull")
STATE_FILES = ("state.sqlite", "state.sqlite-wal", "state.copy")
KEPT = Path("/var/lib/twinhull-upgrade")
"""Of an upgrade under way, for root alone: what ran, and the core's state as it was."""
TRIED = Path("/run/twinhull-upgraded")
"""The version whose services run already, so that its ``postinst`` restarts none."""
CORE = "twinhulld"
HELPERS = ("twinhull-netd", "twinhull-devd", "twinhull-tpmd", "twinhull-diskd", "twinhull-fetch")
"""What is restarted beside the core. Guests read disks through twinhull-blockd, which runs on as it was."""
PROGRAMS = ("twinhull", CORE, *HELPERS, "twinhull-blockd")
UP_SECONDS = 180.0
"""Longest the services may take to be up; on an emulated machine one question takes half a minute."""
STEADY_SECONDS = 3.0
"""How long all have to stay up without a restart: a unit is started again a second after it failed."""


@dataclass(frozen=True)
class System:
    """What is asked of the running system, so that a test can answer in its place."""

    runner: Runner
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def systemctl(self, *words: str, check: bool = True) -> str:
        """Run systemctl; returns what it prints."""
        done = self.runner.run(["systemctl", *words], check=check, timeout=UP_SECONDS)
        return done.output

    def starts(self, program: str) -> str:
        """Why a program cannot so much as explain itself; empty if it can."""
        path = paths.VENV / "bin" / program
        try:
            self.runner.run([path, "--help"], timeout=UP_SECONDS)
        except (CommandFailed, CommandTimedOut) as error:
            return error.message
        return ""

    def core_answers(self) -> bool:
        """Whether the core can be asked."""
        words: list[str | Path] = [paths.VENV / "bin/twinhull", "status", "--json"]
        try:
            return self.runner.run(words, check=False, secret=True, timeout=UP_SECONDS).status == 0
        except CommandTimedOut:
            return False

    def not_up(self, unit: str) -> str:
        """What is wrong with a unit that was started; empty if it runs and never had to be started again."""
        shown = self.systemctl("show", "--property=ActiveState,NRestarts", f"{unit}.service")
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if values.get("NRestarts", "0") != "0":
            return f"{unit} ended and was started again"
        return "" if values.get("ActiveState") == "active" else f"{unit} does not run"


def attempt(system: System, version: str) -> None:
    """Have the new program run. Raises NotUp, and says why; then it is for dpkg to put the old one back.

    Args:
        version: of the package whose files are in place.
    """
    TRIED.unlink(missing_ok=True)
    for program in PROGRAMS:
        reason = system.starts(program)
        if reason:
            raise NotUp(version=version, reason=reason)
    if not services.systemd_runs():
        return
    running = [unit for unit in (*HELPERS, CORE) if services.running(unit)]
    if not running:
        return
    try:
        keep(system, version, running)
        # What its units need: accounts and directories that are new with it.
        system.runner.run(["systemd-sysusers", "twinhull.conf"])
        system.runner.run(["systemd-tmpfiles", "--create", "twinhull.conf"])
        reason = come_up(system, running)
    except (CommandFailed, CommandTimedOut, OSError) as error:
        raise NotUp(version=version, reason=str(error)) from error
    if reason:
        raise NotUp(version=version, reason=reason)
    write_whole(TRIED, version + "\n", 0o644)
    shutil.rmtree(KEPT)


def take_back(system: System, version: str) -> str:
    """Have what ran before run again, now that its files are back; returns the sentence for a person.

    Args:
        version: of the package that did not come up; where it had not been tried the answer is empty.
    """
    running = was_tried(version)
    if not running:
        return ""
    system.systemctl("stop", *(f"{unit}.service" for unit in running), check=False)
    put_back(KEPT, STATE)
    system.systemctl("reset-failed", *(f"{unit}.service" for unit in running), check=False)
    reason = come_up(system, running)
    shutil.rmtree(KEPT)
    if reason:
        both = f"neither version {version} nor the one from before comes up: {reason}"
        return f"{both}; run 'systemctl restart twinhull.target', then 'twinhull doctor'."
    return (
        f"version {version} did not come up, so the one from before runs on and nothing was lost;"
        f" keep {LOG} for whoever gave you this version, and install a later one."
    )


def come_up(system: System, running: Sequence[str]) -> str:
    """Start the helpers again, then the core, which asks them; returns why they are not up, else nothing."""
    system.systemctl("daemon-reload")
    for units in ([unit for unit in running if unit != CORE], [unit for unit in running if unit == CORE]):
        try:
            if units:
                system.systemctl("restart", *(f"{unit}.service" for unit in units))
        except (CommandFailed, CommandTimedOut):
            return next(filter(None, map(system.not_up, units)), f"{units[0]} does not start")
    return wait_until_up(system, running)


def wait_until_up(system: System, running: Sequence[str]) -> str:
    """Wait until all run, the core answers, and nothing has ended since; returns what is wrong."""
    deadline = system.clock() + UP_SECONDS
    while CORE in running and not system.core_answers():
        reason = next(filter(None, map(system.not_up, running)), "")
        if "started again" in reason:
            return reason
        if system.clock() > deadline:
            return reason or "the core does not answer"
        system.pause(0.5)
    system.pause(STEADY_SECONDS)
    return next(filter(None, map(system.not_up, running)), "")


def was_tried(version: str) -> list[str]:
    """What ran when a version was tried; nothing where it was not, or came up."""
    try:
        noted = json.loads((KEPT / "tried.json").read_text("utf-8"))
    except FileNotFoundError:
        return []
    return list(noted["running"]) if noted["version"] == version else []


def keep(system: System, version: str, running: Sequence[str]) -> None:
    """Write down what runs, and copy the core's state while it writes none."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(mode=0o700)
    write_whole(KEPT / "tried.json", json.dumps({"version": version, "running": list(running)}), 0o600)
    if CORE in running:
        system.systemctl("stop", f"{CORE}.service")
        copy(STATE, KEPT)


def put_back(kept: Path, state: Path) -> None:
    """Put the core's state back where the newer program gave it a form that the older one cannot read.

    Otherwise it stays as it is: what was received and counted meanwhile is not forgotten again.
    """
    if not (kept / STATE_FILES[0]).exists() or form(kept) == form(state):
        return
    owner = state.stat()
    for name in (*STATE_FILES, "state.sqlite-shm"):
        (state / name).unlink(missing_ok=True)
    for path in copy(kept, state):
        path.chmod(0o600)
        shutil.chown(path, owner.st_uid, owner.st_gid)


def copy(source: Path, target: Path) -> list[Path]:
    """Copy those files of the core's state that there are; returns the copies."""
    return [Path(shutil.copy2(source / name, target / name)) for name in _there(source)]


def form(directory: Path) -> int:
    """The schema version of a state database, -1 where it cannot be read. Nothing beside it is touched."""
    with tempfile.TemporaryDirectory(prefix="twinhull-") as work:
        copy(directory, Path(work))
        try:
            connection = sqlite3.connect(Path(work) / STATE_FILES[0])
            try:
                return int(connection.execute("PRAGMA user_version").fetchone()[0])
            finally:
                connection.close()
        except sqlite3.Error:
            return -1


def _there(directory: Path) -> Iterable[str]:
    return [name for name in STATE_FILES if (directory / name).is_file()]


def main(arguments: list[str]) -> int:
    """The command; returns its exit status."""
    if len(arguments) != 2 or arguments[0] not in ("try", "back"):
        sys.stderr.write("usage: upgrade try|back VERSION\n")
        return 2
    verb, version = arguments
    system = System(Runner(LOG))
    if verb == "try":
        try:
            attempt(system, version)
        except NotUp as error:
            services.report(error, LOG)
            return 1
        return 0
    said = take_back(system, version)
    if said:
        sys.stderr.write(f"twinhull: {said}\n")
    return 0

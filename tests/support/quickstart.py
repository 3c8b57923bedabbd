"""The quickstart on a terminal of its own, so that a test sees each step begin and can interrupt it there."""

from __future__ import annotations

import os
import pty
import pwd
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from twinhull_installer import paths
from twinhull_installer.journal import OUR_PATHS
from twinhull_installer.testrun import MADE_BY_TESTS

from tests.support.laptop import REPOSITORY

BEGUN = re.compile(r"\[ *(\d+)/(\d+)\] ([^…]+) … \d")
"""A step's line counts its seconds from the moment it begins; one that had nothing to do shows none first."""
SHOWN = re.compile(r"\[ *(\d+)/(\d+)\] ([^…]+) … ")
LONGEST_RUN = 900.0
END_SECONDS = 60.0


@dataclass(frozen=True)
class Begun:
    """A step that has begun."""

    number: int
    total: int
    title: str


def claim() -> None:
    """Mark the laptop to be installed as the tests' own: what a run cut off leaves, the next removes."""
    paths.STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    (paths.STATE / MADE_BY_TESTS).touch(mode=0o600)


class Quickstart:
    """One run of ``installer/quickstart`` under way. On the way out of the block it is killed."""

    def __init__(self, *options: str) -> None:
        self.output = ""
        self._deadline = time.monotonic() + LONGEST_RUN
        if "--down" not in options:
            claim()
        self._screen, terminal = pty.openpty()
        try:
            self.process = subprocess.Popen(
                [REPOSITORY / "installer/quickstart", *options],
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )
        finally:
            os.close(terminal)

    def __enter__(self) -> Quickstart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._screen)

    def until_step(self, number: int) -> Begun | None:
        """Wait until this step or a later one has begun; None if the run ends without."""
        while True:
            for match in BEGUN.finditer(self.output):
                if int(match[1]) >= number:
                    return Begun(int(match[1]), int(match[2]), match[3])
            if not self._read(1.0):
                return None

    def go_on(self, begun: Begun, seconds: float) -> None:
        """Let a step go on for some seconds, or until it is over if that is sooner."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self._read(left) or f"{begun.title} … done" in self.output:
                return

    def titles(self) -> set[str]:
        """The steps it has shown."""
        return {match[3] for match in SHOWN.finditer(self.output)}

    def interrupt(self, number: signal.Signals) -> int:
        """Send a signal to the run, and to nothing else; returns its exit status."""
        os.kill(self.process.pid, number)
        return self.end(END_SECONDS)

    def end(self, seconds: float = LONGEST_RUN) -> int:
        """Wait for the end of the run; returns its exit status."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)
        while self._read(1.0):
            pass
        return self.process.wait(10)

    def _read(self, seconds: float) -> bool:
        """Take in what it has printed; False once it has ended and all of it is here."""
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"the quickstart takes too long:\n{self.output[-2000:]}")
        if not select.select([self._screen], [], [], min(seconds, 1.0))[0]:
            return self.process.poll() is None
        try:
            self.output += os.read(self._screen, 65536).decode(errors="replace")
        except OSError:  # EIO: nobody has the other end open any more (pty(7))
            return False
        return True


SYSTEM_DAEMONS = (
    "/usr/bin/dbus-daemon --system --nofork --nopidfile",
    "/usr/lib/polkit-1/polkitd --no-debug",
    "/usr/sbin/virtlogd",
    "/usr/sbin/libvirtd",
)
OUR_WORDS = (
    "/opt/twinhull/",
    "twinhull_installer.supervisor",
    "corporate_side",
    "th-wg0",
    "th-gw0",
    "guest=twinhull-",
)


def traces() -> set[str]:
    """Everything on this machine that a quickstart makes and ``--down`` has to remove again."""
    found = {str(path) for path in OUR_PATHS if path != paths.CACHE and os.path.lexists(path)}
    for directory in (paths.COMMANDS, paths.SYSTEMD_UNITS, Path("/run")):
        found |= {str(path) for path in directory.glob(".twinhull*")} if directory.is_dir() else set()
        found |= {str(path) for path in directory.glob("twinhull*")} if directory.is_dir() else set()
    found |= {str(path) for path in Path("/run/netns").glob("th-*")}
    found |= {
        f"user {account.pw_name}"
        for account in pwd.getpwall()
        if account.pw_name.startswith(("twinhull", "th-"))
    }
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            command = b" ".join(words).decode(errors="replace").strip()
            if command in SYSTEM_DAEMONS or any(word in command for word in OUR_WORDS):
                found.add(f"process {entry.name}: {command[:100]}")
    return found

"""Programs run to their end or left running in a namespace, and ended again by identity, not by name."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

SECONDS = 30.0
DEATH_SECONDS = 10.0
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class CommandError(Exception):
    """A program failed; the message says which and why."""


def run(argv: Sequence[str], *, input: str = "", check: bool = True) -> str:
    """Run a program to its end and return what it printed. Secrets go to ``input``. Raises CommandError."""
    try:
        completed = subprocess.run(  # noqa: S603 - a list, no shell
            list(argv), input=input, capture_output=True, text=True, timeout=SECONDS, env=ENVIRONMENT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{argv[0]}: {error}") from error
    if check and completed.returncode != 0:
        lines = (completed.stderr or completed.stdout).strip().splitlines()
        raise CommandError(f"{' '.join(argv[:4])}: {lines[-1] if lines else completed.returncode}")
    return completed.stdout


def inside(namespace: str, *argv: str) -> list[str]:
    """A command line that runs in a namespace."""
    return ["ip", "netns", "exec", namespace, *argv]


@dataclass(frozen=True)
class Process:
    """A process as it can be recognised later: pid and the moment it started (proc(5), stat field 22)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now. Raises ProcessLookupError."""
        return cls(pid, _started(pid))

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            return _started(self.pid) == self.started
        except ProcessLookupError:
            return False

    def end(self) -> None:
        """SIGTERM, then SIGKILL, and wait; nothing when it is gone already."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            for how in (signal.SIGTERM, signal.SIGKILL):
                if not self.alive():
                    return
                signal.pidfd_send_signal(pidfd, how)
                if select.select([pidfd], [], [], DEATH_SECONDS)[0]:
                    return
        except ProcessLookupError:
            return
        finally:
            os.close(pidfd)
        raise CommandError(f"process {self.pid} does not end")


class Ledger:
    """The processes we left running, by name, in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> Process | None:
        """The process of that name, if it still runs."""
        entry = self._read().get(name)
        process = None if entry is None else Process(entry[0], entry[1])
        return process if process is not None and process.alive() else None

    def put(self, name: str, process: Process) -> None:
        """Note a process."""
        self._write({**self._read(), name: (process.pid, process.started)})

    def end(self, name: str) -> None:
        """End it and forget it."""
        process = self.get(name)
        if process is not None:
            process.end()
        self._write({key: value for key, value in self._read().items() if key != name})

    def names(self) -> list[str]:
        """All that were noted."""
        return sorted(self._read())

    def _read(self) -> dict[str, tuple[int, int]]:
        try:
            return {
                name: (pid, started) for name, (pid, started) in json.loads(self._path.read_text()).items()
            }
        except FileNotFoundError:
            return {}

    def _write(self, entries: dict[str, tuple[int, int]]) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(entries))
        temporary.replace(self._path)


def leave_running(argv: Sequence[str], *, ready: bytes, log: Path) -> Process:
    """Start a program in a session of its own and return once it has printed ``ready`` on its first line.

    Its messages go to ``log``. Raises CommandError when it ends or says something else instead.
    """
    with log.open("ab") as messages:
        child = subprocess.Popen(  # noqa: S603 - a list, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            start_new_session=True,
            env=ENVIRONMENT,
        )
    with contextlib.closing(cast(IO[bytes], child.stdout)) as output:
        if not select.select([output], [], [], SECONDS)[0] or output.readline().strip() != ready:
            child.kill()
            child.wait()
            raise CommandError(f"{' '.join(argv)} did not start; see {log}")
    process = Process.of(child.pid)
    child.returncode = 0  # it is meant to outlive us: keep Popen from warning that it still runs
    return process


def _started(pid: int) -> int:
    try:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessLookupError(pid) from error
    if fields[0] in ("Z", "X"):  # ended, only not yet collected
        raise ProcessLookupError(pid)
    return int(fields[19])

"""Run one external program: argument list only, own process group, time limit, output to a log.

The group is ended when the caller is interrupted, so an aborted build leaves no child behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import ToolMissing

TICK_SECONDS = 0.5
GRACE_SECONDS = 10.0


class CommandFailed(Exception):
    """A program ended with a non-zero status or ran out of time; ``tail`` is the end of what it printed."""

    def __init__(self, program: str, status: int, tail: str) -> None:
        super().__init__(f"{program} ended with status {status}")
        self.program = program
        self.status = status
        self.tail = tail


def require(tools: Sequence[str]) -> None:
    """Raise ToolMissing unless every program is on PATH."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise ToolMissing(tool=tool)


def capture(argv: Sequence[str], timeout: float = 20.0) -> tuple[int, str]:
    """Run a short program and give its status and standard output; standard error is dropped."""
    require(argv[:1])
    done = subprocess.run(  # noqa: S603 - argument list, no shell, names fixed by the callers
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=timeout,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def run(
    argv: Sequence[str],
    log: Path,
    tick: Callable[[], None],
    timeout: float = 1800.0,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    stdin: str = "",
) -> None:
    """Run a program to its end.

    Args:
        argv: program and arguments.
        log: file its output is appended to.
        tick: called about twice a second while it runs.
        timeout: seconds after which it is ended and counted as failed.
        environment: variables set over the inherited ones.
        directory: working directory.
        stdin: what it reads.

    Raises:
        CommandFailed: it ended with another status than 0.
        ToolMissing: it is not installed.
    """
    require(argv[:1])
    with log.open("ab") as output, tempfile.TemporaryFile() as given:
        given.write(stdin.encode())
        given.seek(0)
        output.write(("$ " + " ".join(argv) + "\n").encode())
        output.flush()
        start = output.tell()
        process = subprocess.Popen(  # noqa: S603 - argument list, no shell, names fixed by the callers
            list(argv),
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            cwd=directory,
            start_new_session=True,
        )
        waited = 0.0
        try:
            while process.poll() is None:
                try:
                    process.wait(TICK_SECONDS)
                except subprocess.TimeoutExpired:
                    waited += TICK_SECONDS
                    tick()
                if waited >= timeout:
                    break
        finally:
            _end_group(process)
    if process.returncode != 0:
        with log.open("rb") as written:
            written.seek(start)
            tail = written.read()[-8192:].decode(errors="replace")
        raise CommandFailed(argv[0], process.returncode, tail)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started: politely first, so that it can unmount and clean up."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue

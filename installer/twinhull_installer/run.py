"""Every subprocess of the installer: argument lists, a time limit each, full output in the log."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from twinhull_installer.errors import CommandFailed, CommandTimedOut

SHORT = 60.0
"""Seconds for a command that only asks or sets something."""
LONG = 1800.0
"""Seconds for downloads, builds and boots under emulation."""

_CODE = re.compile(r"TH-[A-Z]{3}-[0-9]{3}")
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    output: str
    """Standard output, text."""
    errors: str = ""
    """Standard error, text."""


class Runner:
    """Runs commands and writes what they say to a log.

    Attributes:
        log: the file everything goes to; made with mode 0600 because apt and pip print addresses.
        held: descriptors that every command keeps open until it ends, see ``journal.exclusive``.
    """

    def __init__(self, log: Path, held: Sequence[int] = ()) -> None:
        self.log = log
        self.held = held

    def note(self, text: str) -> None:
        """Write one line of our own to the log."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        self._append(f"{stamp} {text}\n")

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        timeout: float = SHORT,
        check: bool = True,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        secret: bool = False,
        user: str | None = None,
    ) -> Result:
        """Run a command to its end.

        Args:
            arguments: program and arguments; no secrets.
            timeout: seconds.
            check: raise when it fails.
            cwd: directory to run in.
            environment: added to the inherited one.
            stdin: what it may read.
            secret: its output holds a secret, so keep it out of the log.
            user: run as this user with that user's groups.

        Raises:
            CommandFailed, CommandTimedOut.
        """
        command = [str(argument) for argument in arguments]
        shown = shlex.join([Path(command[0]).name, *command[1:4]])
        self.note("$ " + shlex.join(command))
        if user is not None:
            command = self._as_user(command, user, environment or {})
        try:
            done = subprocess.run(  # noqa: S603 - argument list, every program named by the installer itself
                command,
                cwd=cwd or "/",
                env=self.environment(environment),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                pass_fds=self.held,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandTimedOut(command=shlex.join(command[:3]), seconds=int(timeout)) from error
        except OSError as error:
            raise CommandFailed(command=command[0], detail=f": {error.strerror}") from error
        if not secret:
            self._append(done.stdout + done.stderr)
        if check and done.returncode != 0:
            raise CommandFailed(command=shown, detail=_last_line(done.stderr or done.stdout))
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, arguments: Sequence[str | Path], *, user: str, environment: Mapping[str, str]) -> None:
        """Start a program as a user and let it go on without us."""
        command = [str(argument) for argument in arguments]
        self.note("$ " + shlex.join(command) + " &")
        subprocess.Popen(  # noqa: S603 - as in run()
            self._as_user(command, user, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def stream(
        self,
        arguments: Sequence[str | Path],
        on_line: Callable[[str], None],
        *,
        timeout: float = LONG,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        held: bool = True,
    ) -> str:
        """Run a long command and hand over each line of output as it comes; returns the standard output.

        Args:
            arguments: program and arguments; no secrets.
            on_line: told each line, without its end.
            timeout: seconds.
            cwd: directory to run in.
            environment: added to the inherited one.
            held: False for a program that starts daemons, which must not hold what :attr:`held` says.

        Raises:
            CommandFailed, CommandTimedOut.
        """
        command = [str(argument) for argument in arguments]
        self.note("$ " + shlex.join(command))
        deadline = time.monotonic() + timeout
        lines: list[str] = []
        try:
            process = subprocess.Popen(  # noqa: S603 - as in run()
                command,
                cwd=cwd or "/",
                env=self.environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=self.held if held else (),
            )
        except OSError as error:
            raise CommandFailed(command=command[0], detail=f": {error.strerror}") from error
        with process:
            if process.stdout is None:
                raise CommandFailed(command=command[0], detail=": no output")
            try:
                for line in process.stdout:
                    self._append(line)
                    lines.append(line)
                    on_line(line.strip())
                    if time.monotonic() > deadline:
                        raise CommandTimedOut(command=shlex.join(command[:3]), seconds=int(timeout))
            except BaseException:
                process.terminate()
                raise
            status = process.wait(timeout=SHORT)
        output = "".join(lines)
        if status != 0:
            raise CommandFailed(command=shlex.join(command[:4]), detail=_last_line(output))
        return output

    def environment(self, added: Mapping[str, str] | None = None) -> dict[str, str]:
        """The caller's environment with a fixed PATH and nothing that redirects Python."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return {**kept, "PATH": BASE_PATH, "LC_ALL": "C.UTF-8", **(added or {})}

    @staticmethod
    def _as_user(command: list[str], user: str, environment: Mapping[str, str]) -> list[str]:
        account = pwd.getpwnam(user)
        become = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", "--reset-env"]
        assignments = [f"{key}={value}" for key, value in environment.items()]
        return [
            "setpriv",
            *become,
            "--",
            "env",
            f"PATH={BASE_PATH}",
            "LC_ALL=C.UTF-8",
            *assignments,
            *command,
        ]

    def _append(self, text: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
            file.write(text)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # Our own programs say what happened, then the code, then what to do: the sentence is what belongs here.
    for sentence, code in pairwise(lines):
        if _CODE.fullmatch(code):
            return f": {sentence[:200].rstrip('.')} ({code})"
    return f": {lines[-1][:200]}" if lines else ""

"""The one module of the host side that starts other programs.

Argument lists only, never a shell; a time limit on every run; an environment made here and not inherited; no
descriptor inherited but those named. Secrets go to a program's standard input, never into its arguments.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinhull_policy.errors import Blame, TwinhullError

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/",
}
"""What every program gets. C.UTF-8 so that messages parse the same everywhere."""


class ProgramMissing(TwinhullError):
    """The program {program} is not installed."""

    code = "TH-RUN-001"
    blame = Blame.FAILED
    next_step = "Install Twinhull's system packages: run installer/quickstart again."


class ProgramFailed(TwinhullError):
    """{program} failed with status {status}: {reason}"""

    code = "TH-RUN-002"
    blame = Blame.FAILED
    next_step = "Run 'twinhull doctor' to see what needs attention."

    @property
    def status(self) -> int:
        """The exit status; negative for the signal that ended it."""
        value = self.fields["status"]
        return value if isinstance(value, int) else 1


class ProgramTimedOut(TwinhullError):
    """{program} did not finish within {seconds} seconds."""

    code = "TH-RUN-003"
    blame = Blame.FAILED
    next_step = "Try again; if it happens again run 'twinhull doctor'."


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended: its exit status and all it wrote."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode(errors="replace")


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    input: bytes | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program to its end.

    The program leads a session of its own, so on a timeout it is killed together with its children.

    Args:
        argv: program and arguments; a program without a slash is looked up in ENVIRONMENT's PATH.
        timeout: seconds it may take, above 0.
        input: what it reads from standard input; None for /dev/null.
        pass_fds: descriptors it inherits under the same numbers.
        check: raise ProgramFailed for a status other than 0.
        env: additions to ENVIRONMENT; never a secret.

    Raises:
        ProgramMissing: there is no such program.
        ProgramFailed: it ended with another status than 0 (only with ``check``).
        ProgramTimedOut: it was killed after ``timeout``.
    """
    words = [os.fspath(word) for word in argv]
    program = Path(words[0]).name
    environment = {**ENVIRONMENT, **(env or {})}
    try:
        process = subprocess.Popen(  # noqa: S603 - the one place; a list, and no shell
            words,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(pass_fds),
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ProgramMissing(program=program) from error
    with process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ProgramTimedOut(program=program, seconds=timeout) from error
    completed = Completed(process.returncode, stdout, stderr)
    if check and completed.status != 0:
        raise ProgramFailed(program=program, status=completed.status, reason=last_line(stderr or stdout))
    return completed


def last_line(untrusted_output: bytes) -> str:
    """The last line with anything on it: where programs put the reason they failed."""
    lines = [line.strip() for line in untrusted_output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"

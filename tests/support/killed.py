"""A process that is killed at a chosen step of its work on a directory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path

STEPS = {"open", "os.rename", "os.remove", "os.truncate", "os.chmod", "subprocess.Popen"}
"""Audit events (PEP 578) of what changes a file; between two of them nothing does."""


def killed_before(
    number: int, directory: Path, work: Callable[[], object], steps: Collection[str] = STEPS
) -> str | None:
    """Do ``work`` in a process that is killed before its ``number``-th step in ``directory``.

    Returns:
        The step, or None when the work was done before that many.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def step(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            if event not in steps or str(directory) not in repr(arguments):
                return
            if event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR):
                return
            if count == number:
                os.write(tell, f"{event} {arguments[0]}".encode())
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

        sys.addaudithook(step)
        try:
            work()
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        where = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert (os.WIFSIGNALED(status), where != "") in ((True, True), (False, False))
    return where or None

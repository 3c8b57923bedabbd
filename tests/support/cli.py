"""Running the command line as a person does: a process of its own, with its standard streams."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; from twinhull_client.cli.main import main; sys.exit(main())"
NO_BUS = "unix:path=/nonexistent/bus"
LIMIT = 60


def twinhull(*arguments: str, stdin: str = "", bus: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``twinhull`` to its end; ``bus`` replaces the address of the system bus that is set."""
    environment = _environment()
    if bus is not None:
        environment["DBUS_SYSTEM_BUS_ADDRESS"] = bus
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=environment,
        check=False,
    )


def at_a_terminal(*arguments: str, typed: str) -> tuple[int, str]:
    """Run ``twinhull`` before a terminal on which an answer is typed: its exit status, what it printed."""
    near, far = os.openpty()
    environment = _environment()
    try:
        os.write(near, typed.encode())
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=far,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=environment,
            check=False,
        )
    finally:
        os.close(near)
        os.close(far)
    return done.returncode, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "client"), str(ROOT / "policy")))}


def command_paths() -> dict[tuple[str, ...], list[str]]:
    """Every command there is, such as ``("vpn", "prove")``, with its option names; from the real tree."""
    from twinhull_client.cli.main import app

    def walk(command: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield path, [name for parameter in getattr(command, "params", []) for name in parameter.opts]
            return
        for name, child in children.items():
            yield from walk(child, (*path, name))

    return dict(walk(get_command(app), ()))

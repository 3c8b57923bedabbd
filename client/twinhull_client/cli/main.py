"""The entry point ``twinhull``: the command tree, and the guard that makes every failure an exit status."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from twinhull_policy.errors import TwinhullError

from twinhull_client.cli import device, disk, output, partition, policy, vpn
from twinhull_client.cli.doctor import doctor
from twinhull_client.cli.enroll import enroll
from twinhull_client.cli.group import PLAIN, command_group
from twinhull_client.cli.gui import gui
from twinhull_client.cli.log import log
from twinhull_client.cli.status import status
from twinhull_client.errors import BadUsage, Interrupted, Unexpected

PASS_THROUGH = {**PLAIN, "ignore_unknown_options": True, "allow_interspersed_args": False}

INTERRUPTED = 130
"""What typer makes of Ctrl-C, silently; no command of ours ends with it."""

app = command_group("One laptop, two computers: a corporate one and a private one.")
for command in (enroll, status, doctor, log):
    app.command()(command)
app.command(context_settings=PASS_THROUGH)(gui)
for name, group in (
    ("partition", partition.app),
    ("device", device.app),
    ("policy", policy.app),
    ("vpn", vpn.app),
    ("disk", disk.app),
):
    app.add_typer(group, name=name)


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Write the details of an unforeseen error to a log file.")
    ] = False,
) -> None:
    """One laptop, two computers: a corporate one and a private one."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; ``arguments`` without the program's name, by default the process's own.

    Returns the exit status of design.md section 9. No exception leaves it.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        result = app(given or ["--help"], prog_name="twinhull", standalone_mode=False)
        if result == INTERRUPTED:
            raise Interrupted
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has stopped, as 'head' does (rich says so with SystemExit); point stdout
        # elsewhere so that exit is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        told = _translated(error)
        output.show_error(told, as_json="--json" in given)
        if isinstance(told, Unexpected) and "--debug" in given:
            _write_details(error)
        return told.report().blame
    return result if isinstance(result, int) else 0


def _translated(error: BaseException) -> TwinhullError:
    match error:
        case TwinhullError():
            return error
        case typer.TyperException():
            return BadUsage(detail=error.format_message() or "A command is missing.")
        case KeyboardInterrupt() | typer.Abort() | EOFError():
            return Interrupted()
        case _:
            return Unexpected(kind=type(error).__name__)


def _write_details(error: BaseException) -> None:
    import traceback

    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    path = state / "twinhull" / "cli.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
            traceback.print_exception(error, file=file)
    except OSError as failure:
        typer.echo(f"The details could not be written: {failure.strerror}.", err=True)
    else:
        typer.echo(f"The details are in {path}.", err=True)

"""``twinhull doctor``: what the host's isolation is worth and how to raise it; a bundle for whoever helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Write what helps to find a fault into a text file."),
    ] = None,
    json: output.Json = False,
) -> None:
    """Check the host now and show its isolation grade, with a reason and a fix per check."""
    if bundle is not None:
        _write_bundle(bundle, json=json)
        return
    grade = call(lambda daemon: daemon.grade(), "Checking this computer")
    if json:
        output.emit(grade)
        return
    output.say(f"Isolation grade: {grade.grade}")
    for check in sorted(grade.checks, key=lambda check: check.passed):
        verdict = "ok" if check.passed else f"at most {check.caps_at}"
        output.fields(
            f"[{verdict}] {check.name}",
            [("reason", check.reason), ("fix", "" if check.passed else check.fix)],
        )


def _write_bundle(path: Path, *, json: bool) -> None:
    """Write the bundle, also when the daemon is away: then most of all."""
    from twinhull_client.cli import bundle
    from twinhull_client.cli.files import created

    with created(path) as file, output.busy("Gathering what helps"):
        file.write(bundle.bundle(bundle.ask(), bundle.run_program))
    if json:
        output.emit({"bundle": str(path)})
    else:
        output.say(f"{path} is written. Read it before you send it to anybody; it is plain text.")

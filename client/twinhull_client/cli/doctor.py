"""``twinhull doctor``: what needs attention and what puts it right; a bundle for whoever helps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call
from twinhull_client.errors import BadUsage, DaemonUnreachable

if TYPE_CHECKING:
    from twinhull_policy.api.types import Finding, Grade, Status

    from twinhull_client.bus import Daemon


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Write what helps to find a fault into a text file."),
    ] = None,
    recover_state: Annotated[
        bool,
        typer.Option(
            "--recover-state", help="In safe mode: keep the damaged state aside and make a new one."
        ),
    ] = False,
    json: output.Json = False,
) -> None:
    """Check this computer now: isolation grade, what needs attention, a reason and a fix for each."""
    if recover_state:
        if bundle is not None:
            raise BadUsage(detail="Write the bundle first, then recover: the bundle tells what was wrong.")
        _recover_state(json=json)
        return
    if bundle is not None:
        _write_bundle(bundle, json=json)
        return
    from twinhull_policy.api.types import Diagnosis

    from twinhull_client.cli import attention

    found = attention.of_this_computer(attention.free_bytes, attention.failed_units)
    try:
        status, grade = call(_asked, "Checking this computer")
    except DaemonUnreachable:
        if not json:
            _show(found)
        raise
    found += attention.from_status(status, time.time())
    if json:
        output.emit(Diagnosis(grade=grade.grade, checks=grade.checks, findings=found))
        return
    output.say(f"Isolation grade: {grade.grade}")
    for check in sorted(grade.checks, key=lambda check: check.passed):
        verdict = "ok" if check.passed else f"at most {check.caps_at}"
        output.fields(
            f"[{verdict}] {check.name}",
            [("reason", check.reason), ("fix", "" if check.passed else check.fix)],
        )
    _show(found)


async def _asked(daemon: Daemon) -> tuple[Status, Grade]:
    return await daemon.status(), await daemon.grade()


def _show(found: list[Finding]) -> None:
    for finding in found:
        output.fields(f"[attention] {finding.name}", [("reason", finding.problem), ("fix", finding.fix)])


def _recover_state(*, json: bool) -> None:
    done = call(lambda daemon: daemon.recover_state(), "Recovering the state")
    if json:
        output.emit(done)
        return
    output.say(
        f"Twinhull's state is new; the damaged database is kept as {done.kept}."
        if done.kept
        else "The state database is in order again; nothing was changed."
    )
    if done.source == "volumes":
        output.say(
            "What the server said is lost. Enrol again ('twinhull enroll URL'); both disks are as they were."
        )
    output.say("The service starts anew now; 'twinhull status' shows it.")


def _write_bundle(path: Path, *, json: bool) -> None:
    """Write the bundle, also when the daemon is away: then most of all."""
    from twinhull_policy.api.types import Status

    from twinhull_client.cli import attention, bundle
    from twinhull_client.cli.files import created

    with created(path) as file, output.busy("Gathering what helps"):
        told = bundle.ask()
        found = attention.of_this_computer(attention.free_bytes, attention.failed_units)
        if isinstance(told.status, Status):
            found += attention.from_status(told.status, time.time())
        file.write(bundle.bundle(told, bundle.run_program, found))
    if json:
        output.emit({"bundle": str(path)})
    else:
        output.say(f"{path} is written. Read it before you send it to anybody; it is plain text.")

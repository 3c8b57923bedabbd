"""``twinhull doctor``: what the host's isolation is worth, and how to raise it."""

from __future__ import annotations

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call


def doctor(json: output.Json = False) -> None:
    """Check the host now and show its isolation grade, with a reason and a fix per check."""
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

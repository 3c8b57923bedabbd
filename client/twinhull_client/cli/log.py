"""``twinhull log``: what the laptop received, reported, decided and did."""

from __future__ import annotations

from typing import Annotated

import typer

from twinhull_client.cli import output
from twinhull_client.cli.daemon import call


def log(
    sent: Annotated[
        bool, typer.Option("--sent", help="Only what was reported to the employer, to the byte.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest entries to read.")] = 50,
    json: output.Json = False,
) -> None:
    """Show the owner's log, newest last."""
    import msgspec

    entries = call(lambda daemon: daemon.log(limit))
    if sent:
        reported = [entry for entry in entries.entries if entry.kind == "reported"]
        entries = msgspec.structs.replace(entries, entries=reported)
    if json:
        output.emit(entries)
        return
    if not entries.entries:
        output.say("Nothing was reported yet." if sent else "The log is empty.")
    for entry in entries.entries:
        output.say(f"{output.when(entry.at)}  {entry.kind:<8}  {entry.text}")
        if sent:
            output.document(entry.body)

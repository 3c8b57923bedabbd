"""How the command line prints: tables for people, ``--json`` for scripts, errors as one sentence."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twinhull_policy.errors import TwinhullError, printable


def say(text: str) -> None:
    """A line for a person, on stderr, so that stdout holds results alone."""
    sys.stderr.write(f"{text}\n")


def result(text: str) -> None:
    """A result on stdout."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def as_json(value: object) -> None:
    """A result on stdout, as JSON."""
    result(msgspec.json.format(msgspec.json.encode(value)).decode())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows in aligned columns, with a heading; times as UTC."""
    cells = [[column.replace("_", " ") for column in columns]]
    cells += [[_cell(column, row[column]) for column in columns] for row in rows]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    for line in cells:
        result("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def fail(error: TwinhullError) -> int:
    """Print an error and return the exit status it asks for."""
    report = error.report()
    say(f"twinhull-server: {report.code}: {report.message}\n{report.next_step}")
    return report.blame


def _cell(column: str, value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float) and (column.endswith("_at") or column in {"at", "last_seen"}):
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(value))
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return printable(str(value), 80)

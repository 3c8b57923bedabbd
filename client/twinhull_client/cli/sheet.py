"""A recovery code as a person keeps it: shown once, on paper by choice, and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Protocol

from twinhull_client.cli import output
from twinhull_client.cli.files import created

COLUMNS = 2


class Show(Protocol):
    """Shows a code."""

    def __call__(self, partition: str, code: str, *, as_json: bool) -> None:
        """Once."""


@contextmanager
def prepared(path: Path | None) -> Iterator[Show]:
    """Where the code will go, opened before there is one: a code that cannot be shown is not made.

    Raises:
        FileNotWritable: there is such a file already, or it cannot be made.
    """
    with nullcontext() if path is None else created(path) as file:
        yield _show_in(file, path)


def _show_in(file: IO[str] | None, path: Path | None) -> Show:
    def show(partition: str, code: str, *, as_json: bool) -> None:
        if file is not None and path is not None:
            file.write(sheet(partition, code))
            file.flush()
            os.fsync(file.fileno())
        if as_json:
            output.emit({"partition": partition} | ({} if file else {"recovery_code": code}))
        elif file:
            output.say(f"The recovery code of {partition} is in {path}. Print it, then delete the file.")
        else:
            output.document(sheet(partition, code))

    return show


def sheet(partition: str, code: str) -> str:
    """The page to print: the words numbered, and what they are for."""
    words = code.split()
    rows = -(-len(words) // COLUMNS)
    table = [
        "   ".join(f"{place + 1:>4}. {words[place]:<10}" for place in range(row, len(words), rows)).rstrip()
        for row in range(rows)
    ]
    return "\n".join(
        [
            f"Recovery code of the {partition} partition, made on {time.strftime('%Y-%m-%d')}",
            "",
            *table,
            "",
            "It opens the partition's disk if the passphrase is forgotten:",
            f"    twinhull disk recover {partition}",
            "Keep it on paper, away from the laptop. It is not shown again and is kept nowhere else;",
            "the next code, or using this one, makes it void.",
            "",
        ]
    )

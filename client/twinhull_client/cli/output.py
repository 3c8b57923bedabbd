"""Everything the command line shows: text for people, JSON for scripts, errors, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from twinhull_policy.errors import TwinhullError, printable

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
CELL_LIMIT = 4096


def emit(value: object) -> None:
    """Print a struct of ``twinhull_policy.api.types``, or plain data, as one line of JSON."""
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())


def say(text: str = "") -> None:
    """Print one line for a person, with nothing in it that could steer a terminal."""
    typer.echo(printable(text, CELL_LIMIT))


def warn(text: str) -> None:
    """Print one line on stderr, for what a person may want to know while the command goes on."""
    typer.echo(printable(text, CELL_LIMIT), err=True)


def document(text: str) -> None:
    """Print text of several lines; each is cleaned as ``say`` does."""
    for line in text.splitlines():
        say(line)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, plain aligned columns anywhere else."""
    cleaned = [[printable(cell, CELL_LIMIT) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*headings, box=box.SIMPLE_HEAD)
        for row in cleaned:
            drawn.add_row(*(Text(cell) for cell in row))
        Console().print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(headings, *cleaned, strict=True)]
    for row in [list(headings), *cleaned]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def fields(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """Print a titled block of names and values; pairs with an empty value are left out."""
    say(title)
    shown = [(f"{name}:", value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        say(f"  {name:<{width}} {value}")


def when(epoch: float) -> str:
    """A time (seconds since the epoch) in the person's own time zone; empty for 0, which means never."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(epoch)) if epoch else ""


def ago(epoch: float) -> str:
    """How long ago a time was, in words; "never" for 0."""
    if not epoch:
        return "never"
    seconds = max(0, int(time.time() - epoch))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def size(count: int) -> str:
    """A number of bytes, in the unit that reads best (powers of 1024)."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


@contextmanager
def busy(doing: str) -> Iterator[None]:
    """Show that long work goes on, with the time it has taken, if there is a terminal to show it on."""
    if not doing or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(doing)
        yield


def show_error(error: TwinhullError, *, as_json: bool) -> None:
    """Print an error on stderr: sentence, code and next step, or its report as one line of JSON."""
    report = error.report()
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(report).decode(), err=True)
        return
    for line in (report.message, report.code, report.next_step):
        typer.echo(printable(line), err=True)

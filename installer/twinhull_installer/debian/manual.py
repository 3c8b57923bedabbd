"""Manual pages in man(7)'s macros, from a program's commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinhull_installer.debian.words import Argument, Command, Option

SUMMARY = {
    "twinhull": "one laptop, two computers: a corporate one and a private one",
    "twinhull-fetch": "the only program of a Twinhull laptop that talks to the fleet server",
    "twinhull-server": "Twinhull's fleet server",
}
STATUS = (
    ("0", "Done."),
    (
        "1",
        "Refused or failed: standard error says why in one sentence, with a stable code and the next step.",
    ),
    ("2", "Bad usage, or input that is malformed."),
    ("3", "The daemon or the server cannot be reached."),
    ("4", "Denied by policy."),
)
"""Exit statuses that every command has; scripts rely on them (docs/architecture.md)."""
FILES = {
    "twinhull": (("/var/lib/twinhull", "Disks, keys and state of the partitions."),),
    "twinhull-fetch": (("/var/lib/twinhull-fetch", "What was fetched, and this laptop's certificate."),),
    "twinhull-server": (("/var/lib/twinhull-server", "The fleet's database, signing keys and images."),),
}
ALSO = {
    "twinhull": "twinhull-fetch(1)",
    "twinhull-fetch": "twinhull(1)",
    "twinhull-server": "twinhull(1)",
}


def page(program: str, commands: Sequence[Command], version: str, when: int) -> str:
    """The page of one program.

    Args:
        program: its name.
        commands: the program itself first, as twinhull_installer.debian.words reads them.
        version: shown at the foot.
        when: seconds since 1970, for the date at the foot.
    """
    day = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")
    top, *below = commands
    lines = [
        f'.TH {program.upper()} 1 "{day}" "Twinhull {version}" "Twinhull"',
        ".SH NAME",
        f"{escape(program)} \\- {escape(SUMMARY[program])}",
        ".SH SYNOPSIS",
        *_usage(program, top),
        ".SH DESCRIPTION",
        *_paragraphs(top.text),
        *_parameters(top.arguments, top.options),
    ]
    if below:
        lines.append(".SH COMMANDS")
    for command in below:
        if command.group:
            continue
        lines += [f".SS {escape(' '.join(command.path))}", *_usage(program, command), ".PP"]
        lines += [*_paragraphs(command.text), *_parameters(command.arguments, command.options)]
    lines.append(".SH EXIT STATUS")
    for status, meaning in STATUS:
        lines += [".TP", f".B {status}", escape(meaning)]
    lines.append(".SH FILES")
    for path, what in FILES[program]:
        lines += [".TP", f".I {escape(path)}", escape(what)]
    lines += [".SH SEE ALSO", f"{escape(ALSO[program])}, the documents in /opt/twinhull/lib/docs"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """A text as roff prints it unchanged (groff(7), "Escape sequences"); no line is taken for a request."""
    plain = " ".join(text.replace("``", "").split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain


def _usage(program: str, command: Command) -> Iterator[str]:
    words = [f"\\fB{escape(' '.join((program, *command.path)))}\\fR"]
    words += ["[\\fIoptions\\fR]"] if command.options else []
    words += [f"\\fI{escape(argument.name)}\\fR" for argument in command.arguments]
    words += ["\\fIcommand\\fR ..."] if command.group else []
    yield " ".join(words)


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(part for part in text.split("\n\n") if part.strip()):
        if number:
            yield ".PP"
        yield escape(paragraph)


def _parameters(arguments: Sequence[Argument], options: Sequence[Option]) -> Iterator[str]:
    for argument in arguments:
        if argument.text:
            yield from (".TP", f"\\fI{escape(argument.name)}\\fR", escape(argument.text))
    for option in options:
        names = ", ".join(f"\\fB{escape(name)}\\fR" for name in option.names)
        value = f" \\fI{escape(option.value)}\\fR" if option.value else ""
        yield from (".TP", names + value, escape(option.text) or "\\&")

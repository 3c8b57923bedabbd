"""A program's commands, arguments and options as plain data, read from typer's tree or an argparse parser.

Run as a program it writes the manual page and the completions of one of ours:
``python -m twinhull_installer.debian.words PROGRAM DIRECTORY VERSION SECONDS``. It needs that program's
libraries, which the installer itself does without.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from twinhull_installer.debian import completions, manual


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        names: as they are typed.
        value: what it takes, in capitals or as ``a|b``; empty for a switch.
        choices: the values that it may have, if that is a closed set.
        text: what it does.
    """

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Argument:
    """One argument.

    Attributes:
        name: in capitals or as ``a|b``, in brackets where it may be left out.
        choices: as in Option.
        text: what it is, may be empty.
    """

    name: str
    choices: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        path: its words after the program's name; empty for the program itself.
        text: what it does; paragraphs separated by an empty line.
        group: whether it only has commands below it.
    """

    path: tuple[str, ...]
    text: str
    group: bool
    arguments: tuple[Argument, ...]
    options: tuple[Option, ...]


TYPER = {
    "twinhull": "twinhull_client.cli.main",
    "twinhull-server": "twinhull_policy.server.cli",
}
ARGPARSE = {"twinhull-fetch": "twinhull_hypervisor.fetch.main"}
KINDS = {Path: "PATH", int: "N", float: "N"}
"""What an option takes, where it does not say so itself."""
_HELP = frozenset({"--help", "--install-completion", "--show-completion"})
"""On every command, or not ours."""


def of_typer(app: Any) -> list[Command]:
    """The commands of a typer application, the program itself first."""
    from typer.main import get_command

    return list(_walk(get_command(app), ()))


def of_argparse(parser: argparse.ArgumentParser) -> list[Command]:
    """The commands of an argparse parser with or without subcommands, the program itself first."""
    found = [_parsed(parser, (), parser.description or "")]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [_parsed(child, (name,), texts[name]) for name, child in action.choices.items()]
    return found


def commands(program: str) -> list[Command]:
    """The commands of one of our programs."""
    if program in TYPER:
        return of_typer(importlib.import_module(TYPER[program]).app)
    return of_argparse(importlib.import_module(ARGPARSE[program]).parser())


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[Command]:
    # Duck typing: typer's classes of commands have no public name.
    options, arguments = [], []
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or _HELP.intersection(parameter.opts):
            continue
        kind = parameter.type_descriptor.annotation
        closed = isinstance(kind, type) and issubclass(kind, Enum)
        choices = tuple(str(choice.value) for choice in kind) if closed else ()
        value = str(parameter.metavar or "|".join(choices) or KINDS.get(kind, "VALUE"))
        text = str(getattr(parameter, "help", None) or "")
        if parameter.param_type_name == "option":
            names = (*parameter.opts, *parameter.secondary_opts)
            options.append(Option(names, "" if parameter.is_flag else value, choices, text))
        else:
            name = str(parameter.metavar or "|".join(choices) or parameter.name.upper().replace("_", "-"))
            name += "..." if parameter.nargs == -1 else ""
            arguments.append(Argument(name if parameter.required else f"[{name}]", choices, text))
    children = getattr(command, "commands", {})
    text = (command.help or "").replace("\f", "")
    yield Command(path, text, bool(children), tuple(arguments), tuple(options))
    for name, child in children.items():
        if not child.hidden:
            yield from _walk(child, (*path, name))


def _parsed(parser: argparse.ArgumentParser, path: tuple[str, ...], text: str) -> Command:
    options, arguments, group = [], [], False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            group = True
        elif action.option_strings and not isinstance(action, argparse._HelpAction):
            named = action.metavar if isinstance(action.metavar, str) else action.dest
            value = "" if action.nargs == 0 else named.upper().replace("_", "-")
            options.append(Option(tuple(action.option_strings), value, (), action.help or ""))
        elif not action.option_strings:
            arguments.append(Argument(action.dest.upper(), (), action.help or ""))
    return Command(path, text, group, tuple(arguments), tuple(options))


def main(words: list[str]) -> int:
    """Write ``PROGRAM.1``, ``PROGRAM.bash``, ``_PROGRAM`` and ``PROGRAM.fish`` into a directory."""
    program, directory, version, seconds = words
    every = commands(program)
    out = Path(directory)
    (out / f"{program}.1").write_text(manual.page(program, every, version, int(seconds)), "utf-8")
    (out / f"{program}.bash").write_text(completions.bash(program, every), "utf-8")
    (out / f"_{program}").write_text(completions.zsh(program, every), "utf-8")
    (out / f"{program}.fish").write_text(completions.fish(program, every), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

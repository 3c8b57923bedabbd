"""How every group of commands is made, so that all of them behave alike."""

from __future__ import annotations

import typer

PLAIN = {"help_option_names": ["-h", "--help"]}


def command_group(description: str) -> typer.Typer:
    """A group without completion, colours in its help, or a traceback printer."""
    return typer.Typer(
        help=description,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=PLAIN,
    )

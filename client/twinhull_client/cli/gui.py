"""``twinhull gui``: the desktop app."""

from __future__ import annotations

from typing import Annotated

import typer

from twinhull_client.errors import PartNotInstalled


def gui(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Passed to the desktop app as they are.")
    ] = None,
) -> None:
    """Open the desktop app."""
    try:
        from twinhull_client.gui.main import main
    except ImportError as error:
        raise PartNotInstalled(part="The desktop app", reason=f"{error.name} is missing") from error
    raise typer.Exit(main(arguments or []))

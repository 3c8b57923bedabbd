"""How a command reaches the daemon; imports the bus only when one does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from twinhull_client.cli.output import busy

if TYPE_CHECKING:
    from twinhull_client.bus import Daemon

T = TypeVar("T")


def call(operation: Callable[[Daemon], Awaitable[T]], doing: str = "") -> T:
    """Run an operation on the daemon; ``doing`` is shown while it lasts. Raises TwinhullError only."""
    from twinhull_client import bus

    with busy(doing):
        return bus.run(operation)

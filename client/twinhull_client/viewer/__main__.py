"""``python3 -m twinhull_client.viewer``: standard input is the socket to the desktop app."""

from __future__ import annotations

import resource
import socket

from gi.repository import GLib  # type: ignore[import-not-found]

from twinhull_client.viewer.spice import SpiceScreen
from twinhull_client.viewer.syscalls import confine

MEMORY_LIMIT = 1024 * 1024 * 1024
"""Most memory of its own, bytes (setrlimit(2), RLIMIT_DATA): several times the largest screen with what SPICE
keeps for it. A guest that announces more ends its own viewer, and nobody else's."""


def main() -> None:
    """Show one partition's screen until the app or the screen goes away."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    connection = socket.socket(fileno=0)
    loop = GLib.MainLoop()
    screen = SpiceScreen(connection, loop)
    confine()  # everything is loaded, and no byte of the guest's has come yet
    screen.start()
    loop.run()
    screen.close()


if __name__ == "__main__":
    main()

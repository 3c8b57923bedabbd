"""``python3 -m twinhull_client.viewer``: standard input is the socket to the desktop app."""

from __future__ import annotations

import socket

from gi.repository import GLib  # type: ignore[import-not-found]

from twinhull_client.viewer.spice import SpiceScreen
from twinhull_client.viewer.syscalls import confine


def main() -> None:
    """Show one partition's screen until the app or the screen goes away."""
    connection = socket.socket(fileno=0)
    loop = GLib.MainLoop()
    screen = SpiceScreen(connection, loop)
    confine()  # everything is loaded, and no byte of the guest's has come yet
    screen.start()
    loop.run()
    screen.close()


if __name__ == "__main__":
    main()

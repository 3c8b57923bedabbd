"""Starts a viewer with nothing to lose: bubblewrap, an empty world, one socket."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import twinhull_client.viewer

PYTHON = "/usr/bin/python3"
"""The system's Python, because GObject introspection comes from there."""
BWRAP = "/usr/bin/bwrap"
_VIEWER = Path(twinhull_client.viewer.__file__).parent


def command() -> list[str]:
    """The argument list that runs a viewer in its sandbox (bwrap(1))."""
    inside = "/app/twinhull_client"
    return [
        BWRAP,
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--clearenv",
        *("--setenv", "HOME", "/tmp"),  # noqa: S108 - inside the sandbox, an empty tmpfs
        *("--setenv", "GST_REGISTRY_FORK", "no"),
        *("--ro-bind", "/usr", "/usr"),
        *("--symlink", "usr/lib", "/lib"),
        *("--symlink", "usr/lib64", "/lib64"),
        *("--proc", "/proc"),
        *("--dev", "/dev"),
        *("--tmpfs", "/tmp"),  # noqa: S108 - inside the sandbox
        *("--ro-bind", str(_VIEWER.parent / "__init__.py"), f"{inside}/__init__.py"),
        *("--ro-bind", str(_VIEWER), f"{inside}/viewer"),
        *("--remount-ro", "/"),
        *("--chdir", "/app"),
        *("--hostname", "viewer"),
        "--",
        *(PYTHON, "-B", "-E", "-s", "-m", "twinhull_client.viewer"),
    ]


def start_viewer(viewer_end: socket.socket, argv: list[str] | None = None) -> subprocess.Popen[bytes]:
    """Start a viewer whose standard input is ``viewer_end``; the caller closes its copy and reaps.

    ``argv`` is for tests that play a hostile viewer. It has no time limit: it lives as long as the screen is
    shown, and ends when the app closes its end or dies.
    """
    return subprocess.Popen(  # noqa: S603 - fixed argument list
        argv or command(),
        stdin=viewer_end.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=True,
        start_new_session=True,
    )

"""Fixtures of the desktop app's tests; Qt draws off screen."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from pytestqt.qtbot import QtBot
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.immortal import keep_singletons
from twinhull_client.gui.window import MainWindow

from tests.gui.exchange_guests import guests, peers, shown
from tests.support.standin_daemon import StandInDaemon

__all__ = ["guests", "peers", "shown"]

keep_singletons()
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# the platform plugin's own remark, made for every window
os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
# whoever sits before this machine is not to be notified
os.environ["DBUS_SESSION_BUS_ADDRESS"] = "disabled:"
# nor is their own app to be brought to the front
os.environ.pop("XDG_RUNTIME_DIR", None)
QEMU = "/usr/bin/qemu-system-x86_64"

OpenWindow = Callable[[], MainWindow]


@pytest.fixture
def open_window(qtbot: QtBot, tmp_path: Path) -> Iterator[OpenWindow]:
    """Makes shown windows that talk to the bus of the ``standin`` fixture."""
    windows: list[MainWindow] = []

    def make() -> MainWindow:
        settings = QSettings(str(tmp_path / "layout.ini"), QSettings.Format.IniFormat)
        window = MainWindow(DaemonClient(), settings, "light")
        windows.append(window)
        window.show()
        window.client.start()
        return window

    yield make
    for window in windows:
        window.close()
        window.deleteLater()


@pytest.fixture
def window(standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot) -> MainWindow:
    """A window that has shown its first status."""
    made = open_window()
    qtbot.waitUntil(lambda: made.status is not None, timeout=20000)
    return made


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Two real machines that show their firmware: sockets of their SPICE servers by partition."""
    sockets: dict[str, Path] = {}
    processes = []
    for name in ("corporate", "personal"):
        sockets[name] = tmp_path / f"{name}.spice"
        processes.append(
            subprocess.Popen(
                [
                    QEMU,
                    "-accel",
                    "tcg",
                    "-m",
                    "64",
                    "-nodefaults",
                    "-device",
                    "virtio-vga",
                    "-display",
                    "none",
                    "-device",
                    "virtio-keyboard-pci",
                    "-device",
                    "virtio-tablet-pci",
                    "-spice",
                    f"unix=on,addr={sockets[name]},disable-ticketing=on",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    yield sockets
    for process in processes:
        process.kill()
        process.wait(10)


def connect(path: Path) -> int:
    """One SPICE connection."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection.detach()

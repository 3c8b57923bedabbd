"""One window of the desktop app, led through its views before a camera."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
from PySide6.QtCore import QDeadlineTimer, QEventLoop, QSettings
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import Status
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical

from tests.support.demonstration import demonstration_status
from tests.support.standin_daemon import StandInDaemon

SIZE = (1200, 760)
PATIENCE_MS = 20_000
REST_MS = 700
"""How long the window rests before each picture: a resized guest has painted itself anew by then."""
Scenes: TypeAlias = "dict[str, tuple[str, Callable[[Tour], None]]]"
"""Captions, and what leads to each view from the one before, by name."""


class Tour:
    """One window, led through its views."""

    def __init__(
        self,
        standin: StandInDaemon,
        theme: str,
        folder: Path,
        settings: Path,
        size: tuple[int, int] = SIZE,
        only: frozenset[str] = frozenset(),
    ) -> None:
        self.only = only
        self.standin, self.theme, self.folder = standin, theme, folder
        standin.status = everyday()
        standin.devices = []
        self.window = MainWindow(DaemonClient(), QSettings(str(settings), QSettings.Format.IniFormat), theme)
        self.window.resize(*size)
        self.window.show()

    def until(self, done: Callable[[], bool]) -> None:
        """Let the app work until something is so. Raises TimeoutError after PATIENCE_MS."""
        deadline = QDeadlineTimer(PATIENCE_MS)
        while not done():
            if deadline.hasExpired():
                raise TimeoutError("the desktop app did not get there")
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)

    def take(self, name: str) -> None:
        """Let everything come to rest, until two pictures in a row are alike, and keep the last."""
        if self.only and name not in self.only:
            return
        before, now = QImage(), self._rested()
        end = QDeadlineTimer(PATIENCE_MS)
        while before != now and not end.hasExpired():
            before, now = now, self._rested()
        now.save(str(self.folder / f"{name}-{self.theme}.png"))

    def _rested(self) -> QImage:
        self.until(QDeadlineTimer(REST_MS).hasExpired)
        return self.window.grab().toImage()

    def shows(self, **changes: object) -> None:
        """Have the daemon report this, and wait until it is shown."""
        self.standin.status = msgspec.structs.replace(everyday(), **changes)
        wanted = self.standin.status
        self.standin.announce("everything")
        self.until(lambda: self.window.status == wanted)

    def lead(self, scenes: Scenes) -> None:
        """Through every view, first the one before the daemon has answered."""
        window = self.window
        self.take("unreachable")
        window.client.start()
        self.until(lambda: window.status is not None)
        for name, (_caption, scene) in scenes.items():
            scene(self)
            self.take(name)
        window.close()
        window.deleteLater()


def everyday() -> Status:
    """What the daemon says in everyday use, with rules that can be read."""
    status = demonstration_status()
    document = canonical(example_policy()).decode()
    return msgspec.structs.replace(status, policy=msgspec.structs.replace(status.policy, document=document))

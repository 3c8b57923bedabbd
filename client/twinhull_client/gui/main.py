"""``twinhull gui``: the desktop app, or one picture of it."""

from __future__ import annotations

import argparse
import sys

from PySide6.QtCore import QObject, QSettings, Qt, QTimer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication
from twinhull_policy.api.types import Status
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.errors import NoFrame, ScreenshotFailed
from twinhull_client.gui.resources import asset
from twinhull_client.gui.window import SHOWN_STATES, VIEWS, MainWindow

SETTLE_MS = 400
"""How long the picture waits after the last condition held, so that everything shown is painted."""


class Screenshot(QObject):
    """Takes one picture of the window once every running partition has delivered a frame.

    Args:
        window: shown already.
        path: PNG file to write.
        wait: most seconds to wait for frames.
    """

    def __init__(self, window: MainWindow, path: str, wait: float) -> None:
        super().__init__(window)
        self.window, self.path, self.wait = window, path, wait
        self.error: TwinhullError | None = None
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._take)
        self._deadline = QTimer(self, singleShot=True, interval=int(wait * 1000))
        self._deadline.timeout.connect(self._take)
        window.client.unreachable.connect(self._give_up)
        window.client.status.connect(self._check)
        for link in window.links.values():
            link.frame_changed.connect(self._check)
        self._deadline.start()

    def _missing(self) -> list[str]:
        status: Status | None = self.window.status
        if status is None:
            return ["twinhulld"]
        return [
            info.name
            for info in status.partitions
            if info.state in SHOWN_STATES and self.window.links[info.name].frame is None
        ]

    def _check(self) -> None:
        if self._missing():
            self._settle.stop()
        else:
            self._settle.start()

    def _give_up(self, error: TwinhullError) -> None:
        self.error = error
        QApplication.exit(0)

    def _take(self) -> None:
        missing = self._missing()
        if missing:
            self.error = NoFrame(partitions=" and ".join(missing), seconds=f"{self.wait:g}")
        if not self.window.grab().save(self.path, "PNG"):
            self.error = ScreenshotFailed(path=self.path)
        QApplication.exit(0)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="twinhull gui", description="Show the two computers.")
    parser.add_argument("--view", choices=VIEWS, help="the page to begin with")
    parser.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    parser.add_argument("--screenshot", metavar="FILE.png", help="write a picture of the window and end")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="most to wait for it")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the app. Returns an exit status (docs: design.md section 9)."""
    try:
        arguments = _arguments(argv)
    except SystemExit as leaving:  # argparse has said why
        return int(leaving.code or 0)
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
        app = QApplication(["twinhull"])
    app.setApplicationName("Twinhull")
    app.setDesktopFileName("org.twinhull.Twinhull")
    try:
        app.setWindowIcon(QIcon(str(asset("icons/org.twinhull.Twinhull.svg"))))
        return _run(app, arguments)
    except TwinhullError as error:
        return _report(error)


def _run(app: QApplication, arguments: argparse.Namespace) -> int:
    settings = QSettings("Twinhull", "Twinhull")
    if arguments.screenshot:
        settings = QSettings()  # a picture neither uses nor changes the remembered layout
        settings.setFallbacksEnabled(False)
    window = MainWindow(DaemonClient(), settings, arguments.theme)
    if arguments.view or arguments.screenshot:
        window.show_view(arguments.view or "both")
    picture = None
    if arguments.screenshot:
        window.resize(1440, 900)
        picture = Screenshot(window, arguments.screenshot, arguments.wait)
    window.show()
    QTimer.singleShot(0, window.client.start)  # the first window is there before the first word on the bus
    status = app.exec()
    window.shut_down()
    window.deleteLater()
    if picture is not None and picture.error is not None:
        return _report(picture.error)
    return status


def _report(error: TwinhullError) -> int:
    report = error.report()
    sys.stderr.write(f"{report.message} [{report.code}]\n{report.next_step}\n")
    return report.blame

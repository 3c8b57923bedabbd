"""``twinhull gui``: the desktop app, or one picture of it."""

from __future__ import annotations

import argparse
import sys

from PySide6.QtCore import (
    QLocale,
    QMessageLogContext,
    QObject,
    QSettings,
    Qt,
    QTimer,
    QtMsgType,
    qFormatLogMessage,
    qInstallMessageHandler,
)
from PySide6.QtGui import QIcon, QImage
from PySide6.QtWidgets import QApplication
from twinhull_policy.api.types import Status
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.errors import NoFrame, ScreenshotFailed
from twinhull_client.gui.immortal import keep_singletons
from twinhull_client.gui.language import CHOICES, speak
from twinhull_client.gui.rail import VIEWS
from twinhull_client.gui.resources import asset
from twinhull_client.gui.running import Running, hand_over
from twinhull_client.gui.screen_desk import SHOWN_STATES
from twinhull_client.gui.window import AGAIN, MainWindow

SETTLE_MS = 400
"""How long the picture waits at least once all frames are there, so that everything shown is painted."""
MAX_SETTLE = 60.0
DRAWN_COLOURS = 16
"""Colours of a screen that shows more than a console's text or a desktop's empty root window."""
OFFSCREEN_REMARK = "This plugin does not support propagateSizeHints()"
"""What Qt's off-screen platform says of every window; there is nothing a person could do about it."""


class Screenshot(QObject):
    """Takes one picture of the window once every running partition has delivered a frame and rests.

    Args:
        window: shown already.
        path: PNG file to write.
        wait: most seconds to wait for frames and for rest.
        settle: seconds no shown screen may have changed, 0 to MAX_SETTLE; 0 waits for no rest.
        drawn: wait, too, until each screen has DRAWN_COLOURS.
    """

    def __init__(
        self, window: MainWindow, path: str, wait: float, settle: float = 0.0, *, drawn: bool = False
    ) -> None:
        super().__init__(window)
        self.window, self.path, self.wait = window, path, wait
        self.error: TwinhullError | None = None
        self._to_be_drawn = set(window.links) if drawn else set()
        self.settling = QTimer(self, singleShot=True, interval=max(SETTLE_MS, int(settle * 1000)))
        self.settling.timeout.connect(self._take)
        self._deadline = QTimer(self, singleShot=True, interval=int(wait * 1000))
        self._deadline.timeout.connect(self._take)
        window.client.unreachable.connect(self._give_up)
        window.client.status.connect(self._check)
        for name, link in window.links.items():
            link.frame_changed.connect(lambda name=name: self._changed(name))
            if settle or drawn:
                link.damaged.connect(lambda _rect, name=name: self._changed(name))
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

    def _empty(self) -> list[str]:
        """The shown screens on which nothing was drawn yet."""
        shown = [name for name in self._to_be_drawn if self.window.screens[name].isVisible()]
        for name in shown:
            frame = self.window.links[name].frame
            if frame is not None and has_colours(frame.image.copy(frame.rect), DRAWN_COLOURS):
                self._to_be_drawn.remove(name)
        return [name for name in shown if name in self._to_be_drawn]

    def _check(self) -> None:
        if self._missing() or self._empty():
            self.settling.stop()
        elif not self.settling.isActive():
            self.settling.start()

    def _changed(self, name: str) -> None:
        if self.window.screens[name].isVisible():
            self.settling.stop()  # counts anew
        self._check()

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


def has_colours(image: QImage, count: int) -> bool:
    """Whether a picture has at least ``count`` colours."""
    pixels = memoryview(image.convertToFormat(QImage.Format.Format_RGB32).constBits()).cast("I")
    return len(set(pixels)) >= count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= MAX_SETTLE:
        raise argparse.ArgumentTypeError(f"give 0 to {MAX_SETTLE:g} seconds")
    return seconds


def parse(argv: list[str]) -> argparse.Namespace:
    """What the command line says. Raises SystemExit once argparse has said why not."""
    parser = argparse.ArgumentParser(prog="twinhull gui", description="Show the two computers.")
    parser.add_argument("--view", choices=VIEWS, help="the page to begin with")
    parser.add_argument("link", nargs="?", metavar="twinhull:…", help="a link that was opened")
    parser.add_argument("--theme", choices=("system", "light", "dark"), default="system")
    parser.add_argument("--language", choices=CHOICES, help="what the app speaks (default: as the desktop)")
    parser.add_argument("--screenshot", metavar="FILE.png", help="write a picture of the window and end")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="most to wait for it")
    parser.add_argument(
        "--settle",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="before the picture, let the screens rest this long",
    )
    parser.add_argument(
        "--drawn", action="store_true", help="and wait until each is more than an empty screen"
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the app. Returns an exit status (docs: design.md section 9)."""
    try:
        arguments = parse(argv)
    except SystemExit as leaving:  # argparse has said why
        return int(leaving.code or 0)
    own = arguments.screenshot or arguments.view or arguments.language or arguments.theme != "system"
    if not own and hand_over(arguments.link or ""):
        return 0
    keep_singletons()
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
        app = QApplication(["twinhull"])
    app.setApplicationName("Twinhull")
    app.setDesktopFileName("org.twinhull.Twinhull")
    before = qInstallMessageHandler(show_qt_message)
    try:
        app.setWindowIcon(QIcon(str(asset("icons/org.twinhull.Twinhull.svg"))))
        return _run(app, arguments)
    except TwinhullError as error:
        return _report(error)
    finally:
        qInstallMessageHandler(before)


def show_qt_message(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
    """Show what Qt says on standard error as it would itself, all but OFFSCREEN_REMARK."""
    if message != OFFSCREEN_REMARK:
        sys.stderr.write(qFormatLogMessage(kind, context, message) + "\n")


def _run(app: QApplication, arguments: argparse.Namespace) -> int:
    settings = QSettings("Twinhull", "Twinhull")
    if arguments.screenshot:
        settings = QSettings()  # a picture neither uses nor changes the remembered layout
        settings.setFallbacksEnabled(False)
    language = arguments.language or str(settings.value("language", "system"))
    while True:
        locale, spoken = QLocale(), speak(app, language)
        status, error = _show(app, arguments, settings)
        if error is not None:
            return _report(error)
        if status != AGAIN:
            return status
        for translator in spoken:
            app.removeTranslator(translator)
        QLocale.setDefault(locale)
        language = str(settings.value("language", "system"))


def _show(
    app: QApplication, arguments: argparse.Namespace, settings: QSettings
) -> tuple[int, TwinhullError | None]:
    """One window, from its first picture to its last; what Qt's loop ended with, and what went wrong."""
    window = MainWindow(DaemonClient(), settings, arguments.theme)
    if arguments.view or arguments.screenshot:
        window.show_view(arguments.view or "both")
    if arguments.link:
        untrusted_link, arguments.link = arguments.link, None  # for one window, not for each language's
        window.show_view("home")
        window.enrol_desk.open_link(untrusted_link)
    picture = None
    if arguments.screenshot:
        window.resize(1440, 900)
        picture = Screenshot(
            window, arguments.screenshot, arguments.wait, arguments.settle, drawn=arguments.drawn
        )
    running = None if arguments.screenshot else Running(window)
    if running is not None:
        running.opened.connect(window.open_again)
    window.show()
    QTimer.singleShot(0, window.client.start)  # the first window is there before the first word on the bus
    status = app.exec()
    if running is not None:
        running.close()
    window.shut_down()
    window.hide()
    window.deleteLater()
    return status, picture.error if picture is not None else None


def _report(error: TwinhullError) -> int:
    report = error.report()
    sys.stderr.write(f"{report.message} [{report.code}]\n{report.next_step}\n")
    return report.blame

"""One drag from press to drop through a real X server; run by test_devices.py, which starts the server."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from twinhull_client.gui.window import MainWindow

from tests.support.standin_daemon import StandInDaemon

STEP_MS = 200
"""Between two moves, so that the drag's own messages go to the X server and back."""


def test_a_webcam_is_dragged_to_nobody(window: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    assert QApplication.platformName() == "xcb"
    window.show_view("devices")
    page = window.desk.page
    qtbot.waitUntil(lambda: "usb-1-3" in page.rows, timeout=20000)
    QTest.qWait(500)  # laid out and mapped
    row, target, handle = page.rows["usb-1-3"], page.places["nobody"], window.windowHandle()
    start, end = row.mapTo(window, QPoint(300, 40)), target.mapTo(window, QPoint(60, 20))

    def move(step: int) -> None:
        QTest.mouseMove(handle, end - QPoint(8 - step, 0))

    def let_go() -> None:
        QTest.mouseRelease(handle, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, end)

    for step in range(1, 5):
        QTimer.singleShot(STEP_MS * step, lambda step=step: move(step))
    QTimer.singleShot(STEP_MS * 6, let_go)
    QTest.mousePress(handle, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(handle, start + QPoint(4, 0))
    QTest.mouseMove(handle, start + QPoint(30, 10))
    qtbot.waitUntil(lambda: target.isAncestorOf(row), timeout=20000)
    assert ("detach_device", ("1-3",)) in standin.calls

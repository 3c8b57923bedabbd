"""Whoever cannot see the window, or uses no pointer, gets everywhere: names, roles, the path of the keys."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QWidget,
)
from pytestqt.qtbot import QtBot
from twinhull_client.gui.rail import TOOLS, VIEWS
from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.settings_page import Options
from twinhull_client.gui.strip import Strip
from twinhull_client.gui.subpage import SubPage
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import Log

from tests.support.demonstration import demonstration_receipts

NAMED = (QAbstractButton, QLineEdit, QProgressBar, GuestScreen, Strip)
"""Everything a person acts on or is told something by that has no text of its own."""
SILENT_ROLES = (QAccessible.Role.NoRole,)


def is_part_of_another(widget: QWidget) -> bool:
    """Whether it belongs to a table or text that is told of as a whole, such as its scroll bar."""
    parent = widget.parentWidget()
    return isinstance(parent, QTableWidget | QPlainTextEdit | QHeaderView) or widget.objectName()[:3] == "qt_"


def test_every_widget_that_is_for_somebody_has_a_name_and_a_role(window: MainWindow) -> None:
    walked = 0
    for widget in window.findChildren(QWidget):
        focusable = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
        if not (isinstance(widget, NAMED) or focusable) or is_part_of_another(widget):
            continue
        interface = QAccessible.queryAccessibleInterface(widget)
        assert interface is not None
        where = f"{type(widget).__name__} {widget.objectName()} in {type(widget.parentWidget()).__name__}"
        assert interface.text(QAccessible.Text.Name), where
        assert interface.role() not in SILENT_ROLES, where
        walked += 1
    assert walked > 40


SIDE_PAGES: dict[str, Callable[[MainWindow], SubPage]] = {
    "settings": lambda window: window.side.settings,
    "recovery": lambda window: window.side.recovery.page,
    "policy": lambda window: window.side.news.policy,
    "erased": lambda window: window.side.news.erased,
    "receipts": lambda window: window.side.news.receipts,
}


@pytest.mark.parametrize("name", SIDE_PAGES)
def test_tab_reaches_every_control_of_a_page_that_home_leads_to(
    window: MainWindow, qtbot: QtBot, name: str
) -> None:
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=20000)
    page = SIDE_PAGES[name](window)
    window.side.news.receipts.show_log(Log(entries=demonstration_receipts()))
    window.side.opened.emit(page)
    page.back.setFocus()
    reached: set[QWidget] = set()
    for _ in range(120):
        now = QApplication.focusWidget()
        assert now is not None
        reached.add(now)
        QTest.keyClick(now, Qt.Key.Key_Tab)
    every: list[QWidget] = [*page.findChildren(QPushButton), *page.findChildren(QLineEdit)]
    controls = [each for each in every if each.isVisible() and each.isEnabled()]
    assert controls
    assert set(controls) <= reached
    for options in page.findChildren(Options):  # a group has one stop; arrow keys lead through it
        assert any(made in reached for made in options.buttons.values())


def test_the_keyboard_reaches_every_control_view_and_tool(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=20000)
    window.show_view("home")
    reached: set[QWidget] = set()
    for _ in range(200):
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        now = QApplication.focusWidget()
        assert now is not None
        if now in reached and len(reached) > 20:
            break
        reached.add(now)
    # of the views, which are one group, the one that is shown; arrow keys lead from there to the others
    assert {window.buttons[name] for name in ("home", *TOOLS)} <= reached
    for control in (
        window.home.partitions["corporate"].open,
        window.home.vpn.button,
        window.home.policy.sent,
    ):
        assert control in reached
    for before, after in itertools.pairwise(VIEWS):
        window.buttons[before].setFocus()
        QTest.keyClick(window.buttons[before], Qt.Key.Key_Down)
        assert window.view == after

"""Earlier states of a computer as a timeline, against the stand-in daemon on a private bus."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot
from twinhull_client.gui.snapshots_page import SnapshotsPage
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import SNAPSHOT_LIMIT, SNAPSHOT_NAME_LIMIT, SnapshotInfo
from twinhull_policy.errors import ErrorReport

from tests.gui.conftest import OpenWindow
from tests.support.demonstration import demonstration_status
from tests.support.standin_daemon import StandInDaemon

WAIT_MS = 20000
BUSY = ErrorReport("TH-PAR-001", "It is busy.", "Close the program.", 1)
Opened = Callable[[str], SnapshotsPage]


def kept(number: int, *, name: str = "", undo: bool = False) -> SnapshotInfo:
    """One of the stand-in's."""
    return SnapshotInfo(
        id=f"s-{number:08x}",
        kind="rollback" if undo else "asked",
        name=name,
        at=1_790_000_000.0 + 86_400 * number,
        bytes=3_000_000_000,
    )


@pytest.fixture
def opened(standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot) -> Opened:
    """Opens the page from the home page's storage card and waits for the list, if one can be had."""

    def go(name: str) -> SnapshotsPage:
        window = open_window()
        qtbot.waitUntil(lambda: window.status is not None, timeout=WAIT_MS)
        window.home.storage.states[name].click()
        page = window.side.snapshots.page
        assert page.isVisible()
        qtbot.waitUntil(lambda: page.found is not None or page.problem.isVisible(), timeout=WAIT_MS)
        return page

    return go


def rows(page: SnapshotsPage) -> list[QWidget]:
    """What the timeline shows, from the top."""
    items = (page.rows.itemAt(place) for place in range(page.rows.count()))
    widgets = [item.widget() for item in items if item is not None]
    return [widget for widget in widgets if widget is not None and widget.objectName().startswith("s-")]


def control(page: SnapshotsPage, one: SnapshotInfo, text: str) -> QPushButton:
    """The button with that text in one row."""
    row = next(row for row in rows(page) if row.objectName() == one.id)
    return next(made for made in row.findChildren(QPushButton) if made.text() == text)


def called(standin: StandInDaemon, *methods: str) -> list[tuple[str, tuple[object, ...]]]:
    """The calls of these methods."""
    return [call for call in standin.calls if call[0] in methods]


def words(widget: QWidget) -> str:
    """Everything a widget's labels say."""
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisible())


def test_the_timeline_has_the_newest_first_in_words(
    standin: StandInDaemon, opened: Opened, qtbot: QtBot
) -> None:
    first, undo, last = kept(1, name="<b>update</b>"), kept(2, name="tax", undo=True), kept(3)
    standin.snapshots = [first, undo, last]
    page = opened("personal")
    assert called(standin, "list_snapshots")[0] == ("list_snapshots", ("personal",))
    assert [row.objectName() for row in rows(page)] == [last.id, undo.id, first.id]
    qtbot.waitUntil(lambda: all(row.isVisible() for row in rows(page)), timeout=WAIT_MS)
    top, middle, bottom = (words(row) for row in rows(page))
    assert "A state without a name" in top
    assert "Before you went back to “tax”" in middle
    assert "<b>update</b>" in bottom  # as it is, and no markup
    assert "3.0 GB" in bottom
    assert "2026" in bottom
    assert control(page, undo, "Undo").isEnabled()
    assert control(page, last, "Go back…").isEnabled()


def test_nothing_kept_says_what_it_is_good_for(opened: Opened, qtbot: QtBot) -> None:
    page = opened("personal")
    assert rows(page) == []
    qtbot.waitUntil(lambda: "Nothing is kept yet." in words(page.timeline), timeout=WAIT_MS)


def test_what_cannot_be_listed_says_why_and_can_be_tried_again(
    standin: StandInDaemon, opened: Opened, qtbot: QtBot
) -> None:
    standin.fail("list_snapshots", BUSY)
    standin.snapshots = [kept(1)]
    page = opened("personal")
    assert page.problem.sentence.text() == "It is busy."
    assert not page.make.isEnabled()
    standin.allow("list_snapshots")
    again = next(made for made in page.timeline.findChildren(QPushButton) if made.text() == "Try again")
    again.click()
    qtbot.waitUntil(lambda: len(rows(page)) == 1, timeout=WAIT_MS)
    assert not page.problem.isVisible()


def test_one_is_kept_and_how_far_it_is_is_shown(standin: StandInDaemon, opened: Opened, qtbot: QtBot) -> None:
    page = opened("personal")
    assert "stands still" in page.advice.text()
    assert page.name.maxLength() == SNAPSHOT_NAME_LIMIT
    QTest.keyClicks(page.name, "before the update")
    QTest.keyClick(page.name, Qt.Key.Key_Return)
    assert page.doing.isVisible()
    assert "stands still" in page.doing_sentence.text()
    assert not page.making.isVisible()
    info = msgspec.structs.replace(page.info, reason="A snapshot is being made: 40 %.")
    page.show_info(info)
    assert page.progress.value() == 40
    assert page.doing_reason.text() == "A snapshot is being made: 40 %."
    qtbot.waitUntil(lambda: len(rows(page)) == 1, timeout=WAIT_MS)
    assert called(standin, "snapshot_partition") == [
        ("snapshot_partition", ("personal", "before the update"))
    ]
    assert page.done.text() == "It is kept."
    assert page.name.text() == ""
    assert not page.doing.isVisible()


def test_going_back_is_asked_once_and_takes_a_computer_that_is_off(
    standin: StandInDaemon, opened: Opened, qtbot: QtBot
) -> None:
    one = kept(1, name="update")
    standin.snapshots = [one]
    page = opened("personal")
    control(page, one, "Go back…").click()
    assert page.question.isVisible()
    assert "is gone" in page.lost.text()
    assert "can be undone" in page.lost.text()
    assert page.stop.isVisible()
    assert not page.agree.isVisible()
    assert called(standin, "roll_back_partition") == []
    page.stop.click()
    qtbot.waitUntil(page.agree.isVisible, timeout=WAIT_MS)
    assert not page.passphrase.isVisible()  # its key is still held
    page.agree.click()
    qtbot.waitUntil(lambda: len(rows(page)) == 2, timeout=WAIT_MS)
    assert called(standin, "stop_partition", "roll_back_partition") == [
        ("stop_partition", ("personal", False)),
        ("roll_back_partition", ("personal", one.id, "")),
    ]
    assert "Undo" in page.done.text()
    assert not page.question.isVisible()
    undo = next(kept for kept in page.found or [] if kept.kind == "rollback")
    control(page, undo, "Undo").click()
    page.agree.click()
    qtbot.waitUntil(lambda: len(called(standin, "roll_back_partition")) == 2, timeout=WAIT_MS)
    assert called(standin, "roll_back_partition")[1] == ("roll_back_partition", ("personal", undo.id, ""))


def test_a_locked_computer_wants_its_passphrase_and_a_wrong_one_can_be_typed_again(
    standin: StandInDaemon, opened: Opened, qtbot: QtBot
) -> None:
    standin.status = demonstration_status(corporate="locked")
    one = kept(1)
    standin.snapshots = [one]
    standin.fail("roll_back_partition", BUSY)
    page = opened("corporate")
    control(page, one, "Go back…").click()
    assert page.passphrase.echoMode() == QLineEdit.EchoMode.Password
    page.agree.click()  # nothing was typed
    assert called(standin, "roll_back_partition") == []
    QTest.keyClicks(page.passphrase, "not sesame")
    QTest.keyClick(page.passphrase, Qt.Key.Key_Return)
    qtbot.waitUntil(page.problem.isVisible, timeout=WAIT_MS)
    assert page.question.isVisible()
    assert page.passphrase.text() == ""
    standin.allow("roll_back_partition")
    QTest.keyClicks(page.passphrase, "open sesame")
    QTest.keyClick(page.passphrase, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(rows(page)) == 2, timeout=WAIT_MS)
    assert [call[1][2] for call in called(standin, "roll_back_partition")] == ["not sesame", "open sesame"]


def test_removing_is_asked_and_cannot_be_undone(standin: StandInDaemon, opened: Opened, qtbot: QtBot) -> None:
    one, other = kept(1), kept(2)
    standin.snapshots = [one, other]
    page = opened("personal")
    control(page, one, "Remove…").click()
    assert "cannot be undone" in page.lost.text()
    assert QApplication.focusWidget() in (None, page.cancel)
    QTest.keyClick(page.cancel, Qt.Key.Key_Escape)
    assert not page.question.isVisible()
    assert page.isVisible()
    control(page, one, "Remove…").click()
    page.agree.click()
    qtbot.waitUntil(lambda: [row.objectName() for row in rows(page)] == [other.id], timeout=WAIT_MS)
    assert called(standin, "remove_snapshot") == [("remove_snapshot", ("personal", one.id))]


def test_sixteen_are_as_many_as_there_can_be(standin: StandInDaemon, opened: Opened, qtbot: QtBot) -> None:
    undo = kept(16, undo=True)
    standin.snapshots = [*(kept(number) for number in range(1, SNAPSHOT_LIMIT)), undo]
    page = opened("personal")
    assert "16 are kept" in page.advice.text()
    assert not page.make.isEnabled()
    assert not page.name.isEnabled()
    assert not control(page, kept(1), "Go back…").isEnabled()  # would take one more
    assert control(page, undo, "Undo").isEnabled()
    control(page, kept(1), "Remove…").click()
    page.agree.click()
    qtbot.waitUntil(page.make.isEnabled, timeout=WAIT_MS)


def test_what_was_typed_does_not_outlast_the_page(
    standin: StandInDaemon, window: MainWindow, qtbot: QtBot
) -> None:
    standin.snapshots = [kept(1)]
    standin.status = demonstration_status(personal="locked")
    standin.announce("partitions")
    qtbot.waitUntil(lambda: window.status == standin.status, timeout=WAIT_MS)
    window.home.storage.states["personal"].click()
    page = window.side.snapshots.page
    qtbot.waitUntil(lambda: len(rows(page)) == 1, timeout=WAIT_MS)
    control(page, kept(1), "Go back…").click()
    assert window.strip.context == "host"
    page.passphrase.setText("open sesame")
    window.lock()
    assert page.passphrase.text() == ""


def test_the_keyboard_reaches_everything_on_the_page(
    standin: StandInDaemon, window: MainWindow, qtbot: QtBot
) -> None:
    standin.snapshots = [kept(1), kept(2, undo=True)]
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=WAIT_MS)
    window.home.storage.states["personal"].setFocus()
    QTest.keyClick(window.home.storage.states["personal"], Qt.Key.Key_Space)
    page = window.side.snapshots.page
    qtbot.waitUntil(lambda: [row.isVisible() for row in rows(page)] == [True, True], timeout=WAIT_MS)
    wanted: set[QWidget] = {made for row in rows(page) for made in row.findChildren(QPushButton)}
    wanted |= {page.name, page.make, page.back}
    assert all(made.accessibleName() for made in wanted if isinstance(made, QPushButton | QLineEdit))
    reached: set[QWidget] = set()
    for _ in range(40):
        now = QApplication.focusWidget()
        assert now is not None
        reached.add(now)
        QTest.keyClick(now, Qt.Key.Key_Tab)
    assert wanted <= reached
    QTest.keyClick(page.back, Qt.Key.Key_Escape)
    assert window.pages.currentWidget() is window.home

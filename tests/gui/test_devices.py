"""Devices in the window, against the stand-in daemon on a private bus: page, panel, kill switches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot
from twinhull_client.gui.device_page import MIME, PLACES, DevicePlace, DevicesPage
from twinhull_client.gui.device_row import DeviceRow
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.errors import ErrorReport
from twinhull_policy.kinds import Kind
from twinhull_policy.owner_defaults import default_owner_rules
from twinhull_policy.parse import canonical, parse_owner_rules

from tests.support.demonstration import demonstration_devices
from tests.support.standin_daemon import StandInDaemon

WAIT = 60000
STICK, WEBCAM, KEYBOARD, TOKEN = "usb-1-2", "usb-1-3", "usb-2-1", "usb-2-2"
BOTH = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


def _says(label: QLabel, words: str) -> bool:
    return words in label.text()


def _beside(first: QWidget, second: QWidget, side_by_side: bool) -> bool:
    return (first.x() < second.x()) == side_by_side


@pytest.fixture
def devices(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """A window that shows the devices page with the stand-in's devices."""
    window.show_view("devices")
    qtbot.waitUntil(lambda: len(window.desk.page.rows) == 7, timeout=WAIT)
    return window


def asked(standin: StandInDaemon) -> list[tuple[str, tuple[object, ...]]]:
    """What was asked to be done with devices."""
    return [call for call in standin.calls if call[0].endswith("_device")]


def put(standin: StandInDaemon, *devices: DeviceInfo) -> None:
    """From now on these are the devices."""
    standin.devices = list(devices)
    standin.announce("devices")


def device(id_: str = WEBCAM, **changes: Any) -> DeviceInfo:
    """One of the stand-in's devices, changed."""
    found = next(d for d in demonstration_devices() if d.id == id_)
    return msgspec.structs.replace(found, **changes)


def place_of_row(page: DevicesPage, id_: str) -> str:
    return next(name for name in PLACES if page.places[name].isAncestorOf(page.rows[id_]))


def visible_buttons(row: DeviceRow) -> set[str]:
    return {verb for verb, made in row.buttons.items() if made.isVisible()}


# -- the page ------------------------------------------------------------------------------------------


def test_every_device_is_shown_where_it_is(devices: MainWindow) -> None:
    page = devices.desk.page
    assert {id_: place_of_row(page, id_) for id_ in page.rows} == {
        "usb-1-1": "host",
        STICK: "nobody",
        WEBCAM: "personal",
        KEYBOARD: "nobody",
        TOKEN: "nobody",
        "usb-2-3": "nobody",
        "usb-2-4": "nobody",
    }
    assert page.places["corporate"].empty.isVisible()
    assert not page.places["personal"].empty.isVisible()
    assert "7 devices" in page.summary.text()
    assert "2 wait" in page.summary.text()
    assert devices.buttons["devices"].text() == "Devices (2)"
    assert devices.home.devices.text() == "Devices: 2 waiting"
    row = page.rows[WEBCAM]
    assert (row.name.whole, row.place.whole) == ("Logitech C920 webcam", "right port")


@pytest.mark.parametrize(
    ("id_", "buttons"),
    [
        ("usb-1-1", set()),
        (STICK, {"corporate", "personal", "deny"}),
        (WEBCAM, {"detach"}),
        (KEYBOARD, set()),
        (TOKEN, {"corporate", "detach"}),
        ("usb-2-3", set()),
        ("usb-2-4", set()),
    ],
)
def test_only_what_the_rules_allow_is_offered(devices: MainWindow, id_: str, buttons: set[str]) -> None:
    assert visible_buttons(devices.desk.page.rows[id_]) == buttons


def test_a_stick_is_given_to_be_read(devices: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    page = devices.desk.page
    assert [id_ for id_, row in page.rows.items() if row.read_only.isVisible()] == [STICK]
    row = page.rows[STICK]
    assert "Example Flash Drive" in row.read_only.accessibleName()
    row.read_only.click()
    row.buttons["corporate"].click()
    qtbot.waitUntil(lambda: place_of_row(page, STICK) == "corporate", timeout=WAIT)
    assert asked(standin) == [("attach_device", ("1-2", "corporate", True))]
    assert page.rows[STICK].badge.text() == "In use, read only"


def test_a_device_is_moved_and_taken_back_by_keyboard(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page = devices.desk.page
    row = page.rows[TOKEN]
    row.take_focus()
    assert QApplication.focusWidget() is row.buttons["corporate"]
    QTest.keyClick(row.buttons["corporate"], Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: place_of_row(page, TOKEN) == "corporate", timeout=WAIT)
    focused = QApplication.focusWidget()
    assert focused is not None
    assert page.rows[TOKEN].isAncestorOf(focused)  # the keyboard went with it
    qtbot.waitUntil(row.buttons["detach"].isEnabled, timeout=WAIT)
    row.buttons["detach"].setFocus()
    QTest.keyClick(row.buttons["detach"], Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: place_of_row(page, TOKEN) == "nobody", timeout=WAIT)
    assert asked(standin) == [
        ("attach_device", ("2-2", "corporate", False)),
        ("detach_device", ("2-2",)),
    ]


def test_what_asks_is_answered_and_not_attached(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    devices.desk.page.rows[STICK].buttons["personal"].click()
    qtbot.waitUntil(lambda: place_of_row(devices.desk.page, STICK) == "personal", timeout=WAIT)
    assert asked(standin) == [("answer_device", ("1-2", "personal", False))]


def test_a_refusal_is_shown_at_the_device_with_its_code(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.fail("attach_device", ErrorReport("TH-DEV-202", "By the rule x, no.", "Ask your company.", 4))
    row = devices.desk.page.rows[TOKEN]
    row.buttons["corporate"].click()
    qtbot.waitUntil(row.problem.isVisible, timeout=WAIT)
    assert row.problem.sentence.text() == "By the rule x, no."
    assert row.problem.next_step.text() == "Ask your company.  (TH-DEV-202)"
    qtbot.waitUntil(row.buttons["corporate"].isEnabled, timeout=WAIT)
    standin.announce("devices")
    QTest.qWait(300)
    assert row.problem.isVisible()  # a fresh list does not wipe it away


def test_a_refusal_of_a_device_that_went_is_shown_on_top(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page = devices.desk.page
    row = page.rows[TOKEN]
    standin.devices = [d for d in standin.devices if d.id != TOKEN]  # unplugged, and not yet said
    row.buttons["corporate"].click()
    qtbot.waitUntil(lambda: TOKEN not in page.rows, timeout=WAIT)
    assert "TH-GUI-005" in page.failure.next_step.text()
    assert page.failure.isVisible()
    assert not [call for call in asked(standin) if call[0] == "attach_device"]


@pytest.mark.parametrize("changes", [{"facts_sha256": "ab" * 32}, {"name": "Other (security-key), port 2-2"}])
def test_a_choice_counts_only_for_the_device_that_was_seen(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot, changes: dict[str, str]
) -> None:
    row = devices.desk.page.rows[TOKEN]
    standin.devices = [device(TOKEN, **changes) if d.id == TOKEN else d for d in standin.devices]
    row.buttons["corporate"].click()
    qtbot.waitUntil(lambda: "list_devices" in [name for name, _ in standin.calls[-2:]], timeout=WAIT)
    qtbot.waitUntil(row.buttons["corporate"].isEnabled, timeout=WAIT)
    QTest.qWait(100)
    assert asked(standin) == []


def test_forgetting_and_naming_a_port(devices: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    standin.owner_rules = canonical(default_owner_rules()).decode()
    row = devices.desk.page.rows[TOKEN]
    assert not row.forget.isVisible()
    row.more.click()
    row.forget.click()
    qtbot.waitUntil(lambda: ("forget_device", ("2-2",)) in standin.calls, timeout=WAIT)
    qtbot.waitUntil(row.rename.isEnabled, timeout=WAIT)
    assert row.port_name.text() == ""
    QTest.keyClicks(row.port_name, "  back, left ")
    QTest.keyClick(row.port_name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "back" in standin.owner_rules, timeout=WAIT)
    kept = parse_owner_rules(standin.owner_rules.encode())
    assert kept.ports == {"2-2": "back, left"}
    assert kept.devices == default_owner_rules().devices
    qtbot.waitUntil(row.rename.isEnabled, timeout=WAIT)
    row.port_name.clear()
    row.rename.click()
    qtbot.waitUntil(lambda: "ports" not in json.loads(standin.owner_rules), timeout=WAIT)


def test_a_port_name_that_cannot_be_is_refused_in_place(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.owner_rules = '{"schema":"twinhull.owner/1","devices":[],"ports":{"1-1":"left port"}}'
    row = devices.desk.page.rows[TOKEN]
    row.more.click()
    for name, code in (("left port", "TH-GUI-006"), ("a\u202eb", "TH-POL-006")):
        row.port_name.setText(name)
        row.rename.click()
        qtbot.waitUntil(partial(_says, row.problem.next_step, code), timeout=WAIT)
        qtbot.waitUntil(row.rename.isEnabled, timeout=WAIT)
    assert not [call for call in standin.calls if call[0] == "set_owner_rules"]


def test_parts_inside_the_computer_are_shown_on_demand(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page = devices.desk.page
    card = DeviceInfo(
        id="pci-0000:00:1f.3",
        bus="pci",
        name="PCI audio 8086:51c8, slot 0000:00:1f.3",
        port="0000:00:1f.3",
        verdict="deny",
        rule="owner:pci",
        reason="The owner's rules give it to nobody. It cannot be passed on: no reset.",
        state="host",
        kind=Kind.AUDIO,
    )
    put(standin, card, device(WEBCAM))
    qtbot.waitUntil(page.inside.isVisible, timeout=WAIT)
    assert card.id not in page.rows
    page.inside.click()
    row = page.rows[card.id]
    assert place_of_row(page, card.id) == "host"
    assert visible_buttons(row) == set()
    row.more.click()
    assert not row.forget.isVisible()
    assert not row.naming.isVisible()
    assert "no reset" in row.why.text()
    page.inside.click()
    assert card.id not in page.rows


def test_no_devices_and_no_list_are_said(devices: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    page = devices.desk.page
    put(standin)
    qtbot.waitUntil(lambda: not page.rows, timeout=WAIT)
    assert page.summary.text() == "Nothing is plugged in."
    assert all(place.empty.isVisible() for place in page.places.values())
    standin.deny("list_devices")
    standin.announce("devices")
    qtbot.waitUntil(page.unknown.isVisible, timeout=WAIT)
    assert "TH-CLI" in page.unknown.next_step.text()
    assert "not known" in page.summary.text()
    assert not any(place.isVisible() for place in page.places.values())
    assert devices.status is not None  # everything else goes on
    standin.allow("list_devices")
    standin.announce("devices")
    qtbot.waitUntil(lambda: not page.unknown.isVisible(), timeout=WAIT)
    assert page.summary.text() == "Nothing is plugged in."
    assert all(place.empty.isVisible() for place in page.places.values())


def test_why_devices_are_not_followed_is_said_on_home_and_devices(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.status = msgspec.structs.replace(
        standin.status, devices_problem="twinhull-devd does not answer\x1b[31m."
    )
    standin.announce("devices")
    page = devices.desk.page
    qtbot.waitUntil(page.problem.isVisible, timeout=WAIT)
    for problem in (page.problem, devices.home.devices_problem):
        assert "nothing new is let in" in problem.sentence.text()
        assert "twinhull-devd does not answer" in problem.sentence.text()
        assert "\x1b" not in problem.sentence.text()
        assert "systemctl status twinhull-devd" in problem.next_step.text()
        assert "TH-DEV-211" in problem.next_step.text()
    devices.show_view("home")
    assert devices.home.devices_problem.isVisible()


def test_safe_mode_is_said_on_home(devices: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    home = devices.home
    assert not home.state_problem.isVisible()
    standin.status = msgspec.structs.replace(
        standin.status, safe_mode="The state database is damaged\x1b[31m."
    )
    standin.announce("partitions")
    devices.show_view("home")
    qtbot.waitUntil(home.state_problem.isVisible, timeout=WAIT)
    assert (
        "safe mode and changes nothing: The state database is damaged" in home.state_problem.sentence.text()
    )
    assert "\x1b" not in home.state_problem.sentence.text()
    assert "twinhull doctor --recover-state" in home.state_problem.next_step.text()
    standin.status = msgspec.structs.replace(standin.status, safe_mode="")
    standin.announce("partitions")
    qtbot.waitUntil(lambda: not home.state_problem.isVisible(), timeout=WAIT)


def test_a_window_resized_while_the_page_is_hidden(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page = devices.desk.page
    standin.status = msgspec.structs.replace(standin.status, devices_problem="twinhull-devd does not answer.")
    standin.announce("devices")
    qtbot.waitUntil(page.problem.isVisible, timeout=WAIT)
    for row in page.rows.values():
        row.more.click()
    devices.show_view("home")
    devices.resize(960, 540)
    devices.show_view("devices")
    QTest.qWait(300)
    for place in page.places.values():
        assert place.mapTo(page, QPoint(place.width(), 0)).x() == page.width() - 36


def test_narrow_windows_have_one_column(devices: MainWindow, qtbot: QtBot) -> None:
    page = devices.desk.page
    first, second = page.places["corporate"], page.places["personal"]
    for width, side_by_side in ((1440, True), (960, False)):
        devices.resize(width, 900)
        qtbot.waitUntil(partial(_beside, first, second, side_by_side), timeout=WAIT)
        for row in page.rows.values():
            for control in row.findChildren(QWidget):
                if control.isVisible():
                    right = control.mapTo(page, QPoint(control.width(), 0)).x()
                    assert right <= page.width(), (width, control)


# -- dragging ------------------------------------------------------------------------------------------


def enter(place: DevicePlace, mime: str = MIME) -> bool:
    data = QMimeData()
    data.setData(mime, b"")
    event = QDragEnterEvent(
        QPointF(9, 9),
        Qt.DropAction.MoveAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    event.ignore()
    QApplication.sendEvent(place, event)
    return event.isAccepted()


def drop(place: DevicePlace) -> None:
    data = QMimeData()
    data.setData(MIME, b"")
    event = QDropEvent(
        QPointF(9, 9),
        Qt.DropAction.MoveAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    place.dropEvent(event)


def test_what_may_go_somewhere_can_be_dropped_there_and_nowhere_else(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page = devices.desk.page
    assert not any(enter(place) for place in page.places.values())  # nothing is dragged: forged from outside
    drop(page.places["personal"])
    for id_, allowed in ((STICK, {"corporate", "personal"}), (WEBCAM, {"nobody"}), ("usb-2-3", set())):
        page.offer(page.rows[id_])
        assert {name for name, place in page.places.items() if enter(place)} == allowed
        assert not enter(page.places["personal"], "text/plain")
        page.offer(None)
    page.offer(page.rows[STICK])
    drop(page.places["host"])
    assert page.places["corporate"].badge.text() == "Drop it here"
    assert page.places["host"].badge.text() == "The rules keep it from here"
    drop(page.places["corporate"])
    page.offer(None)
    qtbot.waitUntil(lambda: place_of_row(page, STICK) == "corporate", timeout=WAIT)
    assert asked(standin) == [("answer_device", ("1-2", "corporate", False))]
    assert not any(place.badge.isVisible() for place in page.places.values())


def test_nothing_moves_under_the_hand_while_dragging(
    devices: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page = devices.desk.page
    page.offer(page.rows[WEBCAM])
    put(standin)
    qtbot.waitUntil(lambda: devices.desk.panel.isHidden(), timeout=WAIT)
    assert WEBCAM in page.rows
    page.offer(None)
    assert not page.rows


def test_a_drag_begins_only_where_there_is_somewhere_to_go(devices: MainWindow, qtbot: QtBot) -> None:
    begun: list[str] = []
    page = devices.desk.page
    for id_, row in page.rows.items():
        row.dragged.disconnect()
        row.dragged.connect(lambda _hold, id_=id_: begun.append(id_))
        QTest.mousePress(row, Qt.MouseButton.LeftButton, pos=QPoint(300, 12))
        QTest.mouseMove(row, QPoint(302, 12))  # a click with an unsteady hand
        QTest.mouseMove(row, QPoint(340, 30))
        QTest.mouseRelease(row, Qt.MouseButton.LeftButton, pos=QPoint(340, 30))
    assert begun == [STICK, WEBCAM, TOKEN]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="dragging for real needs an X server")
def test_a_real_drag_ends_at_a_place() -> None:
    """Qt's off-screen platform cannot drag, so this runs in a process of its own on X."""
    with subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert server.stdout is not None
        try:
            display = server.stdout.readline().decode().strip()
            assert display
            test = str(Path(__file__).with_name("drag_on_x.py"))
            environment = os.environ | {"DISPLAY": f":{display}", "QT_QPA_PLATFORM": "xcb"}
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
                env=environment,
                cwd=Path(__file__).parents[2],
                capture_output=True,
                text=True,
                timeout=120,
            )
        finally:
            server.terminate()
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout

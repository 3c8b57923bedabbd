"""What devices need of the person: the panel over every page, the kill switches, the words."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any, get_args

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit
from pytestqt.qtbot import QtBot
from twinhull_client.gui.device_panel import REST_MS, DevicePanel
from twinhull_client.gui.device_switches import SwitchBar
from twinhull_client.gui.device_words import (
    ICONS,
    device_name,
    kind_words,
    name_parts,
    place_words,
    why_words,
)
from twinhull_client.gui.resources import asset
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import DeviceInfo, DeviceState, KillSwitch
from twinhull_policy.errors import ErrorReport
from twinhull_policy.kinds import Kind

from tests.gui.conftest import OpenWindow
from tests.support.demonstration import demonstration_devices
from tests.support.standin_daemon import StandInDaemon

WAIT = 60000
STICK, WEBCAM, KEYBOARD = "usb-1-2", "usb-1-3", "usb-2-1"
BOTH = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


def device(id_: str = STICK, **changes: Any) -> DeviceInfo:
    """One of the stand-in's devices, changed."""
    found = next(d for d in demonstration_devices() if d.id == id_)
    return msgspec.structs.replace(found, **changes)


@pytest.fixture
def panel(window: MainWindow, qtbot: QtBot) -> DevicePanel:
    """The panel of a window that has shown the stand-in's devices."""
    qtbot.waitUntil(window.desk.panel.isVisible, timeout=WAIT)
    return window.desk.panel


def put(standin: StandInDaemon, *devices: DeviceInfo) -> None:
    """From now on these are the devices."""
    standin.devices = list(devices)
    standin.announce("devices")


def shows(panel: DevicePanel, id_: str) -> bool:
    return panel.device is not None and panel.device.id == id_ and panel.isVisible()


def answers(standin: StandInDaemon) -> list[tuple[object, ...]]:
    return [arguments for name, arguments in standin.calls if name == "answer_device"]


# -- what asks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["home", "corporate", "both", "devices", "log"])
def test_what_asks_is_above_every_page_and_takes_no_keyboard(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot, view: str
) -> None:
    put(standin)
    qtbot.waitUntil(lambda: not window.desk.panel.isVisible(), timeout=WAIT)
    window.show_view(view)
    before = QApplication.focusWidget()
    put(standin, device())
    qtbot.waitUntil(window.desk.panel.isVisible, timeout=WAIT)
    assert QApplication.focusWidget() is before
    strip, panel, pages = window.strip, window.desk.panel, window.pages
    assert strip.isVisible()
    assert (
        panel.mapTo(window, panel.rect().bottomLeft()).y() <= pages.mapTo(window, pages.rect().topLeft()).y()
    )
    assert panel.mapTo(window, panel.rect().topLeft()).y() >= strip.height()


@pytest.mark.parametrize(
    ("targets", "remember"),
    list(itertools.product((["corporate"], ["personal"], ["corporate", "personal"]), (True, False))),
)
def test_choices_are_the_targets_and_remember_only_where_it_may(
    panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot, targets: list[str], remember: bool
) -> None:
    put(standin, device(targets=targets, remember=remember))
    qtbot.waitUntil(lambda: shows(panel, STICK), timeout=WAIT)
    assert {verb for verb, made in panel.buttons.items() if made.isVisible()} == {*targets, "deny"}
    assert panel.remember.isVisible() == remember
    assert "company-sticks" in panel.why.text()


@pytest.mark.parametrize(("verb", "remember"), [("personal", True), ("corporate", False), ("deny", True)])
def test_an_answer_goes_to_the_daemon(
    panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot, verb: str, remember: bool
) -> None:
    put(standin, device())
    qtbot.waitUntil(lambda: shows(panel, STICK), timeout=WAIT)
    made = next(button for name, button in panel.buttons.items() if name == verb)
    qtbot.waitUntil(made.isEnabled, timeout=WAIT)
    assert not panel.remember.isChecked()
    panel.remember.setChecked(remember)
    made.click()
    qtbot.waitUntil(lambda: not panel.isVisible(), timeout=WAIT)
    assert answers(standin) == [("1-2", verb, remember)]


def test_storage_can_be_given_to_be_read_and_that_is_not_remembered(
    panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    put(standin, device())
    qtbot.waitUntil(lambda: shows(panel, STICK), timeout=WAIT)
    assert panel.read_only.isVisible() and not panel.read_only.isChecked()
    panel.remember.setChecked(True)
    panel.read_only.click()
    assert not panel.remember.isEnabled()
    qtbot.waitUntil(panel.buttons["personal"].isEnabled, timeout=WAIT)
    panel.buttons["personal"].click()
    qtbot.waitUntil(lambda: not panel.isVisible(), timeout=WAIT)
    assert answers(standin) == []
    assert ("attach_device", ("1-2", "personal", True)) in standin.calls
    put(standin, device(WEBCAM, state="asking", targets=["personal"], remember=True))
    qtbot.waitUntil(lambda: shows(panel, WEBCAM), timeout=WAIT)
    assert not panel.read_only.isVisible() and panel.remember.isEnabled()


def test_a_click_meant_for_another_device_answers_nothing(
    panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    put(standin, device(), device(WEBCAM, state="asking", targets=["corporate", "personal"], remember=True))
    qtbot.waitUntil(lambda: shows(panel, STICK), timeout=WAIT)
    button = panel.buttons["corporate"]
    assert not button.isEnabled()  # it has only just appeared
    qtbot.waitUntil(button.isEnabled, timeout=WAIT)
    panel.remember.setChecked(True)
    put(standin, device(facts_sha256="cd" * 32))  # pulled out, and something else in the same port
    qtbot.waitUntil(lambda: not button.isEnabled(), timeout=WAIT)
    button.click()
    assert not panel.remember.isChecked()
    QTest.qWait(REST_MS // 2)
    assert not button.isEnabled()
    qtbot.waitUntil(button.isEnabled, timeout=WAIT)
    assert answers(standin) == []


def test_several_queue_up_and_can_be_put_off(
    window: MainWindow, panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    webcam = device(WEBCAM, state="asking", targets=["personal"], attached_to="")
    put(standin, device(), webcam)
    qtbot.waitUntil(lambda: shows(panel, STICK) and panel.waiting == 2, timeout=WAIT)
    assert panel.count.text() == "1 more after this"
    qtbot.waitUntil(panel.later.isEnabled, timeout=WAIT)
    panel.later.click()
    assert shows(panel, WEBCAM)
    assert not panel.count.isVisible()
    qtbot.waitUntil(panel.later.isEnabled, timeout=WAIT)
    panel.later.click()
    assert not panel.isVisible()
    assert window.buttons["devices"].text() == "Devices (2)"  # not forgotten
    QTest.keyClick(window, Qt.Key.Key_U, BOTH)
    assert window.view == "devices"
    assert panel.isVisible()
    standin.announce("devices")
    QTest.qWait(200)
    assert panel.waiting == 2


def test_the_answer_can_be_given_by_keyboard_from_a_guests_screen(
    window: MainWindow, panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    put(standin, device(targets=["personal"]))
    window.show_view("corporate")
    qtbot.waitUntil(lambda: shows(panel, STICK) and panel.buttons["personal"].isEnabled(), timeout=WAIT)
    QTest.keyClick(window.screens["corporate"], Qt.Key.Key_A, BOTH)
    assert QApplication.focusWidget() is panel.buttons["personal"]
    assert window.strip.context == "host"
    QTest.keyClick(panel.buttons["personal"], Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: answers(standin) == [("1-2", "personal", False)], timeout=WAIT)


def test_a_refused_answer_says_why_and_can_be_given_again(
    panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.fail("answer_device", ErrorReport("TH-DEV-203", "The screen is locked.", "Unlock it.", 4))
    put(standin, device())
    qtbot.waitUntil(lambda: shows(panel, STICK) and panel.buttons["personal"].isEnabled(), timeout=WAIT)
    panel.buttons["personal"].click()
    qtbot.waitUntil(panel.problem.isVisible, timeout=WAIT)
    assert panel.problem.sentence.text() == "The screen is locked."
    assert "TH-DEV-203" in panel.problem.next_step.text()
    standin.allow("answer_device")
    panel.buttons["personal"].click()
    qtbot.waitUntil(lambda: not panel.isVisible(), timeout=WAIT)


def test_without_a_daemon_nothing_is_asked(
    window: MainWindow, panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.deny("get_status")
    standin.announce("devices")
    qtbot.waitUntil(lambda: window.status is None, timeout=WAIT)
    assert not panel.isVisible()
    assert window.pages.currentWidget() is window.unreachable


# -- new keyboards -------------------------------------------------------------------------------------


def test_a_new_keyboard_comes_first_with_its_code(
    panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    assert shows(panel, KEYBOARD)  # though a stick has been asking before it
    assert [digit.text() for digit in panel.code.digits] == list("482913")
    assert [digit.property("typed") for digit in panel.code.digits] == [True, True, *[False] * 4]
    assert panel.progress.text() == "2 of 6 digits typed."
    assert "pull out" in panel.why.text()
    assert "port 2-1" in panel.why.text()
    assert panel.code.accessibleName() == "Code 4 8 2 9 1 3; 2 of 6 digits typed"
    assert not any(made.isVisible() for made in panel.buttons.values())
    for typed, words in ((6, "Now Enter"), (0, "That was not the code"), (1, "1 of 6 digits typed.")):
        standin.devices = [device(KEYBOARD, typed=typed)]
        standin.announce("devices")
        qtbot.waitUntil(partial(_says, panel.progress, words), timeout=WAIT)
    put(standin, device(KEYBOARD, typed=0))  # that one was taken back with Backspace
    qtbot.waitUntil(lambda: not panel.code.digits[0].property("typed"), timeout=WAIT)
    put(standin, device(KEYBOARD, state="host", code="", typed=0))
    qtbot.waitUntil(lambda: not panel.isVisible(), timeout=WAIT)


def test_a_keyboard_that_waits_for_its_turn_shows_no_empty_code(
    window: MainWindow, panel: DevicePanel, standin: StandInDaemon, qtbot: QtBot
) -> None:
    put(standin, device(KEYBOARD, code="", typed=0))
    qtbot.waitUntil(lambda: not panel.isVisible(), timeout=WAIT)
    assert "once those before it are done" in window.desk.page.rows[KEYBOARD].why.text()


# -- kill switches -------------------------------------------------------------------------------------


def _says(label: QLabel, words: str) -> bool:
    return words in label.text()


def _ready(button: QAbstractButton) -> bool:
    return button.isVisible() and button.isEnabled()


def _all_are(bars: tuple[SwitchBar, ...], kind: KillSwitch, off: bool) -> bool:
    return all(bar.is_off(kind) == off for bar in bars)


@pytest.mark.parametrize(("kind", "other"), [("camera", "microphone"), ("microphone", "camera")])
@pytest.mark.parametrize("view", ["home", "devices"])
def test_a_switch_shows_what_the_daemon_says(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot, kind: KillSwitch, other: KillSwitch, view: str
) -> None:
    window.show_view(view)
    bars = (window.home.switches, window.desk.page.switches)
    shown = bars[0] if view == "home" else bars[1]
    for off in (True, False):
        made = next(button for name, button in shown.buttons.items() if name == kind)
        qtbot.waitUntil(partial(_ready, made), timeout=WAIT)
        made.click()
        qtbot.waitUntil(partial(_all_are, bars, kind, off), timeout=WAIT)
        assert ("off" in made.text()) == off
        assert made.accessibleName().startswith(made.text().strip())
        assert not any(bar.is_off(other) for bar in bars)
    assert [call for call in standin.calls if call[0] == "set_kill_switch"] == [
        ("set_kill_switch", (kind, True)),
        ("set_kill_switch", (kind, False)),
    ]


def test_a_switch_that_is_off_is_off_in_the_next_window(
    window: MainWindow, standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    window.home.switches.buttons["camera"].click()
    qtbot.waitUntil(lambda: window.home.switches.is_off("camera"), timeout=WAIT)
    window.close()
    again = open_window()
    qtbot.waitUntil(lambda: again.home.switches.is_off("camera"), timeout=WAIT)
    assert not again.home.switches.is_off("microphone")


def test_a_switch_that_fails_says_so_where_it_was_pressed(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    report = ErrorReport("TH-DEV-209", "A partition still has it.", "Stop the partition.", 1)
    standin.fail("set_kill_switch", report)
    bar = window.home.switches
    bar.buttons["camera"].click()
    qtbot.waitUntil(window.home.switch_problem.isVisible, timeout=WAIT)
    assert "TH-DEV-209" in window.home.switch_problem.next_step.text()
    assert not bar.is_off("camera")
    assert bar.buttons["camera"].isEnabled()


# -- words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "parts"),
    [
        (Kind.CAMERA, "Logitech C920 (camera), left port", ("Logitech C920 webcam", "left port")),
        (
            Kind.STORAGE,
            "A (camera), left port (storage), port 1-2",
            ("A (camera), left port storage", "port 1-2"),
        ),
        (Kind.KEYBOARD, "Cherry Keyboard (keyboard), port 1-1", ("Cherry Keyboard", "port 1-1")),
        (Kind.OTHER, " (other), port 1-1", ("Unnamed device", "port 1-1")),
        (Kind.AUDIO, "PCI audio 8086:51c8, slot 0000:00:1f.3", ("PCI audio 8086:51c8", "slot 0000:00:1f.3")),
        (Kind.STORAGE, "a\x1b\u202eb\n (storage), x", ("a\ufffd\ufffdb\ufffd storage", "x")),
        (Kind.HUB, "no comma", ("no comma", "")),
    ],
)
def test_devices_are_called_what_people_call_them(kind: Kind, name: str, parts: tuple[str, str]) -> None:
    assert name_parts(device(kind=kind, name=name)) == parts


@pytest.mark.parametrize("state", get_args(DeviceState))
def test_every_state_and_kind_has_words_without_jargon(state: DeviceState) -> None:
    for kind, rule in itertools.product(Kind, ("host:hub", "corporate:a owner:b", "answer", "default")):
        shown = device(
            state=state, kind=kind, rule=rule, reason="The policy takes it for the corporate partition."
        )
        badge, _tone = place_words(shown)
        words = f"{badge} {why_words(shown)} {device_name(shown)}"
        assert badge
        assert why_words(shown).endswith(".")
        for jargon in ("partition", "virtual", "guest", "udev", "USB class", "{"):
            assert jargon not in words
    assert len({kind_words(kind) for kind in Kind}) == len(Kind)
    for picture in ICONS.values():
        assert asset(f"icons/{picture}.svg").is_file()


def test_names_of_devices_are_text_and_stay_in_their_place(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    evil = "<b>&amp;<img src='file:///etc/passwd'>\u202e\x07 " + "W" * 300
    put(
        standin,
        device(name=f"{evil} (storage), {evil}", rule=f"owner:{evil}", reason=evil),
        device(WEBCAM, name=f"{evil} (camera), port 1-3", reason=evil),
    )
    window.show_view("devices")
    width = window.width()
    qtbot.waitUntil(lambda: shows(window.desk.panel, STICK) and len(window.desk.page.rows) == 2, timeout=WAIT)
    window.desk.page.rows[WEBCAM].more.click()
    QTest.qWait(100)
    assert window.width() == width
    for root in (window.desk.panel, window.desk.page):
        for shown in root.findChildren(QLabel):
            assert shown.textFormat() == Qt.TextFormat.PlainText, shown.text()
            assert "\u202e" not in shown.text() + shown.toolTip() + shown.accessibleName()
            assert "\x07" not in shown.text()
            assert "<img" not in shown.toolTip()
    for row in window.desk.page.rows.values():
        assert row.name.text().endswith("…")
        assert row.name.geometry().right() <= row.badge.geometry().left()
        assert row.mapTo(window, row.rect().bottomRight()).x() <= window.width()


def test_every_control_about_a_device_names_it(window: MainWindow, panel: DevicePanel, qtbot: QtBot) -> None:
    window.show_view("devices")
    page = window.desk.page
    for row in page.rows.values():
        row.more.click()
        for kind in (QAbstractButton, QLineEdit):
            for control in row.findChildren(kind):
                assert device_name(row.device) in control.accessibleName(), control
    for kind in (QAbstractButton, QLineEdit):
        for control in (*page.findChildren(kind), *panel.findChildren(kind), *window.rail.findChildren(kind)):
            if control.isVisible():
                assert control.accessibleName(), control


def test_tab_reaches_every_control(window: MainWindow, panel: DevicePanel) -> None:
    window.show_view("devices")
    page = window.desk.page
    controls = (*page.findChildren(QAbstractButton), *panel.findChildren(QAbstractButton))
    wanted = {control for control in controls if control.isVisible() and control.isEnabled()}
    reached = set()
    widget = window.nextInFocusChain()
    while widget is not None and widget is not window:
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            reached.add(widget)
        widget = widget.nextInFocusChain()
    assert wanted <= reached
    assert wanted

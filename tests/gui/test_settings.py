"""What the owner chooses: seen at once, kept, undone, reset, and refused where it would not do."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot
from twinhull_client.gui import main as gui_main
from twinhull_client.gui.choices import DEFAULT_LOOKS, PATTERNS, PHRASE_CHARACTERS, Choices, Look
from twinhull_client.gui.chords import DEFAULTS, Chords
from twinhull_client.gui.settings_page import SettingsPage
from twinhull_client.gui.theme import tokens
from twinhull_client.gui.window import MainWindow

from tests.gui.conftest import OpenWindow
from tests.support.demonstration import demonstration_devices
from tests.support.standin_daemon import StandInDaemon

WAIT_MS = 20_000
CHORD = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot) -> SettingsPage:
    """The page, opened by its chord."""
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=WAIT_MS)
    QTest.keyClick(window, Qt.Key.Key_S, CHORD)
    assert window.pages.currentWidget() is window.side.settings
    return window.side.settings


def press(page: SettingsPage, key: Qt.Key, held: Qt.KeyboardModifier = CHORD) -> None:
    """Press a key in whatever has the keyboard."""
    QTest.keyClick(QApplication.focusWidget() or page, key, held)


# -- phrase, colours, patterns -----------------------------------------------------------------------------


def test_a_phrase_is_in_the_strip_at_once_and_after_the_next_start(
    page: SettingsPage, window: MainWindow, open_window: OpenWindow, qtbot: QtBot
) -> None:
    assert page.phrase.hasFocus()
    assert page.phrase.selectedText() == "amber kettle"
    QTest.keyClicks(page.phrase, "walrus at teatime")
    QTest.keyClick(page.phrase, Qt.Key.Key_Return)
    assert window.strip.phrase == "walrus at teatime"
    again = open_window()
    qtbot.waitUntil(lambda: again.strip.phrase == "walrus at teatime", timeout=WAIT_MS)
    page.undo.click()
    assert window.strip.phrase == "amber kettle"
    assert page.phrase.text() == "amber kettle"
    assert not page.undo.isEnabled()


def test_who_may_not_read_the_settings_does_not_learn_the_phrase(tmp_path: Path) -> None:
    path = tmp_path / "own.ini"
    path.write_text("")
    path.chmod(0o644)
    assert Choices(QSettings(str(path), QSettings.Format.IniFormat)).choose_phrase("walrus") == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "walrus" in path.read_text()
    another = QSettings(str(path), QSettings.Format.IniFormat)
    another.setValue("view", "home")
    another.sync()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("phrase", "why"),
    [
        ("ab", "3 characters or more"),
        ("x" * (PHRASE_CHARACTERS + 1), "40 characters or fewer"),
        ("amber\u202ekettle", "cannot"),
        ("amber\u200bkettle", "cannot"),
    ],
)
def test_a_phrase_that_would_not_do_is_refused_in_a_sentence(
    page: SettingsPage, window: MainWindow, phrase: str, why: str
) -> None:
    page.phrase.clear()
    page.phrase.insert(phrase)
    QTest.keyClick(page.phrase, Qt.Key.Key_Return)
    assert why in page.phrase_refusal.text()
    assert page.phrase_refusal.isVisible()
    assert window.strip.phrase == "amber kettle"
    assert not page.undo.isEnabled()


def test_colours_and_patterns_are_worn_everywhere_at_once(page: SettingsPage, window: MainWindow) -> None:
    page.looks["corporate"].colours.buttons["violet"].click()
    page.looks["corporate"].patterns.buttons["bars"].click()
    assert window.choices.looks == {
        "corporate": Look("violet", "bars"),
        "personal": DEFAULT_LOOKS["personal"],
    }
    window.show_view("corporate")
    picture = window.grab().toImage()
    violet = tokens().palette["violet"]
    seen = {picture.pixelColor(x, 2).name() for x in range(0, picture.width(), 2)}
    assert {QColor(violet.ground).name(), QColor(violet.pattern).name()} <= seen
    assert QColor(tokens().palette["blue"].ground).name() not in seen
    assert violet.ground in window.home.partitions["corporate"]._picture.styleSheet()


def test_both_computers_never_look_alike(page: SettingsPage, window: MainWindow) -> None:
    picker = page.looks["corporate"]
    for options, wanted, kept, part in (
        (picker.colours, "orange", "blue", "colour"),
        (picker.patterns, "dots", "stripes", "pattern"),
    ):
        options.buttons[wanted].click()
        assert (
            picker.refusal.text()
            == f"The other computer has that {part}, and you are to tell them apart by it."
        )
        assert picker.refusal.isVisible()
        assert options.buttons[kept].isChecked()
        assert not options.buttons[wanted].isChecked()
    assert window.choices.looks == DEFAULT_LOOKS


@pytest.mark.parametrize(
    "values",
    [
        {"look/corporate/colour": "orange"},
        {"look/corporate/pattern": "dots"},
        {"look/corporate/colour": "invisible", "look/personal/pattern": "stripes"},
        {"look/personal/colour": "#ffffff"},
    ],
)
def test_settings_that_make_no_sense_leave_the_strip_its_colours(
    tmp_path: Path, values: dict[str, str]
) -> None:
    settings = QSettings(str(tmp_path / "own.ini"), QSettings.Format.IniFormat)
    for key, value in values.items():
        settings.setValue(key, value)
    assert Choices(settings).looks == DEFAULT_LOOKS


def test_every_choice_has_a_name_and_every_pattern_is_another(page: SettingsPage) -> None:
    for picker in page.looks.values():
        assert set(picker.colours.buttons) == set(tokens().palette)
        assert set(picker.patterns.buttons) == set(PATTERNS)
        pictures = [made.icon().pixmap(34, 18).toImage() for made in picker.patterns.buttons.values()]
        assert all(a != b for n, a in enumerate(pictures) for b in pictures[:n])


# -- undo and defaults -------------------------------------------------------------------------------------


def test_every_change_can_be_undone_and_all_be_reset(page: SettingsPage, window: MainWindow) -> None:
    assert not page.reset.isEnabled()
    page.choices.choose_phrase("walrus")
    page.choices.choose_look("personal", Look("green", "checks"))
    page.choices.choose_chord("home", "Ctrl+Alt+G")
    page.choices.choose_language("de")
    page.reset.click()
    assert window.choices.looks == DEFAULT_LOOKS
    assert window.chords.text("home") == DEFAULTS["home"]
    assert (window.choices.phrase, window.choices.language) == ("", "system")
    assert not page.reset.isEnabled()
    page.undo.click()
    assert window.choices.looks["personal"] == Look("green", "checks")
    assert window.chords.text("home") == "Ctrl+Alt+G"
    assert (window.choices.phrase, window.choices.language) == ("walrus", "de")
    for _ in range(4):
        page.undo.click()
    assert not page.undo.isEnabled()
    assert window.choices.are_defaults


# -- key combinations --------------------------------------------------------------------------------------


def test_a_combination_is_recorded_by_pressing_it_and_holds_at_once(
    page: SettingsPage, window: MainWindow
) -> None:
    card = page.chords
    card.changes["personal"].click()
    assert card.texts["personal"].text() == "Press the keys…"
    press(page, Qt.Key.Key_Control, Qt.KeyboardModifier.ControlModifier)  # not yet one
    press(page, Qt.Key.Key_G)
    assert (card.recording, card.texts["personal"].text()) == ("", "Ctrl+Alt+G")
    assert window.pages.currentWidget() is page
    press(page, Qt.Key.Key_2)  # what it was
    assert window.view == "home"
    press(page, Qt.Key.Key_G)
    assert window.view == "personal"
    assert "Ctrl+Alt+G" in window.buttons["personal"].toolTip()


@pytest.mark.parametrize(
    ("key", "held", "why"),
    [
        (Qt.Key.Key_L, CHORD, "“Lock” has that combination."),
        (Qt.Key.Key_L, CHORD | Qt.KeyboardModifier.ShiftModifier, "“Lock” has that combination."),
        (Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier, "Press one key with two of Ctrl, Alt and Meta"),
        (Qt.Key.Key_G, Qt.KeyboardModifier.NoModifier, "Press one key with two of Ctrl, Alt and Meta"),
        (Qt.Key.Key_F1, CHORD, "The system takes that combination itself."),
        (Qt.Key.Key_Delete, CHORD, "The system takes that combination itself."),
    ],
)
def test_a_combination_that_would_not_do_is_refused_in_a_sentence(
    page: SettingsPage, window: MainWindow, key: Qt.Key, held: Qt.KeyboardModifier, why: str
) -> None:
    page.chords.record("home")
    press(page, key, held)
    assert page.chords.refusal.text().startswith(why)
    assert page.chords.refusal.isVisible()
    assert page.chords.changes["home"].accessibleDescription() == page.chords.refusal.text()
    assert not window.lock_cover.isVisible()
    assert page.chords.recording == "home"
    press(page, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    assert (page.chords.recording, window.chords.text("home")) == ("", DEFAULTS["home"])
    assert window.pages.currentWidget() is page  # Escape ended the change alone


def test_who_leaves_the_page_records_nothing_more(page: SettingsPage, window: MainWindow) -> None:
    page.chords.record("home")
    window.show_view("corporate")
    assert page.chords.recording == ""
    QTest.keyClick(window.screens["corporate"], Qt.Key.Key_2, CHORD)
    assert window.view == "personal"


def test_two_that_only_shift_tells_apart_are_a_conflict_in_the_file_too(tmp_path: Path) -> None:
    settings = QSettings(str(tmp_path / "own.ini"), QSettings.Format.IniFormat)
    settings.setValue("chords/home", "Ctrl+Alt+Shift+L")
    assert Chords(settings).text("home") == DEFAULTS["home"]


def test_texts_that_name_a_combination_follow_it(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.devices = demonstration_devices()
    standin.set_partition("personal", state="stopped")
    window = open_window()
    qtbot.waitUntil(window.desk.panel.isVisible, timeout=WAIT_MS)
    assert window.strip.hint == "Keys: hold Ctrl+Alt"
    assert window.desk.panel.keys.text() == "Answer by keyboard: Ctrl+Alt+A"
    for action in DEFAULTS:
        window.choices.choose_chord(action, DEFAULTS[action].replace("Ctrl+Alt", "Meta+Alt"))
    assert window.strip.hint == "Keys: hold " + window.chords.text("home").rpartition("+")[0]
    assert "Ctrl" not in window.strip.hint
    for text in (window.desk.panel.keys.text(), window.buttons["home"].toolTip()):
        assert "Meta" in text
        assert "Ctrl" not in text
    assert (
        "Ctrl" not in window.screens["personal"].accessibleDescription() + window.screens["personal"].message
    )
    window.show_view("corporate")
    assert "Ctrl" not in window.strip.hint
    held = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_Alt, CHORD)
    assert not window.chords.held(held.modifiers())


# -- language ----------------------------------------------------------------------------------------------


def test_the_language_of_the_settings_is_spoken_and_another_from_the_next_window_on(
    standin: StandInDaemon, qtbot: QtBot, qapp: QApplication, tmp_path: Path
) -> None:
    own = tmp_path / "config"
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(own))
    settings = QSettings("Twinhull", "Twinhull")
    settings.setValue("language", "de")
    settings.sync()
    said: list[str] = []
    steps: list[Callable[[MainWindow], object]] = [
        lambda window: window.side.settings.language.buttons["en"].click(),
        lambda window: window.side.settings.begin_anew.click(),
        lambda window: window.close(),
    ]

    def step() -> None:
        for window in qapp.topLevelWidgets():
            if isinstance(window, MainWindow) and window.isVisible() and window.status is not None:
                said.append(next(each.text() for each in window.home.findChildren(QLabel) if each.text()))
                steps.pop(0)(window)
                return

    timer = QTimer(interval=50)
    timer.timeout.connect(step)
    timer.start()
    stop = QTimer(singleShot=True, interval=WAIT_MS)
    stop.timeout.connect(qapp.quit)
    stop.start()
    assert gui_main.main([]) == 0
    timer.stop()
    stop.stop()
    assert steps == []
    assert said == ["Ihre zwei Rechner", "Ihre zwei Rechner", "Your two computers"]
    assert QSettings("Twinhull", "Twinhull").value("language") == "en"


# -- the first run -----------------------------------------------------------------------------------------


def test_the_first_run_offers_phrase_and_colours_once(
    window: MainWindow, open_window: OpenWindow, qtbot: QtBot
) -> None:
    card = window.home.welcome
    assert card.isVisible()
    assert "“amber kettle”" in card.sentence.text()
    card.change.click()
    assert window.pages.currentWidget() is window.side.settings
    QTest.keyClick(window.side.settings, Qt.Key.Key_Escape)
    assert window.pages.currentWidget() is window.home
    assert not card.isVisible()
    again = open_window()
    qtbot.waitUntil(lambda: again.status is not None, timeout=WAIT_MS)
    assert not again.home.welcome.isVisible()


def test_keeping_them_is_an_answer_too(window: MainWindow) -> None:
    window.home.welcome.stay.click()
    assert not window.home.welcome.isVisible()
    assert window.choices.welcomed
    assert not window.choices.can_undo

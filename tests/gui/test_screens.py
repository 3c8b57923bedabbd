"""Screens through real viewers from real SPICE servers, compared to the pixel; and the ways to show them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from twinhull_client.gui import main
from twinhull_client.gui.main import Screenshot
from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.strip import HEIGHT
from twinhull_client.gui.window import MainWindow

from tests.gui.conftest import OpenWindow
from tests.support.cli import twinhull
from tests.support.painter import CHECKER, COLOURS, connect, expected, painting_guests
from tests.support.standin_daemon import StandInDaemon

CHORD = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
PATIENCE = 60000
STEP = 8
"""The guests' display has a width in steps of this many pixels (VBE)."""


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Both guests; they outlive the windows that look at them, as real ones do."""
    with painting_guests(tmp_path_factory.mktemp("guests")) as sockets:
        yield sockets


@pytest.fixture
def shown(
    guests: dict[str, Path], standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> MainWindow:
    """A window with both guests' screens."""
    qtbot.waitUntil(lambda: all(path.exists() for path in guests.values()), timeout=PATIENCE)
    standin.display = lambda name: connect(guests[name])
    standin.devices = []  # none waits above the page
    window = open_window()
    window.resize(900, 640)
    return window


def paints(screen: GuestScreen, *, inverted: bool = False) -> bool:
    """Whether the screen shows its own guest's pattern to the pixel, as large as the guest can make it."""
    frame, room = screen.link.frame, screen.room()
    if frame is None:
        return False
    size = frame.rect.size()
    if (size.width(), size.height()) != (room.width() // STEP * STEP, room.height()):
        return False
    picture = screen.grab(screen.target().toRect()).toImage().convertToFormat(QImage.Format.Format_RGB32)
    return picture == expected(screen.link.partition, size.width(), size.height(), inverted=inverted)


def test_the_guest_follows_the_window_to_the_pixel(shown: MainWindow, qtbot: QtBot) -> None:
    shown.show_view("corporate")
    screen = shown.screens["corporate"]
    for width, height in ((900, 640), (1100, 700), (740, 560)):
        shown.resize(width, height)
        qtbot.waitUntil(lambda: paints(screen), timeout=PATIENCE)
        assert screen.room().height() == height - HEIGHT
    QTest.keyClick(screen, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: paints(screen, inverted=True), timeout=PATIENCE)
    QTest.keyClick(screen, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: paints(screen), timeout=PATIENCE)


def test_side_by_side_and_after_a_crash_each_shows_its_own(shown: MainWindow, qtbot: QtBot) -> None:
    shown.show_view("both")
    screens = shown.screens
    qtbot.waitUntil(lambda: all(paints(screen) for screen in screens.values()), timeout=PATIENCE)
    old = {name: link.pid for name, link in shown.links.items()}
    seen: list[bool] = []
    corporate, personal = screens["corporate"], screens["personal"]
    assert not _shows_foreign_pixels(corporate)
    shown.links["corporate"].frame_changed.connect(lambda: seen.append(_shows_foreign_pixels(corporate)))
    os.kill(old["corporate"] or 0, signal.SIGKILL)
    qtbot.waitUntil(lambda: len(seen) >= 2 and paints(screens["corporate"]), timeout=PATIENCE)
    assert not any(seen)
    shown.links["corporate"].frame = shown.links["personal"].frame  # the check itself can tell
    assert _shows_foreign_pixels(corporate)
    assert shown.links["corporate"].pid != old["corporate"]
    assert shown.links["personal"].pid == old["personal"]
    assert paints(personal)


def _shows_foreign_pixels(screen: GuestScreen) -> bool:
    """Whether any of the pixels looked at has a colour that only the other guest paints with."""
    if screen.link.frame is None:
        return False
    other = "personal" if screen.link.partition == "corporate" else "corporate"
    foreign = {colour ^ tone ^ c for colour in COLOURS[other] for tone in (0, 0xFFFFFF) for c in (0, CHECKER)}
    few = screen.link.frame.image.scaled(96, 96)
    return any(few.pixel(x, y) & 0xFFFFFF in foreign for x in range(96) for y in range(96))


def test_a_hidden_screen_rests_and_is_current_when_seen_again(shown: MainWindow, qtbot: QtBot) -> None:
    shown.show_view("corporate")
    screen, link = shown.screens["corporate"], shown.links["corporate"]
    qtbot.waitUntil(lambda: paints(screen), timeout=PATIENCE)
    told: list[QRect] = []
    shown.show_view("home")
    link.damaged.connect(told.append)
    for _ in range(6):  # each inverts the whole screen
        QTest.keyClick(screen, Qt.Key.Key_A)
    personal = shown.links["personal"]  # its answer to the same keys bounds how long the other has had
    shown.show_view("personal")
    qtbot.waitUntil(lambda: paints(shown.screens["personal"]), timeout=PATIENCE)
    QTest.keyClick(shown.screens["personal"], Qt.Key.Key_A)
    qtbot.waitUntil(lambda: paints(shown.screens["personal"], inverted=True), timeout=PATIENCE)
    QTest.keyClick(shown.screens["personal"], Qt.Key.Key_A)
    assert personal.frame is not None
    assert len(told) <= 1  # at most the one that was on its way
    shown.show_view("corporate")
    qtbot.waitUntil(lambda: paints(screen), timeout=PATIENCE)


def test_the_small_picture_is_the_other_one_and_takes_no_keys(shown: MainWindow, qtbot: QtBot) -> None:
    shown.show_view("corporate")
    qtbot.waitUntil(lambda: paints(shown.screens["corporate"]), timeout=PATIENCE)
    QTest.keyClick(shown.screens["corporate"], Qt.Key.Key_P, CHORD)
    small, page = shown.screens["personal"], shown.screens_page
    assert small.small
    assert page.strips["personal"].isVisible()
    assert not page.strips["corporate"].isVisible()
    panel = page.panels["personal"].geometry()
    assert panel.width() * panel.height() < page.width() * page.height() / 8
    qtbot.waitUntil(lambda: small.link.frame is not None, timeout=PATIENCE)
    qtbot.waitUntil(
        lambda: page.grab().toImage().pixelColor(panel.center()) != Qt.GlobalColor.black, timeout=PATIENCE
    )
    QTest.mouseClick(small, Qt.MouseButton.LeftButton, pos=QPoint(20, 20))
    assert shown.view == "personal"
    assert not small.small
    assert shown.screens["corporate"].small
    qtbot.waitUntil(lambda: paints(small), timeout=PATIENCE)


def test_a_picture_waits_until_each_screen_has_been_drawn_on(
    shown: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.show_view("both")
    qtbot.waitUntil(lambda: all(paints(screen) for screen in shown.screens.values()), timeout=PATIENCE)
    picture = Screenshot(shown, str(tmp_path / "never.png"), 600, 60, drawn=True)
    screen = shown.screens["corporate"]
    for inverted in (True, False):  # what these guests paint has eight colours: next to nothing
        QTest.keyClick(screen, Qt.Key.Key_A)
        qtbot.waitUntil(lambda: paints(screen, inverted=inverted), timeout=PATIENCE)  # noqa: B023
        assert not picture.settling.isActive()
    monkeypatch.setattr(main, "DRAWN_COLOURS", 8)
    QTest.keyClick(screen, Qt.Key.Key_A)
    qtbot.waitUntil(picture.settling.isActive, timeout=PATIENCE)
    QTest.keyClick(screen, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: paints(screen), timeout=PATIENCE)


@pytest.mark.parametrize(("colours", "drawn"), [(1, False), (15, False), (16, True), (300, True)])
def test_a_screen_counts_as_drawn_on_by_its_colours(colours: int, drawn: bool) -> None:
    image = QImage(40, 30, QImage.Format.Format_RGB32)
    image.fill(0x808080)
    for place in range(colours - 1):
        image.setPixel(place % 40, place // 40, 0xFF000000 | place)
    assert main.has_colours(image, main.DRAWN_COLOURS) is drawn


def test_a_fine_display_gets_its_own_pixels(
    guests: dict[str, Path], standin: StandInDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 200 % the guest has twice as many pixels, and each is one of the display's."""
    standin.display = lambda name: connect(guests[name])
    standin.devices = []
    target = tmp_path / "fine.png"
    monkeypatch.setenv("QT_SCALE_FACTOR", "2")
    arguments = ("--screenshot", str(target), "--view", "corporate", "--settle", "1.5")
    done = twinhull("gui", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    picture = QImage(str(target)).convertToFormat(QImage.Format.Format_RGB32)
    assert picture.width() == 2 * 1440
    screen = picture.copy(200, 2 * HEIGHT, picture.width() - 200, picture.height() - 2 * HEIGHT)
    assert screen == expected("corporate", screen.width(), screen.height())

"""What is the host's stays the host's: the strip's pixels, the chords, the lock."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, QRect, QSettings, Qt
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QRegion
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from sdbus import (
    DbusInterfaceCommonAsync,
    DbusUnprivilegedFlag,
    dbus_method_async,
    dbus_property_async,
    sd_bus_open_system,
)
from sdbus.dbus_proxy_async_interface_base import DBUS_INTERFACE_NAME_TO_CLASS
from twinhull_client.gui.chords import DEFAULTS, Chords, action_words, usable
from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.strip import HEIGHT
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.gui.window import MainWindow
from twinhull_client.viewer import protocol
from twinhull_client.viewer.canvas import sealed_memory

from tests.gui.conftest import OpenWindow
from tests.support.standin_daemon import StandInDaemon

CHORD = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
CLIENT = Path(__file__).resolve().parents[2] / "client"
CHANGES = 1000
GARISH = b"\x55\xff\x00\xff"
"""What the hostile guest paints with; nothing of the host's has this colour."""


class HostileGuest:
    """Speaks the viewer's protocol to a link of the window: all that a guest can make a viewer say."""

    def __init__(self, link: ViewerLink, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.link = link
        self.size = (64, 64)

    def act(self) -> str:
        """Change something at random; says what."""
        what = self.random.choice(("mode", "mode", "cursor", "hidden", "damage"))
        match what:
            case "mode":
                self.size = (self.random.randint(1, 900), self.random.randint(1, 900))
                width, height = self.size
                fd = _painted(width * height)
                self.link._handle(protocol.Frame(width, height, width * 4), fd)
            case "cursor":
                width, height = self.random.randint(1, 256), self.random.randint(1, 256)
                hot = self.random.randint(0, width), self.random.randint(0, height)
                self.link._handle(protocol.Cursor(width, height, *hot), _painted(width * height))
            case "hidden":
                self.link._handle(protocol.CursorHidden(), None)
            case _ if self.link.frame is not None:
                self.link._handle(protocol.Damage(0, 0, *self.size), None)
        return what


def _painted(pixels: int) -> int:
    fd = sealed_memory("garish", pixels * 4)
    with open(fd, "wb", closefd=False) as memory:
        memory.write(GARISH * pixels)
    return fd


def top(window: MainWindow) -> QImage:
    """The window's uppermost pixels as all of the window's parts paint them."""
    image = QImage(window.width(), HEIGHT, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    window.render(painter, QPoint(), QRegion(QRect(0, 0, window.width(), HEIGHT)))
    painter.end()
    return image


def alone(window: MainWindow) -> QImage:
    """The strip by itself."""
    return window.strip.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)


def test_a_thousand_changes_by_a_hostile_guest_touch_no_pixel_of_the_strip(
    window: MainWindow, qtbot: QtBot
) -> None:
    for link in window.links.values():
        link.stop()  # the real viewers; the hostile one speaks for them
    window.client.status.disconnect()  # no fresh status starts them again
    window.resize(820, 560)
    guests = {name: HostileGuest(link, seed) for seed, (name, link) in enumerate(window.links.items())}
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    seen: dict[str, int] = {}
    for step in range(CHANGES):
        if step % 10 == 0:  # the person goes on working meanwhile
            window.act(chance.choice(("corporate", "personal", "both", "corner", "full", "switch")))
            window.show_view(window.view if window.view != "home" else "corporate")
            QApplication.processEvents()
        name = chance.choice(tuple(guests))
        what = guests[name].act()
        seen[what] = seen.get(what, 0) + 1
        screen = window.screens[name]
        # the pointer at the screen's upper edge, where a large one reaches farthest out
        QTest.mouseMove(screen, QPoint(chance.randrange(max(screen.width(), 1)), chance.choice((0, 1, 5))))
        screen._point(QPointF(chance.randrange(max(screen.width(), 1)), 0))
        assert window.strip.isVisible()
        assert window.strip.geometry() == QRect(0, 0, window.width(), HEIGHT)
        assert top(window) == alone(window), (step, what)
        assert screen.cursor().shape() in (Qt.CursorShape.ArrowCursor, Qt.CursorShape.BlankCursor)
        assert window.strip.cursor().shape() == Qt.CursorShape.ArrowCursor
    assert all(seen[what] > 50 for what in ("mode", "cursor", "hidden", "damage"))
    for link in window.links.values():
        link.frame = None


def test_no_part_of_the_window_lies_over_the_strip(window: MainWindow) -> None:
    for view in ("home", "both", "devices"):
        window.show_view(view)
        for part in (window.chord_list, window.lock_cover):
            part.appear()
            for other in window.findChildren(QWidget):
                if other is not window.strip and other.isVisible() and not other.isAncestorOf(window.strip):
                    place = QRect(other.mapTo(window, QPoint()), other.size())
                    assert not place.intersects(window.strip.geometry()), other
            part.hide()


MANY_CALLS = """
import sys
from PySide6.QtCore import QTimer
from twinhull_client.gui.immortal import keep_singletons
keep_singletons()
timer = QTimer()
for _ in range(2 * sys.getrefcount(None) if sys.getrefcount(None) < 1 << 50 else 200_000):
    timer.setInterval(1)
    timer.isActive()
print("alive")
"""


def test_the_app_outlives_any_number_of_qt_calls() -> None:
    """On Python 3.11 PySide6 takes a reference from None with each call (immortal.py)."""
    done = subprocess.run(
        [sys.executable, "-c", MANY_CALLS],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


# -- chords --------------------------------------------------------------------------------------------


def sent_keys(link: ViewerLink) -> list[protocol.Key]:
    """Collects what keys a link is given from now on."""
    keys: list[protocol.Key] = []
    original = link.send_input

    def note(message: protocol.Key | protocol.Pointer | protocol.Button) -> None:
        if isinstance(message, protocol.Key):
            keys.append(message)
        original(message)

    link.send_input = note  # type: ignore[method-assign]  # to look at what goes out
    return keys


def test_chords_are_the_hosts_and_the_guest_is_left_with_no_key_down(window: MainWindow) -> None:
    window.show_view("corporate")
    screen = window.screens["corporate"]
    keys = sent_keys(window.links["corporate"])
    for key, view, context in (
        (Qt.Key.Key_Space, "personal", "personal"),
        (Qt.Key.Key_Space, "corporate", "corporate"),
        (Qt.Key.Key_R, "corporate", "host"),
        (Qt.Key.Key_H, "home", "host"),
        (Qt.Key.Key_Space, "corporate", "corporate"),
    ):
        QTest.keyPress(screen, Qt.Key.Key_Control)
        QTest.keyPress(screen, Qt.Key.Key_Alt, Qt.KeyboardModifier.ControlModifier)
        QTest.keyPress(screen, key, CHORD)
        assert (window.view, window.strip.context) == (view, context)
    down = {each.code for each in keys if each.down}
    assert down == {0x1D, 0x38}  # Ctrl and Alt; of the chord itself nothing
    for code in down:
        assert [each.down for each in keys if each.code == code][-1] is False


def test_every_action_has_a_chord_and_words() -> None:
    assert set(action_words()) == set(DEFAULTS)
    assert all(usable(text) for text in DEFAULTS.values())
    assert len(set(DEFAULTS.values())) == len(DEFAULTS)


@pytest.mark.parametrize(
    "text", ["", "A", "Ctrl+A", "Shift+A", "Ctrl+Shift+A", "Ctrl+Alt", "Ctrl+Alt+A, B", "\x00"]
)
def test_a_chord_that_people_press_in_their_guests_is_refused(text: str) -> None:
    assert usable(text) is None


def test_chosen_chords_last_and_never_leave_an_action_without_one(
    standin: StandInDaemon, open_window: OpenWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    settings = QSettings(str(tmp_path / "chords.ini"), QSettings.Format.IniFormat)
    settings.setValue("chords/home", "Meta+Ctrl+Home")
    again = Chords(settings)
    assert "Home" in again.text("home")
    settings.setValue("chords/switch", "Ctrl+Alt+H")
    settings.setValue("chords/home", "Ctrl+Alt+L")
    settings.setValue("chords/log", "rubbish")
    after = Chords(settings)
    texts = [after.text(action) for action in after]
    assert set(after) == set(DEFAULTS)
    assert len(set(texts)) == len(DEFAULTS)


def test_the_chords_are_shown_while_their_keys_are_held(window: MainWindow, qtbot: QtBot) -> None:
    window.show_view("personal")
    screen = window.screens["personal"]
    QTest.keyPress(screen, Qt.Key.Key_Control)
    QTest.keyPress(screen, Qt.Key.Key_Alt, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(window.chord_list.isVisible, timeout=20000)
    assert window.chord_list.shown == {action: window.chords.text(action) for action in DEFAULTS}
    QTest.keyRelease(screen, Qt.Key.Key_Alt, CHORD)
    assert not window.chord_list.isVisible()


# -- lock ----------------------------------------------------------------------------------------------


SESSION = "org.freedesktop.login1.Session"
# sdbus takes one class for each name, and the daemon, which other tests run in this process, has its own
_OTHER = DBUS_INTERFACE_NAME_TO_CLASS.pop(SESSION, None)


class Session(DbusInterfaceCommonAsync, interface_name=SESSION):
    """The session as logind has it; with ``locker`` its desktop locks when it is asked to."""

    def __init__(self, *, locker: bool) -> None:
        super().__init__()
        self.locker, self.hint = locker, False

    @dbus_method_async(flags=DbusUnprivilegedFlag)
    async def lock(self) -> None:
        """Ask the desktop to lock."""
        if self.locker:
            await self.locked_hint.set_async(True)

    @dbus_property_async("b")
    def locked_hint(self) -> bool:
        """Whether it has."""
        return self.hint

    @locked_hint.setter
    def _set_hint(self, hint: bool) -> None:
        self.hint = hint


del DBUS_INTERFACE_NAME_TO_CLASS[SESSION]
if _OTHER is not None:
    DBUS_INTERFACE_NAME_TO_CLASS[SESSION] = _OTHER


@contextmanager
def logind(*, locker: bool) -> Iterator[tuple[Session, asyncio.AbstractEventLoop]]:
    """logind with one session on the bus that the environment names."""
    session, ready = Session(locker=locker), threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        bus, stop = sd_bus_open_system(), asyncio.Event()
        handle = session.export_to_dbus("/org/freedesktop/login1/session/auto", bus)
        await bus.request_name_async("org.freedesktop.login1", 0)
        loops.append((asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        handle.stop()
        bus.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    loop, stop = loops[0]
    try:
        yield session, loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


def shows_nothing_of_a_guest(window: MainWindow) -> bool:
    """Whether no screen is there to be seen or typed into."""
    screens = window.findChildren(GuestScreen)
    return not any(screen.isVisible() or screen.hasFocus() for screen in screens)


def test_lock_covers_at_once_and_goes_when_the_desktop_is_unlocked(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    with logind(locker=True) as (session, loop):
        window = open_window()
        qtbot.waitUntil(lambda: window.status is not None, timeout=20000)
        window.show_view("both")
        QTest.keyClick(window.screens["corporate"], Qt.Key.Key_L, CHORD)
        # in the same turn, before anybody has been asked
        assert window.lock_cover.isVisible()
        assert shows_nothing_of_a_guest(window)
        assert (window.strip.context, window.strip.phrase) == ("host", "")
        qtbot.waitUntil(lambda: "as you always do" in window.lock_cover.sentence.text(), timeout=20000)
        for action in DEFAULTS:  # no chord leads out of it
            window.act(action)
            assert shows_nothing_of_a_guest(window), action
        assert not window.lock_cover.button.isVisible()
        asyncio.run_coroutine_threadsafe(session.locked_hint.set_async(False), loop).result(20)
        qtbot.waitUntil(lambda: not window.lock_cover.isVisible(), timeout=20000)
        assert window.view == "both"
        assert window.strip.phrase == "amber kettle"
        # locked by the desktop itself, for having been left alone
        asyncio.run_coroutine_threadsafe(session.locked_hint.set_async(True), loop).result(20)
        qtbot.waitUntil(window.lock_cover.isVisible, timeout=20000)
        assert shows_nothing_of_a_guest(window)


def test_lock_without_a_desktop_that_locks_says_so(window: MainWindow, qtbot: QtBot) -> None:
    window.show_view("corporate")
    window.lock()
    assert shows_nothing_of_a_guest(window)
    qtbot.waitUntil(window.lock_cover.button.isVisible, timeout=20000)
    window.lock_cover.button.click()
    assert window.screens["corporate"].isVisible()


def test_a_key_that_is_held_repeats_no_chord(window: MainWindow) -> None:
    repeated = QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_Space, CHORD, " ", True)
    assert window.chords.action(repeated) is None

"""The main window: the strip always on top, the rail, the pages; joins them to the daemon and the viewers."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSettings, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget
from twinhull_policy.api.types import Status
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_client.gui.choices import Choices
from twinhull_client.gui.chords import Chords
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.covers import ChordList, LockCover
from twinhull_client.gui.device_desk import DeviceDesk
from twinhull_client.gui.enrol_card import EnrolDesk
from twinhull_client.gui.exchange import ExchangeDesk
from twinhull_client.gui.exchange_panel import ExchangePanel
from twinhull_client.gui.home import HomePage
from twinhull_client.gui.lock import SessionLock
from twinhull_client.gui.notices import Notice, between, waiting
from twinhull_client.gui.notifier import Notifier
from twinhull_client.gui.pages import LogPage, UnreachablePage
from twinhull_client.gui.partition_desk import PartitionDesk
from twinhull_client.gui.rail import VIEWS, Rail
from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.screen_desk import ScreenDesk
from twinhull_client.gui.screens_page import ScreensPage
from twinhull_client.gui.side_pages import SidePages
from twinhull_client.gui.strip import Strip
from twinhull_client.gui.theme import colours, style_sheet
from twinhull_client.gui.tray import Tray
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.gui.words import computer_name

SCREEN_VIEWS = ("corporate", "personal", "both")
LOG_ENTRIES = 200
LEAST_PAGE = 220
"""Least height of a page, logical pixels: with the panel above, a screen of 540 shows all of the window."""
AGAIN = 88
"""Exit status of Qt's loop, not of the app: another window is to be made in the language that was chosen."""
HOLD_MS = 450
"""How long a chord's modifiers are held before the chords are shown: longer than it takes to press one."""


class Pages(QStackedWidget):
    """The pages; each scrolls, so what is above them gets the height that its words need."""

    def hasHeightForWidth(self) -> bool:
        return False


class MainWindow(QMainWindow):
    """Everything a person sees.

    Args:
        client: not started yet; the window starts it once it is shown and closes it in the end.
        settings: where the layout is remembered.
        theme: light, dark or system.
    """

    def __init__(self, client: DaemonClient, settings: QSettings, theme: str = "system") -> None:
        super().__init__()
        self.client, self.settings = client, settings
        self.status: Status | None = None
        self.view = "home"
        self._closed = False
        self._locked = False
        self._keyboard = "host"
        self._last_used = "corporate"
        self._corner = False
        self._paste_in = ""
        self.setWindowTitle("Twinhull")
        self.resize(1440, 900)
        self.colours = colours(theme)
        self.setStyleSheet(style_sheet(self.colours))
        self.choices, self.chords = Choices(settings, self), Chords(settings)
        self.links = {name.value: ViewerLink(name.value, self) for name in Partition}
        self.screens = {name: GuestScreen(link, computer_name(name)) for name, link in self.links.items()}
        self.strip = Strip()
        self.home, self.log, self.unreachable = HomePage(self.colours), LogPage(), UnreachablePage()
        self.desk = DeviceDesk(client, self.home, self.colours)
        self.enrol_desk = EnrolDesk(client, self.home.enrol)
        self.screen_desk = ScreenDesk(client, self.links, self.screens, self.chords)
        self.partition_desk = PartitionDesk(client, self.home.partitions)
        self.side = SidePages(client, settings, self.home, self.choices, self.chords)
        self.unreachable.set_colour(self.colours["muted"])
        self.screens_page = ScreensPage(self.screens)
        self.pages = Pages()
        self.pages.setObjectName("pages")
        self.pages.setMinimumHeight(LEAST_PAGE)
        for page in (self.unreachable, self.home, self.screens_page, self.desk.page, self.log):
            self.pages.addWidget(page)
        for side_page in self.side.pages:
            self.pages.addWidget(side_page)
        self.rail = Rail(self.colours, self.chords)
        self.buttons = self.rail.buttons
        self._build()
        self.chord_list = ChordList(self.below, self.chords)
        self.exchange = ExchangeDesk(client, self.links, ExchangePanel(self.below))
        self.lock_cover = LockCover(self.below, self.colours["muted"])
        self.session_lock = SessionLock(self)
        self.notifier, self.tray = Notifier(self), Tray(self)
        self._waiting = 0
        self._hold = QTimer(self, singleShot=True, interval=HOLD_MS)
        self._hold.timeout.connect(self.chord_list.appear)
        self._connect()
        self._on_choices()
        geometry = settings.value("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        self._corner = settings.value("corner", "false") in (True, "true")
        remembered = str(settings.value("view", "home"))
        self.show_view(remembered if remembered in VIEWS else "home")

    def _build(self) -> None:
        """The strip, and below it everything else: nothing is ever laid over the strip."""
        self.content = QWidget()
        lower = QHBoxLayout(self.content)
        lower.setContentsMargins(0, 0, 0, 0)
        lower.setSpacing(0)
        lower.addWidget(self.rail)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self.desk.panel)
        right.addWidget(self.pages, 1)
        lower.addLayout(right, 1)
        self.below = QWidget()
        inner = QVBoxLayout(self.below)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.content)
        frame = QWidget()
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.strip)
        column.addWidget(self.below, 1)
        self.setCentralWidget(frame)

    def _connect(self) -> None:
        self.client.status.connect(self._on_status)
        self.client.unreachable.connect(self._on_unreachable)
        self.unreachable.retry.connect(self.client.refresh)
        self.rail.wanted.connect(self.act)
        self.screens_page.chosen.connect(self.show_view)
        self.home.vpn.prove.connect(self._prove)
        self.home.policy.sent_wanted.connect(self._show_sent)
        self.enrol_desk.link_shown.connect(lambda: self.home.bring(self.home.enrol))
        self.enrol_desk.link_refused.connect(self.home.refuse_link)
        self.home.devices_wanted.connect(lambda: self.show_view("devices"))
        self.side.opened.connect(self._show_side)
        self.log.receipts_wanted.connect(self.side.news.open_receipts)
        self.side.left.connect(lambda: self.show_view("home"))
        self.choices.changed.connect(self._on_choices)
        self.side.settings.anew.connect(self._begin_anew)
        self.desk.waiting.connect(self._on_waiting)
        self.desk.panel.appeared.connect(lambda: QApplication.alert(self))
        self.notifier.opened.connect(self._come_back)
        self.tray.wanted.connect(self._come_back)
        self.exchange.closed.connect(lambda: self.show_view(self.view))
        self.exchange.waiting.connect(self._on_sent)
        self.lock_cover.unlock.connect(self.uncover)
        self.session_lock.locked.connect(self._on_session_locked)
        self.session_lock.unlocked.connect(self.uncover)
        self.session_lock.unlockable.connect(self._on_unlockable)
        for card in self.home.partitions.values():
            card.asked.connect(
                lambda name, action, _secret: self.show_view(name) if action == "open" else None
            )
        for name in self.links:
            self.screens[name].took_keyboard.connect(self._on_keyboard)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.installEventFilter(self)
            app.focusChanged.connect(self._on_focus)

    # -- views -----------------------------------------------------------------------------------------

    def show_view(self, view: str) -> None:
        """Switch to one of VIEWS; the keyboard goes with it."""
        self._let_go()
        self.view = view
        self.buttons[view].setChecked(True)
        if self.status is None:
            self.pages.setCurrentWidget(self.unreachable)
        elif view == "home":
            self.pages.setCurrentWidget(self.home)
        elif view == "devices":
            self.pages.setCurrentWidget(self.desk.page)
            self.desk.panel.show_again()
        elif view == "log":
            self.pages.setCurrentWidget(self.log)
            self._load_log()
        else:
            self._show_screens()
        if view != "home":
            self.home.link_problem.say(None)
        if view not in SCREEN_VIEWS:
            self._keyboard = "host"
            self.pages.setFocus()
        self._update_strip()

    def _show_screens(self) -> None:
        shown = tuple(self.screens) if self.view == "both" else (self.view,)
        others = [name for name in self.screens if name not in shown]
        self.screens_page.show_only(shown, others[0] if others and self._corner else None)
        self.pages.setCurrentWidget(self.screens_page)
        wanted = self._keyboard if self._keyboard in shown else self._last_used
        self._keyboard = wanted if wanted in shown else shown[0]
        self.screens[self._keyboard].setFocus()

    def act(self, action: str) -> None:
        """Do what a chord or a button of the rail says; while locked, nothing."""
        if self._locked:
            return
        self.exchange.cancel()
        match action:
            case "exchange":
                self._let_go()
                if self._keyboard in self.screens:
                    self.exchange.begin(self._keyboard)
                else:
                    self.exchange.choose()
            case "lock":
                self.lock()
            case "settings":
                if self.status is not None:
                    self.side.open_settings()
            case "switch":
                self._switch()
            case "release":
                self._let_go()
                self.buttons[self.view].setFocus()
            case "full":
                self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
            case "corner":
                self._corner = not self._corner
                if self.view in SCREEN_VIEWS:
                    self.show_view(self._last_used if self.view == "both" else self.view)
            case "answer":
                if self.desk.panel.isVisible():
                    self._let_go()
                    self.desk.panel.take_focus()
            case _:
                self.show_view(action)

    def _switch(self) -> None:
        other = self._last_used
        if self._keyboard in self.screens:
            other = next(name for name in self.screens if name != self._keyboard)
        if self.view == "both":
            self._let_go()
            self.screens[other].setFocus()
        else:
            self.show_view(other)

    def _let_go(self) -> None:
        for screen in self.screens.values():
            screen.release_keys()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self.rail.setVisible(not self.isFullScreen())

    # -- lock ------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Cover everything at once, then ask the desktop to lock the session."""
        self._cover(self.tr("Locking this laptop."))
        self.session_lock.lock()

    def _cover(self, sentence: str) -> None:
        self._locked = True
        self._let_go()
        self.exchange.end()
        self.chord_list.hide()
        self.lock_cover.say(sentence, open_here=False)
        self.lock_cover.appear()
        self.content.hide()  # no screen is painted, and nothing in it can have the keyboard
        self._update_strip()

    def _on_session_locked(self) -> None:
        self._cover(self.tr("Unlock this laptop as you always do."))

    def _on_unlockable(self) -> None:
        if self._locked:
            self.lock_cover.say(
                self.tr(
                    "Both computers are covered. This session has no screen lock that asks for a password."
                ),
                open_here=True,
            )

    def uncover(self) -> None:
        """Show everything again."""
        if self._locked:
            self._locked = False
            self.content.show()
            self.lock_cover.hide()
            self.show_view(self.view)

    def _on_sent(self, partition: str) -> None:
        self._paste_in = partition
        self._update_strip()

    # -- keyboard --------------------------------------------------------------------------------------

    def _on_keyboard(self, partition: str) -> None:
        self._keyboard = self._last_used = partition
        self._update_strip()

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        if new is not None and not isinstance(new, GuestScreen):
            self._keyboard = "host"
            self._update_strip()

    def _update_strip(self) -> None:
        on_screen = self.pages.currentWidget() is self.screens_page and not self._locked
        context = self._keyboard if on_screen else "host"
        # whoever stands before a locked screen is not to learn the phrase
        phrase = self.choices.phrase or self.status.owner_phrase if self.status and not self._locked else ""
        hint = (
            self.tr("Home: {home} · Switch: {switch}").format(
                home=self.chords.text("home"), switch=self.chords.text("switch")
            )
            if on_screen
            else self.tr("Keys: hold {keys}").format(keys=self.chords.held_text())
        )
        if self._paste_in:
            hint = self.tr("Sent: paste it in the {name} within a minute").format(
                name=computer_name(self._paste_in)
            )
        self.strip.show_context(context, phrase, "" if self._locked else hint)
        for name, strip in self.screens_page.strips.items():
            strip.show_context(name, "", self.tr("has the keyboard") if name == context else "")

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ApplicationDeactivate:
            self._show_chords(False)
        if not isinstance(event, QKeyEvent):
            return False
        if self.side.settings.chords.recording and event.type() == QEvent.Type.KeyPress:
            self.side.settings.chords.take(event)
            return True
        if event.type() == QEvent.Type.KeyPress:
            action = self.chords.action(event)
            self._show_chords(self.chords.held(event.modifiers()) and action is None)
            if action is not None:
                self.act(action)
                return True
        elif event.type() == QEvent.Type.KeyRelease:
            self._show_chords(self.chords.held(event.modifiers()) and self.chord_list.isVisible())
        return False

    def _show_chords(self, held: bool) -> None:
        if not held or self._locked:
            self._hold.stop()
            self.chord_list.hide()
        elif not self.chord_list.isVisible() and not self._hold.isActive():
            self._hold.start()

    # -- daemon ----------------------------------------------------------------------------------------

    def _on_status(self, status: Status) -> None:
        if self._closed:  # one more status was on its way when the window closed
            return
        first, before = self.status is None, self.status
        self.status = status
        if before is not None:
            self._tell(between(before, status))
        self.tray.show_status(status)
        self.home.show_status(status)
        self.desk.show_status(status)
        self.side.show_status(status)
        self.enrol_desk.show_info(status.enrolment)
        self.screen_desk.show_status(status)
        if first:
            self.session_lock.start()
            self.show_view(self.view)
        self._update_strip()

    def _on_unreachable(self, error: TwinhullError) -> None:
        self.status = None
        self.tray.show_status(None)
        self.unreachable.show_error(error)
        self.desk.show_nothing()
        for link in self.links.values():
            link.stop()
        self.pages.setCurrentWidget(self.unreachable)
        self._update_strip()

    def _tell(self, notices: list[Notice]) -> None:
        """Notify whoever does not look; before a locked screen, nobody."""
        if not self._locked and not self.isActiveWindow():
            for notice in notices:
                self.notifier.show(notice)

    def _come_back(self, action: str) -> None:
        """Show the window, and do what was asked for from outside it."""
        if action == "lock":
            self.lock()
            return
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()
        if action in VIEWS:
            self.act(action)

    def open_again(self, untrusted_link: str) -> None:
        """Come to the front because the app was opened once more, and show what a link asks for."""
        self._come_back("home" if untrusted_link else "")
        QApplication.alert(self)  # where the desktop lets no window come to the front by itself
        if untrusted_link:
            self.enrol_desk.open_link(untrusted_link)
            self.client.refresh()

    def _on_waiting(self, count: int) -> None:
        self.home.show_waiting(count)
        if count > self._waiting:
            self._tell([waiting(count)])
        self._waiting = count
        name = self.tr("Devices ({n})").format(n=count) if count else self.tr("Devices")
        self.buttons["devices"].setText(name)
        spoken = self.tr("Devices, {n} waiting for you").format(n=count) if count else name
        self.buttons["devices"].setAccessibleName(spoken)

    def _prove(self) -> None:
        self.client.run(
            lambda daemon: daemon.prove_vpn(),
            self.home.vpn.show_proof,
            lambda error: self.home.vpn.show_proof(None, error),
        )

    def _show_sent(self) -> None:
        self.log.only_sent.setChecked(True)
        self.show_view("log")

    def _show_side(self, page: QWidget) -> None:
        self.show_view("home")
        self.pages.setCurrentWidget(page)

    def _on_choices(self) -> None:
        """Whatever names or wears what was chosen does so now."""
        self.chords.reload()
        self.rail.show_chords()
        self.desk.panel.show_chord(self.chords.text("answer"))
        for strip in (self.strip, *self.screens_page.strips.values()):
            strip.show_looks(self.choices.looks)
        if self.status is not None:
            self.screen_desk.show_status(self.status)
        self._update_strip()

    def _begin_anew(self) -> None:
        """Have another window made in this one's place, in another language."""
        self._remember()
        QApplication.exit(AGAIN)

    def _load_log(self) -> None:
        self.client.run(lambda daemon: daemon.log(LOG_ENTRIES), self.log.show_log, self.log.problem.say)

    def _remember(self) -> None:
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.setValue("view", self.view)
        self.settings.setValue("corner", self._corner)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._remember()
        self.shut_down()
        event.accept()

    def shut_down(self) -> None:
        """End every viewer and the bus thread; once is enough."""
        if self._closed:
            return
        self._closed = True
        self.exchange.end()
        self.session_lock.close()
        self.notifier.close()
        self.tray.close()
        for link in self.links.values():
            link.stop()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.removeEventFilter(self)
        self.client.close()

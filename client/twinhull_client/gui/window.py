"""The main window: the strip always on top, the rail, the pages; joins them to the daemon and the viewers."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSettings, QSize, Qt
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from twinhull_policy.api.types import Status
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from twinhull_client.bus import Daemon
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.device_desk import DeviceDesk
from twinhull_client.gui.home import HomePage
from twinhull_client.gui.pages import LogPage, ScreensPage, UnreachablePage
from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.strip import Strip
from twinhull_client.gui.theme import colours, icon, style_sheet
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.gui.words import computer_name, state_words

VIEWS = ("home", "corporate", "personal", "both", "devices", "log")
CHORDS = {
    Qt.Key.Key_1: "corporate",
    Qt.Key.Key_2: "personal",
    Qt.Key.Key_3: "both",
    Qt.Key.Key_H: "home",
    Qt.Key.Key_U: "devices",
    Qt.Key.Key_L: "log",
}
"""With Ctrl and Alt; the host's whatever a guest has taken. U is for USB: desktops take D themselves."""
ANSWER_KEY = Qt.Key.Key_A
"""With Ctrl and Alt: puts the keyboard on what a device waits for."""
LOG_ENTRIES = 200
LEAST_PAGE = 220
"""Least height of a page, logical pixels: with the panel above, a screen of 540 shows all of the window."""
SHOWN_STATES = ("running", "paused", "stopping")
"""States in which a partition has a screen."""
ASKING_STATES = ("absent", "locked", "stopped", "failed")
"""States in which it is the person's turn, on the home page."""


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
        self._keyboard = "corporate"
        self.setWindowTitle("Twinhull")
        self.resize(1440, 900)
        self.colours = colours(theme)
        self.setStyleSheet(style_sheet(self.colours))
        self.links = {name.value: ViewerLink(name.value, self) for name in Partition}
        self.screens = {name: GuestScreen(link, computer_name(name)) for name, link in self.links.items()}
        self.strip = Strip()
        self.home, self.log, self.unreachable = HomePage(self.colours), LogPage(), UnreachablePage()
        self.desk = DeviceDesk(client, self.home, self.colours)
        self.unreachable.set_colour(self.colours["muted"])
        self.screens_page = ScreensPage(self.screens)
        self.pages = QStackedWidget()
        self.pages.setObjectName("pages")
        self.pages.setMinimumHeight(LEAST_PAGE)
        for page in (self.unreachable, self.home, self.screens_page, self.desk.page, self.log):
            self.pages.addWidget(page)
        self.rail = self._build_rail()
        lower = QHBoxLayout()
        lower.setSpacing(0)
        lower.addWidget(self.rail)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self.desk.panel)
        right.addWidget(self.pages, 1)
        lower.addLayout(right, 1)
        frame = QWidget()
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.strip)
        column.addLayout(lower, 1)
        self.setCentralWidget(frame)
        self._connect()
        geometry = settings.value("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        remembered = str(settings.value("view", "home"))
        self.show_view(remembered if remembered in VIEWS else "home")

    def _build_rail(self) -> QWidget:
        rail = QWidget()
        rail.setObjectName("rail")
        rail.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        rail.setFixedWidth(100)
        column = QVBoxLayout(rail)
        column.setContentsMargins(8, 14, 8, 14)
        column.setSpacing(6)
        self.buttons: dict[str, QToolButton] = {}
        group = QButtonGroup(self)
        chords = {view: key for key, view in CHORDS.items()}
        names = (
            self.tr("Home"),
            self.tr("Corporate"),
            self.tr("Personal"),
            self.tr("Side by side"),
            self.tr("Devices"),
            self.tr("Log"),
        )
        for view, name in zip(VIEWS, names, strict=True):
            made = QToolButton()
            made.setText(name)
            made.setAccessibleName(name)
            made.setToolTip(f"{name} (Ctrl+Alt+{chr(chords[view].value)})")
            made.setIcon(icon(view, self.colours["text"]))
            made.setIconSize(QSize(24, 24))
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            made.setCheckable(True)
            made.setFixedSize(84, 66)
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keyboard where it is
            made.clicked.connect(lambda _checked, view=view: self.show_view(view))
            group.addButton(made)
            if view == "devices":
                column.addStretch()
            column.addWidget(made)
            self.buttons[view] = made
        return rail

    def _connect(self) -> None:
        self.client.status.connect(self._on_status)
        self.client.unreachable.connect(self._on_unreachable)
        self.unreachable.retry.connect(self.client.refresh)
        self.home.vpn.prove.connect(self._prove)
        self.home.devices_wanted.connect(lambda: self.show_view("devices"))
        self.desk.waiting.connect(self._on_waiting)
        self.desk.panel.appeared.connect(lambda: QApplication.alert(self))
        for name, card in self.home.partitions.items():
            card.asked.connect(self._on_asked)
            link = self.links[name]
            link.channel_wanted.connect(lambda number, link=link: self._open_channel(link, number))
            self.screens[name].took_keyboard.connect(self._on_keyboard)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.installEventFilter(self)
            app.focusChanged.connect(self._on_focus)

    # -- views -----------------------------------------------------------------------------------------

    def show_view(self, view: str) -> None:
        """Switch to one of VIEWS; the keyboard goes with it."""
        for screen in self.screens.values():
            screen.release_keys()
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
            shown = tuple(self.screens) if view == "both" else (view,)
            self.screens_page.show_only(shown)
            self.pages.setCurrentWidget(self.screens_page)
            self._keyboard = self._keyboard if self._keyboard in shown else shown[0]
            self.screens[self._keyboard].setFocus()
        if view not in ("corporate", "personal", "both"):
            self._keyboard = "host"
            self.pages.setFocus()
        self._update_strip()

    def _on_keyboard(self, partition: str) -> None:
        self._keyboard = partition
        self._update_strip()

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        if new is not None and not isinstance(new, GuestScreen):
            self._keyboard = "host"
            self._update_strip()

    def _update_strip(self) -> None:
        on_screen = self.pages.currentWidget() is self.screens_page
        context = self._keyboard if on_screen else "host"
        phrase = self.status.owner_phrase if self.status else ""
        hint = self.tr("Home: Ctrl+Alt+H") if on_screen else self.tr("Switch: Ctrl+Alt+1 and 2")
        self.strip.show_context(context, phrase, hint)
        for name, strip in self.screens_page.strips.items():
            strip.show_context(name, "", self.tr("has the keyboard") if name == context else "")

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
            held = event.modifiers() & both == both
            view = CHORDS.get(Qt.Key(event.key())) if held else None
            if held and event.key() == ANSWER_KEY and self.desk.panel.isVisible():
                for screen in self.screens.values():
                    screen.release_keys()
                self.desk.panel.take_focus()
                return True
            if view is not None:
                self.show_view(view)
                return True
        return False

    # -- daemon ----------------------------------------------------------------------------------------

    def _on_status(self, status: Status) -> None:
        if self._closed:  # one more status was on its way when the window closed
            return
        first = self.status is None
        self.status = status
        self.home.show_status(status)
        self.desk.show_status(status)
        for info in status.partitions:
            if info.name not in self.links:
                continue
            badge, sentence, _tone = state_words(info)
            link, screen = self.links[info.name], self.screens[info.name]
            if info.state in SHOWN_STATES:
                link.start()
                screen.set_message(badge, self.tr("Its screen appears in a moment."))
            else:
                link.stop()
                where = self.tr("You do that on the Home page: Ctrl+Alt+H.")
                screen.set_message(badge, f"{sentence}\n{where}" if info.state in ASKING_STATES else sentence)
        if first:
            self.show_view(self.view)
        self._update_strip()

    def _on_unreachable(self, error: TwinhullError) -> None:
        self.status = None
        self.unreachable.show_error(error)
        self.desk.show_nothing()
        for link in self.links.values():
            link.stop()
        self.pages.setCurrentWidget(self.unreachable)
        self._update_strip()

    def _on_waiting(self, count: int) -> None:
        self.home.show_waiting(count)
        name = self.tr("Devices ({n})").format(n=count) if count else self.tr("Devices")
        self.buttons["devices"].setText(name)
        spoken = self.tr("Devices, {n} waiting for you").format(n=count) if count else name
        self.buttons["devices"].setAccessibleName(spoken)

    def _on_asked(self, name: str, action: str, secret: str) -> None:
        if action == "open":
            self.show_view(name)
            return
        card = self.home.partitions[name]

        async def operation(daemon: Daemon) -> None:
            match action:
                case "create":
                    await daemon.create_partition(name, secret)
                    await daemon.start_partition(name, "")
                case "start":
                    await daemon.start_partition(name, secret)
                case "stop":
                    await daemon.stop_partition(name)
                case "suspend":
                    await daemon.suspend_partition(name)
                case "resume":
                    await daemon.resume_partition(name)

        def failed(error: TwinhullError) -> None:
            card.set_busy(False)
            card.fail(error)

        card.set_busy(True)
        self.client.run(operation, lambda _none: card.set_busy(False), failed)

    def _prove(self) -> None:
        self.client.run(
            lambda daemon: daemon.prove_vpn(),
            self.home.vpn.show_proof,
            lambda error: self.home.vpn.show_proof(None, error),
        )

    def _load_log(self) -> None:
        self.client.run(lambda daemon: daemon.log(LOG_ENTRIES), self.log.show_log, self.log.problem.say)

    def _open_channel(self, link: ViewerLink, number: int) -> None:
        self.client.run(
            lambda daemon: daemon.open_display(link.partition),
            lambda fd: link.give_channel(number, fd),
            lambda _error: link.give_channel(number, None),
        )

    def closeEvent(self, event: QCloseEvent) -> None:
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.setValue("view", self.view)
        self.shut_down()
        event.accept()

    def shut_down(self) -> None:
        """End every viewer and the bus thread."""
        self._closed = True
        for link in self.links.values():
            link.stop()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.removeEventFilter(self)
        self.client.close()

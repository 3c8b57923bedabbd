"""The pages that are reached from Home, and lead back there."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSettings, Signal
from PySide6.QtWidgets import QWidget
from twinhull_policy.api.types import Status

from twinhull_client.gui.choices import Choices
from twinhull_client.gui.chords import Chords
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.home import HomePage
from twinhull_client.gui.news_desk import NewsDesk
from twinhull_client.gui.recovery import RecoveryDesk
from twinhull_client.gui.settings_page import SettingsPage
from twinhull_client.gui.snapshots import SnapshotDesk


class SidePages(QObject):
    """Makes them, and opens them when Home asks.

    Signals:
        opened: this page is to be shown.
        left: Home is to be shown again.
    """

    opened = Signal(QWidget)
    left = Signal()

    def __init__(
        self,
        client: DaemonClient,
        settings: QSettings,
        home: HomePage,
        choices: Choices,
        chords: Chords,
    ) -> None:
        super().__init__()
        self.choices, self._home = choices, home
        self.snapshots = SnapshotDesk(client)
        self.settings = SettingsPage(choices, chords)
        self.recovery = RecoveryDesk(client)
        self.news = NewsDesk(client, settings, home.news)
        self.pages: tuple[QWidget, ...] = (
            self.snapshots.page,
            self.settings,
            self.recovery.page,
            *self.news.pages,
        )
        self.news.opened.connect(self.opened)
        self.news.left.connect(self.left)
        for leaving in (self.snapshots.page.left, self.settings.left, self.recovery.page.left):
            leaving.connect(self.left)
        home.storage.states_wanted.connect(self._open_snapshots)
        home.storage.code_wanted.connect(self._open_recovery)
        for card in home.partitions.values():
            card.forgotten.connect(lambda name: self._open_recovery(name, forgotten=True))
        home.settings_wanted.connect(self.open_settings)
        home.welcome.choose.connect(self.open_settings)
        home.welcome.keep.connect(self._welcomed)
        choices.changed.connect(self._on_changed)
        self._on_changed()

    def show_status(self, status: Status) -> None:
        """Take a fresh status over."""
        self.snapshots.show_status(status)
        self.news.show_status(status)
        self.settings.show_phrase(status.owner_phrase)
        self._home.welcome.show_phrase(self.choices.phrase or status.owner_phrase)

    def _open_snapshots(self, name: str) -> None:
        self.opened.emit(self.snapshots.page)
        self.snapshots.open(name)

    def _open_recovery(self, name: str, *, forgotten: bool = False) -> None:
        self.opened.emit(self.recovery.page)
        self.recovery.open(name, forgotten=forgotten)

    def open_settings(self) -> None:
        """Show what can be chosen; who has seen it is not asked again."""
        self._welcomed()
        self.opened.emit(self.settings)
        self.settings.opened()

    def _welcomed(self) -> None:
        self.choices.welcome()
        self._home.welcome.hide()

    def _on_changed(self) -> None:
        self.settings.show_choices()
        self._home.welcome.setVisible(not self.choices.welcomed)
        for name, card in self._home.partitions.items():
            card.show_look(self.choices.looks[name])

"""The icon in the desktop's tray: how both computers are, and the way back to them.

Qt speaks the StatusNotifierItem specification where the desktop does. Nothing depends on the icon: a desktop
without a tray shows none.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon
from twinhull_policy.api.types import Status

from twinhull_client.gui.resources import asset
from twinhull_client.gui.words import computer_name, state_words

ENTRIES = ("home", "corporate", "personal", "lock")
"""Actions of the menu, as chords and the rail name them."""


class Tray(QObject):
    """The icon and its menu.

    Signals:
        wanted: somebody chose an action.
    """

    wanted = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.menu = QMenu()
        names = {
            "home": self.tr("Home"),
            "corporate": computer_name("corporate"),
            "personal": computer_name("personal"),
            "lock": self.tr("Lock"),
        }
        for action in ENTRIES:
            if action == "lock":
                self.menu.addSeparator()
            entry = self.menu.addAction(names[action])
            entry.setData(action)
            entry.triggered.connect(lambda _checked=False, action=action: self.wanted.emit(action))
        self.icon = QSystemTrayIcon(QIcon(str(asset("icons/org.twinhull.Twinhull.svg"))), self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._on_activated)
        self.show_status(None)
        if QSystemTrayIcon.isSystemTrayAvailable():
            self.icon.show()

    def show_status(self, status: Status | None) -> None:
        """Say how both are; None when nobody knows."""
        if status is None:
            self.icon.setToolTip(self.tr("Twinhull: both computers cannot be reached just now"))
            return
        lines = [f"{computer_name(part.name)}: {state_words(part)[0]}" for part in status.partitions]
        self.icon.setToolTip("\n".join(["Twinhull", *lines]))

    def close(self) -> None:
        """Take the icon away."""
        self.icon.hide()
        self.menu.deleteLater()

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason == QSystemTrayIcon.ActivationReason.Trigger:
            self.wanted.emit("show")

"""The kill switches for camera and microphone: what is so, and one press to change it."""

from __future__ import annotations

from typing import get_args

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget
from twinhull_policy.api.types import KillSwitch, KillSwitches

from twinhull_client.gui.device_words import switch_words
from twinhull_client.gui.theme import icon
from twinhull_client.gui.widgets import button, tip


class SwitchBar(QWidget):
    """Both switches. They show what the daemon says and never what was merely asked for.

    Signals:
        asked: camera or microphone, and whether it is to be off.
    """

    asked = Signal(str, bool)

    def __init__(self, colours: dict[str, str]) -> None:
        super().__init__()
        self._colours = colours
        self._now = KillSwitches()
        self.buttons: dict[KillSwitch, QPushButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        for kind in get_args(KillSwitch):
            made = button("", lambda kind=kind: self.asked.emit(kind, not self.is_off(kind)))  # type: ignore[misc]
            made.setIconSize(QSize(20, 20))
            self.buttons[kind] = made
            row.addWidget(made)
        self.show_info(self._now)

    def is_off(self, kind: KillSwitch) -> bool:
        """Whether it is off now."""
        return self._now.camera_off if kind == "camera" else self._now.microphone_off

    def show_info(self, switches: KillSwitches) -> None:
        """Show a fresh state."""
        self._now = switches
        for kind, made in self.buttons.items():
            off = self.is_off(kind)
            text, press = switch_words(kind, off=off)
            made.setText(f" {text}")  # room beside the picture
            made.setAccessibleName(f"{text}. {press}")
            tip(made, press)
            made.setIcon(icon(f"{kind}-off" if off else kind, self._colours["bad" if off else "text"]))
            if made.property("off") != off:
                made.setProperty("off", off)
                made.style().polish(made)

    def set_busy(self, busy: bool) -> None:
        """While a switch is set both rest."""
        for made in self.buttons.values():
            made.setEnabled(not busy)

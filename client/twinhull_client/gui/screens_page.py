"""Both screens in one page: one of them, one with the other small in its corner, or side by side."""

from __future__ import annotations

from PySide6.QtCore import QRect, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from twinhull_client.gui.screen import GuestScreen
from twinhull_client.gui.strip import Strip

GAP = 2
"""Logical pixels between two screens."""
CORNER_SHARE = 0.24
"""The small picture's share of the page's width and height."""
CORNER_EDGE = 16
LEAST_CORNER = 150
"""Least width of the small picture, logical pixels: room for its strip's words."""


class ScreensPage(QWidget):
    """Gives each screen its place; wherever both are seen, each is under a strip of its own.

    Signals:
        chosen: the partition whose small picture was clicked.
    """

    chosen = Signal(str)

    def __init__(self, screens: dict[str, GuestScreen]) -> None:
        super().__init__()
        self.screens = screens
        self.strips: dict[str, Strip] = {}
        self.panels: dict[str, QWidget] = {}
        self._large: tuple[str, ...] = tuple(screens)
        self._corner: str | None = None
        for name, screen in screens.items():
            panel = QWidget(self)
            column = QVBoxLayout(panel)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(0)
            self.strips[name] = Strip(name, small=True)
            column.addWidget(self.strips[name])
            column.addWidget(screen, 1)
            self.panels[name] = panel
            screen.chosen.connect(self.chosen)

    def show_only(self, names: tuple[str, ...], corner: str | None = None) -> None:
        """Show the screens of these partitions, and that of ``corner`` as a small picture over them."""
        self._large, self._corner = names, corner
        for name, panel in self.panels.items():
            self.screens[name].set_small(name == corner)
            self.strips[name].setVisible(len(names) > 1 or name == corner)
            panel.setVisible(name in names or name == corner)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        count = max(len(self._large), 1)
        wide = (self.width() - GAP * (count - 1)) // count
        for place, name in enumerate(self._large):
            self.panels[name].setGeometry(QRect(place * (wide + GAP), 0, wide, self.height()))
        if self._corner is not None:
            small = self.panels[self._corner]
            width = max(round(self.width() * CORNER_SHARE), LEAST_CORNER)
            height = round(self.height() * CORNER_SHARE) + self.strips[self._corner].height()
            left, top = self.width() - width - CORNER_EDGE, self.height() - height - CORNER_EDGE
            small.setGeometry(QRect(left, top, width, height))
            small.raise_()

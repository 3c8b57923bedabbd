"""A page that leads back to where it was reached from: a head that stays, and cards that scroll below it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from twinhull_client.gui.widgets import EDGE, button, label, scrolling


class SubPage(QWidget):
    """Escape and its button lead back.

    Args:
        title: what it is about.
        back: what its button says.

    Signals:
        left: the person wants to go back.
    """

    left = Signal()

    def __init__(self, title: str, back: str) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAccessibleName(title)
        self.title = label(title, "title")
        self.back = button(back, self.left.emit)
        self.head = QHBoxLayout()
        self.head.setContentsMargins(EDGE, 0, EDGE, 0)
        self.head.setSpacing(10)
        self.head.addWidget(self.title, 1)
        self.head.addWidget(self.back, 0, Qt.AlignmentFlag.AlignTop)
        page = QWidget()
        self.column = QVBoxLayout(page)
        self.column.setSpacing(20)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 28, 0, 0)
        outer.setSpacing(16)
        outer.addLayout(self.head)
        self.area = scrolling(page, title)
        outer.addWidget(self.area, 1)

    def tool(self, made: QWidget) -> None:
        """Put a button into the head, before the one that leads back."""
        self.head.insertWidget(self.head.count() - 1, made, 0, Qt.AlignmentFlag.AlignTop)

    def opened(self) -> None:
        """The page has just been turned to: show it from its top, the keyboard where it is safe."""
        self.area.verticalScrollBar().setValue(0)
        self.back.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

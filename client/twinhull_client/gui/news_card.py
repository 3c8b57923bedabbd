"""What there is to read, on the first page until it was read."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from twinhull_client.gui.news import News
from twinhull_client.gui.widgets import Card, button, label


class NewsCard(Card):
    """A line and a button for each.

    Signals:
        wanted: the person wants to read it; the name of one of News.
    """

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__(self.tr("To be read"))
        self.badge.hide()
        self.lines: dict[News, QWidget] = {}
        self.buttons: dict[News, QPushButton] = {}
        self._add("left", self.tr("This laptop has left the company."), self.tr("What became of it"))
        self._add("erased", self.tr("The corporate computer was erased."), self.tr("What was erased"))
        self._add("policy", self.tr("Your company changed its rules."), self.tr("What is different"))
        self.show_news(())

    def _add(self, news: News, text: str, action: str) -> None:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(14)
        said: QLabel = label(text, "strong")
        made = button(action, lambda: self.wanted.emit(news), primary=True)
        made.setAccessibleName(f"{text} {action}")
        line.addWidget(said, 1)
        line.addWidget(made)
        self.lines[news], self.buttons[news] = row, made
        self.body.addWidget(row)

    def show_news(self, unread: tuple[News, ...]) -> None:
        """Show what there is to read; nothing at all when there is none."""
        for news, row in self.lines.items():
            row.setVisible(news in unread)
        self.setVisible(bool(unread))

"""Small pieces every page is made of. Labels show plain text only, whatever they are given."""

from __future__ import annotations

import html
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from twinhull_policy.api.interface import SECRET_LIMIT
from twinhull_policy.errors import TwinhullError

NARROW = 800
"""A page narrower than this, in logical pixels, puts what is else side by side one below the other."""
ZERO_WIDTH_SPACE = "\u200b"
EDGE = 36
"""Room beside what is on a page, in logical pixels."""
SCROLL_BAR = 10
"""Width that the style sheet gives a scroll bar, in logical pixels."""


def label(text: str = "", role: str = "", *, wrap: bool = True) -> QLabel:
    """A plain-text label; ``role`` is one of the style sheet's."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        made.setProperty("role", role)
    return made


def foreign(role: str = "") -> QLabel:
    """A label for words from outside: one too long for the line is cut off and widens nothing."""
    made = label(role=role)
    made.setMinimumWidth(1)
    return made


def breakable(text: str) -> str:
    """A long word that may go on in the next line after every eight characters."""
    return ZERO_WIDTH_SPACE.join(text[at : at + 8] for at in range(0, len(text), 8))


def turn(layout: QBoxLayout, *, side_by_side: bool) -> None:
    """Have what is in a layout side by side or one below the other."""
    across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
    layout.setDirection(across if side_by_side else down)


def tip(widget: QWidget, text: str) -> None:
    """Give a widget a tool tip that shows ``text`` as it is; Qt would take some texts for markup."""
    widget.setToolTip(f"<span>{html.escape(text)}</span>".replace("\n", "<br>") if text else "")


def button(text: str, slot: Callable[[], None], *, primary: bool = False) -> QPushButton:
    """A push button with its name for screen readers."""
    made = QPushButton(text)
    made.setAccessibleName(text.replace("&", ""))
    made.setProperty("primary", primary)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.clicked.connect(lambda _checked: slot())
    return made


def secret_field(name: str) -> QLineEdit:
    """Where a secret is typed, unseen; ``name`` is what a person is shown while it is empty."""
    field = QLineEdit()
    field.setEchoMode(QLineEdit.EchoMode.Password)
    field.setMaxLength(SECRET_LIMIT // 4)
    field.setPlaceholderText(name)
    field.setAccessibleName(name)
    return field


class Elided(QLabel):
    """One line of plain text that ends in "…" where there is no room; all of it is in its tool tip."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.whole = ""
        if role:
            self.setProperty("role", role)

    def say(self, text: str) -> None:
        """Show ``text``, in one line whatever is in it."""
        self.whole = " ".join(text.split())
        self.setAccessibleName(self.whole)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self.whole, Qt.TextElideMode.ElideRight, self.width())
        if shown != self.text():
            self.setText(shown)
        tip(self, self.whole if shown != self.whole else "")


class Badge(QLabel):
    """A short word on a tinted ground."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setProperty("tone", "idle")  # padded from the first polish on

    def say(self, text: str, tone: str) -> None:
        """Show ``text`` in one of the tones good, warn, bad, idle."""
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            self.style().polish(self)
        self.setText("")  # the size is computed again, with the padding the tone brings
        self.setText(text)
        self.setAccessibleName(text)


class Problem(QFrame):
    """An error where it happened: the sentence, what to do next, its code."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("problem")
        self.sentence = foreign("heading")
        self.next_step = foreign()
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(4)
        column.addWidget(self.sentence)
        column.addWidget(self.next_step)
        self.hide()

    def say(self, error: TwinhullError | None, next_step: str = "") -> None:
        """Show an error, or nothing; ``next_step`` is in place of the error's own."""
        self.setVisible(error is not None)
        if error is not None:
            report = error.report()
            self.sentence.setText(report.message)
            next_step = next_step or report.next_step
            self.next_step.setText(f"{next_step}  ({report.code})")
            self.setAccessibleName(f"{report.message} {next_step}")


def scrolling(page: QWidget, name: str) -> QScrollArea:
    """A scroll area around a page, whose right edge stays where it is with a scroll bar and without."""
    page.setObjectName("page")
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setAccessibleName(name)
    scroll.setWidget(page)

    def keep_edge(_least: int, most: int) -> None:
        layout = page.layout()
        if layout is not None:
            layout.setContentsMargins(EDGE, 4, EDGE - (SCROLL_BAR if most else 0), EDGE)

    scroll.verticalScrollBar().rangeChanged.connect(keep_edge)
    keep_edge(0, 0)
    return scroll


class Card(QFrame):
    """A titled panel with a badge; ``body`` takes the rest."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName(title)
        self.badge = Badge()
        self.heading = label(title, "heading")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(24, 20, 24, 22)
        self.body.setSpacing(10)
        self.top = QHBoxLayout()
        self.top.addWidget(self.heading, 1)
        self.top.addWidget(self.badge)
        self.body.addLayout(self.top)


def clear(layout: QVBoxLayout) -> None:
    """Take every widget out of a layout and let it go."""
    while (item := layout.takeAt(0)) is not None:
        widget: QWidget | None = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()

"""The strip the host draws, and nobody else: whose computer has the keyboard, and the owner's phrase."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from twinhull_client.gui.choices import DEFAULT_LOOKS, Look
from twinhull_client.gui.theme import StripColours, icon_pixmap, tokens
from twinhull_client.gui.words import computer_name

HEIGHT = 44
SMALL_HEIGHT = 30
_ICONS = {"host": "shield", "corporate": "corporate", "personal": "personal"}


class Strip(QWidget):
    """Colour, pattern, icon, name and phrase of one context: ``host``, ``corporate`` or ``personal``.

    Both computers have a pattern each and the host has none, so it works without seeing colours.
    """

    def __init__(self, context: str = "host", *, small: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("strip")
        self.small = small
        self.context = context
        self.phrase = ""
        self.hint = ""
        self.looks = dict(DEFAULT_LOOKS)
        self.setFixedHeight(SMALL_HEIGHT if small else HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._announce()

    def show_context(self, context: str, phrase: str, hint: str = "") -> None:
        """Say who has the keyboard; ``phrase`` is the owner's, ``hint`` the host's own words."""
        if (context, phrase, hint) != (self.context, self.phrase, self.hint):
            self.context, self.phrase, self.hint = context, phrase, hint
            self._announce()
            self.update()

    def show_looks(self, looks: dict[str, Look]) -> None:
        """Wear what the owner chose for each partition."""
        self.looks = looks
        self.update()

    def colours(self) -> StripColours:
        """What it is painted in now."""
        look = self.looks.get(self.context)
        return tokens().palette[look.colour] if look is not None else tokens().strip

    def _announce(self) -> None:
        self.setAccessibleName(
            self.tr("You are in: {name}. Your phrase: {phrase}").format(
                name=computer_name(self.context), phrase=self.phrase
            )
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = self.colours()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(colours.ground))
        self._paint_pattern(painter, QColor(colours.pattern))
        painter.setPen(QColor(colours.text))
        side = 16 if self.small else 22
        left = 14 if self.small else 20
        painter.drawPixmap(
            left,
            (self.height() - side) // 2,
            icon_pixmap(_ICONS[self.context], colours.text, side, self.devicePixelRatio()),
        )
        font = QFont(self.font())
        font.setPixelSize(13 if self.small else 16)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        text = self.rect().adjusted(left + side + 10, 0, -left, 0)
        painter.drawText(
            text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, computer_name(self.context)
        )
        taken = text.left() + painter.fontMetrics().horizontalAdvance(computer_name(self.context))
        if self.phrase:
            font.setItalic(True)
            painter.setFont(font)
            shown = self.tr("“{phrase}”").format(phrase=self.phrase)
            painter.drawText(text, Qt.AlignmentFlag.AlignCenter, shown)
            taken = max(taken, text.center().x() + painter.fontMetrics().horizontalAdvance(shown) // 2)
        if self.hint:
            font.setItalic(False)
            font.setPixelSize(12)
            font.setWeight(QFont.Weight.Medium)
            painter.setFont(font)
            # the name and the phrase come first; a hint that would touch them is left out
            if text.right() - painter.fontMetrics().horizontalAdvance(self.hint) > taken + left:
                painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, self.hint)
        painter.end()

    def _paint_pattern(self, painter: QPainter, colour: QColor) -> None:
        look = self.looks.get(self.context)
        if look is not None:
            paint_pattern(painter, self.rect(), look.pattern, colour)


def paint_pattern(painter: QPainter, area: QRect, pattern: str, colour: QColor) -> None:
    """Paint one of PATTERNS over an area that starts at 0, 0."""
    width, height = area.width(), area.height()
    if pattern == "stripes":
        painter.setPen(QPen(colour, 7))
        for x in range(-height, width + height, 24):
            painter.drawLine(QPointF(x, height + 4), QPointF(x + height + 8, -4))
        return
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    match pattern:
        case "dots":
            for row, y in enumerate(range(6, height + 6, 14)):
                for x in range(6 if row % 2 else 15, width + 6, 18):
                    painter.drawEllipse(QPointF(x, y), 3.5, 3.5)
        case "checks":
            for row, y in enumerate(range(0, height, 11)):
                for x in range(0 if row % 2 else 11, width, 22):
                    painter.drawRect(x, y, 11, 11)
        case "bars":
            for x in range(4, width, 26):
                painter.drawRect(x, 0, 5, height)
                painter.drawRect(x + 9, 0, 5, height)

"""The strip the host draws, and nobody else: whose computer has the keyboard, and the owner's phrase."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from twinhull_client.gui.theme import icon_pixmap, tokens
from twinhull_client.gui.words import computer_name

HEIGHT = 44
SMALL_HEIGHT = 30
_ICONS = {"host": "shield", "corporate": "corporate", "personal": "personal"}


class Strip(QWidget):
    """Colour, pattern, icon, name and phrase of one context: ``host``, ``corporate`` or ``personal``.

    Stripes mean corporate, dots personal, nothing the host, so it works without seeing colours.
    """

    def __init__(self, context: str = "host", *, small: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("strip")
        self.small = small
        self.context = context
        self.phrase = ""
        self.hint = ""
        self.setFixedHeight(SMALL_HEIGHT if small else HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._announce()

    def show_context(self, context: str, phrase: str, hint: str = "") -> None:
        """Say who has the keyboard; ``phrase`` is the owner's, ``hint`` the host's own words."""
        if (context, phrase, hint) != (self.context, self.phrase, self.hint):
            self.context, self.phrase, self.hint = context, phrase, hint
            self._announce()
            self.update()

    def _announce(self) -> None:
        self.setAccessibleName(
            self.tr("You are in: {name}. Your phrase: {phrase}").format(
                name=computer_name(self.context), phrase=self.phrase
            )
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = tokens().strip[self.context]
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
        area: QRect = self.rect()
        if self.context == "corporate":
            painter.setPen(QPen(colour, 7))
            for x in range(-area.height(), area.width() + area.height(), 24):
                painter.drawLine(QPointF(x, area.height() + 4), QPointF(x + area.height() + 8, -4))
        elif self.context == "personal":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            for row, y in enumerate(range(6, area.height() + 6, 14)):
                for x in range(6 if row % 2 else 15, area.width() + 6, 18):
                    painter.drawEllipse(QPointF(x, y), 3.5, 3.5)

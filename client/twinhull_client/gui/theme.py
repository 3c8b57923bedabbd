"""Colours and the style sheet, from assets/tokens.json and assets/style.qss; light or dark."""

from __future__ import annotations

import re
from functools import cache

import msgspec
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from twinhull_client.gui.resources import asset


class StripColours(msgspec.Struct, frozen=True):
    """One strip's ground, the pattern on it, and the text over both."""

    ground: str
    pattern: str
    text: str


class Tokens(msgspec.Struct, frozen=True):
    """Everything in tokens.json: colours by theme, of the host's strip, and to choose for the others'."""

    light: dict[str, str]
    dark: dict[str, str]
    strip: StripColours
    palette: dict[str, StripColours]


@cache
def tokens() -> Tokens:
    """The colours as the file has them."""
    return msgspec.json.decode(asset("tokens.json").read_bytes(), type=Tokens)


def style_sheet(colours: dict[str, str]) -> str:
    """The style sheet with every ``@name@`` replaced; KeyError for a name that is no token."""
    return re.sub(r"@(\w+)@", lambda match: colours[match[1]], asset("style.qss").read_text("utf-8"))


def is_dark(choice: str) -> bool:
    """Whether ``choice`` (light, dark, system) means dark here."""
    if choice == "system":
        return QApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return choice == "dark"


def colours(choice: str) -> dict[str, str]:
    """The colours for ``choice``."""
    both = tokens()
    return both.dark if is_dark(choice) else both.light


def icon_pixmap(name: str, colour: str, size: int, ratio: float = 1.0) -> QPixmap:
    """An icon drawn in one colour, ``size`` logical pixels wide and high."""
    pixmap = QPixmap(QSize(size, size) * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(str(asset(f"icons/{name}.svg"))).render(painter, QRectF(0, 0, size, size))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(QRectF(0, 0, size, size), QColor(colour))
    painter.end()
    return pixmap


def icon(name: str, colour: str) -> QIcon:
    """The same as a QIcon for buttons."""
    return QIcon(icon_pixmap(name, colour, 24, 2.0))


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1, 1.4.3)."""

    def luminance(name: str) -> float:
        colour = QColor(name)
        linear = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
            for part in (colour.redF(), colour.greenF(), colour.blueF())
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)

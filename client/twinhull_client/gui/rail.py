"""The rail at the left: the views, and what can be done with the window."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from twinhull_client.gui.chords import Chords
from twinhull_client.gui.theme import icon

VIEWS = ("home", "corporate", "personal", "both", "devices", "log")
TOOLS = ("exchange", "corner", "full", "lock")
WIDTH = 100
TOOL_SIDE = 24


def tr(text: str) -> str:
    """Translate a text that belongs to no widget."""
    return QCoreApplication.translate("rail", text)


def view_names() -> dict[str, str]:
    """What each of VIEWS is called."""
    return {
        "home": tr("Home"),
        "corporate": tr("Corporate"),
        "personal": tr("Personal"),
        "both": tr("Side by side"),
        "devices": tr("Devices"),
        "log": tr("Log"),
    }


class Rail(QWidget):
    """A button for each view, and a small one for each of TOOLS.

    Signals:
        wanted: one of VIEWS or TOOLS.
    """

    wanted = Signal(str)

    def __init__(self, colours: dict[str, str], chords: Chords) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setAccessibleName(self.tr("Views"))
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)
        self._colours, self._chords = colours, chords
        self.buttons: dict[str, QToolButton] = {}
        self._names: dict[str, str] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 14, 1, 10)
        column.setSpacing(6)
        group = QButtonGroup(self)
        for view, name in view_names().items():
            made = self._button(view, name)
            made.setText(name)
            made.setIconSize(QSize(24, 24))
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            made.setCheckable(True)
            made.setFixedSize(84, 66)
            group.addButton(made)
            if view == "devices":
                column.addStretch()
            column.addWidget(made, 0, Qt.AlignmentFlag.AlignHCenter)
        tools = QHBoxLayout()
        tools.setSpacing(0)
        names = (
            self.tr("Copy from one computer to the other…"),
            self.tr("The other one small in the corner"),
            self.tr("Full screen"),
            self.tr("Lock"),
        )
        for tool, name in zip(TOOLS, names, strict=True):
            made = self._button(tool, name)
            made.setProperty("tool", True)
            made.setIconSize(QSize(16, 16))
            made.setFixedSize(TOOL_SIDE, TOOL_SIDE)
            tools.addWidget(made)
        column.addLayout(tools)
        self.show_chords()

    def _button(self, action: str, name: str) -> QToolButton:
        made = QToolButton()
        made.setAccessibleName(name)
        self._names[action] = name
        made.setIcon(icon(action, self._colours["text"]))
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keyboard where it is
        made.clicked.connect(lambda _checked: self.wanted.emit(action))
        self.buttons[action] = made
        return made

    def show_chords(self) -> None:
        """Name each button's combination in its tool tip."""
        for action, made in self.buttons.items():
            name = self._names[action]
            made.setToolTip(f"{name} ({self._chords.text(action)})")

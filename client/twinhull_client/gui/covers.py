"""What the host lays over everything under the strip: the chords while their keys are held, and the lock."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from twinhull_client.gui.chords import Chords, action_words
from twinhull_client.gui.theme import icon_pixmap
from twinhull_client.gui.widgets import button, label

SENTENCE_WIDTH = 520


class Cover(QWidget):
    """Fills the widget it is made for, over whatever is in it, and grows with it."""

    def __init__(self, ground: QWidget) -> None:
        super().__init__(ground)
        self._ground = ground
        ground.installEventFilter(self)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._ground and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._ground.rect())
        return False

    def appear(self) -> None:
        """Cover everything now."""
        self.setGeometry(self._ground.rect())
        self.raise_()
        self.show()


class ChordList(Cover):
    """The chords by name, while the keys they share are held. It takes neither keys nor clicks."""

    def __init__(self, ground: QWidget, chords: Chords) -> None:
        super().__init__(ground)
        self.setObjectName("chords")
        self.setAccessibleName(self.tr("Key combinations of this laptop"))
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.chords = chords
        card = QFrame()
        card.setObjectName("card")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(28)
        self._grid.setVerticalSpacing(8)
        column = QVBoxLayout(card)
        column.setContentsMargins(32, 24, 32, 28)
        column.setSpacing(14)
        column.addWidget(label(self.tr("Always this laptop's own"), "heading"))
        column.addLayout(self._grid)
        outer = QVBoxLayout(self)
        outer.addStretch()
        outer.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        outer.addStretch()
        self.shown: dict[str, str] = {}

    def appear(self) -> None:
        """Show what the chords are now."""
        now = {action: self.chords.text(action) for action in self.chords}
        if now != self.shown:
            self.shown = now
            while (item := self._grid.takeAt(0)) is not None:
                if (widget := item.widget()) is not None:
                    widget.deleteLater()
            for row, (action, words) in enumerate(action_words().items()):
                self._grid.addWidget(label(now[action], "mono", wrap=False), row, 0)
                self._grid.addWidget(label(words, wrap=False), row, 1)
        super().appear()


class LockCover(Cover):
    """Nothing of either computer is seen or reached while it is there.

    Signals:
        unlock: the person wants to go on.
    """

    unlock = Signal()

    def __init__(self, ground: QWidget, colour: str) -> None:
        super().__init__(ground)
        self.setObjectName("lock")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Locked"))
        picture = label(wrap=False)
        picture.setPixmap(icon_pixmap("shield", colour, 56, 2.0))
        picture.setFixedSize(56, 56)
        self.sentence = label(role="subtitle")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.sentence.setFixedWidth(SENTENCE_WIDTH)
        self.button = button(self.tr("Go on"), self.unlock.emit, primary=True)
        column = QVBoxLayout(self)
        column.setSpacing(16)
        column.addStretch(2)
        for part in (picture, label(self.tr("Locked"), "title", wrap=False), self.sentence, self.button):
            column.addWidget(part, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)

    def appear(self) -> None:
        """Cover everything now, and have the keyboard."""
        super().appear()
        self.setFocus()

    def say(self, sentence: str, *, open_here: bool) -> None:
        """Say how it is unlocked; ``open_here`` when that is the button."""
        self.sentence.setText(sentence)
        self.sentence.setFixedHeight(self.sentence.heightForWidth(SENTENCE_WIDTH))
        self.button.setVisible(open_here)
        if open_here and self.isVisible():
            self.button.setFocus()

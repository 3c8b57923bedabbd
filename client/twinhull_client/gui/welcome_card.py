"""What a fresh laptop's owner is asked once, on the first page: whether phrase and colours are to stay."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout

from twinhull_client.gui.widgets import Card, button, foreign


class WelcomeCard(Card):
    """Signals:
    choose: the person wants to choose.
    keep: it is to stay as it is.
    """

    choose = Signal()
    keep = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Make this laptop yours"))
        self.badge.hide()
        self.sentence = foreign()
        self.change = button(self.tr("Choose phrase and colours"), self.choose.emit, primary=True)
        self.stay = button(self.tr("Keep them"), self.keep.emit)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.change)
        row.addWidget(self.stay)
        row.addStretch()
        self.body.addWidget(self.sentence)
        self.body.addLayout(row)

    def show_phrase(self, phrase: str) -> None:
        """Say what there is now; none where none was made at installation."""
        if not phrase:
            self.sentence.setText(
                self.tr(
                    "The strip on top says which computer you are in, by colour and pattern. Choose a phrase "
                    "for it, so that nobody can imitate it."
                )
            )
            return
        self.sentence.setText(
            self.tr(
                "The strip on top says which computer you are in, by colour, pattern and your phrase "
                "“{phrase}”. Choose your own, so that nobody can imitate it."
            ).format(phrase=phrase)
        )

"""The page of an erased corporate computer, or of a company that was left: what is gone, and what is not."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout
from twinhull_policy.api.types import Log, PartitionInfo
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.news import News
from twinhull_client.gui.receipts import receipts
from twinhull_client.gui.subpage import SubPage
from twinhull_client.gui.widgets import Card, Problem, button, foreign, label
from twinhull_client.gui.words import as_sentence, state_words


class ErasedPage(SubPage):
    """Signals:
    understood: the person has read it.
    receipts_wanted: the person wants to see the receipts.
    """

    understood = Signal()
    receipts_wanted = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("The corporate computer was erased"), self.tr("Back to Home"))
        self.news: News = "erased"
        self.problem = Problem()
        self.gone = Card(self.tr("What is gone"))
        self.kept = Card(self.tr("What is as it was"))
        self.sentence = label()
        self.reason = foreign("muted")
        self.personal = label("", "strong")
        self.proof = label(role="muted")
        for card in (self.gone, self.kept):
            card.badge.hide()
        self.gone.body.addWidget(self.sentence)
        self.gone.body.addWidget(self.reason)
        self.kept.body.addWidget(self.personal)
        self.kept.body.addWidget(self.proof)
        self.read = button(self.tr("I have read it"), self.understood.emit, primary=True)
        self.receipts = button(self.tr("Show the receipts"), self.receipts_wanted.emit)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.read)
        row.addWidget(self.receipts)
        row.addStretch()
        for part in (self.problem, self.gone, self.kept):
            self.column.addWidget(part)
        self.column.addLayout(row)
        self.column.addStretch(1)

    def begin(self, news: News, corporate: PartitionInfo, personal: PartitionInfo) -> None:
        """Say what is so now; what the receipts say follows by ``show_log``."""
        self.news = news
        self.problem.say(None)
        left = news == "left"
        title = (
            self.tr("This laptop has left the company")
            if left
            else self.tr("The corporate computer was erased")
        )
        self.title.setText(title)
        self.setAccessibleName(title)
        self.sentence.setText(
            self.tr(
                "The corporate computer with everything in it, its keys, its network, and what tied this "
                "laptop to the company. Nothing brings it back, and the company controls and sees nothing "
                "here any more."
            )
            if left
            else self.tr(
                "The corporate computer with everything in it, and its keys. Nothing brings it back. Your "
                "company can offer it anew; it begins empty then."
            )
        )
        self.reason.setText(as_sentence(corporate.reason))
        self.reason.setVisible(bool(corporate.reason))
        self.personal.setText(
            self.tr("Your personal computer. It is now: {state}.").format(state=state_words(personal)[0])
        )
        self.proof.setText(self.tr("Looking for the receipt."))

    def show_log(self, log: Log) -> None:
        """Say what the newest receipt of the corporate computer's end says of the personal one."""
        end = next(
            (each for each in receipts(log.entries) if each.partition == "corporate" and each.removed), None
        )
        if end is None:
            self.proof.setText(self.tr("There is no receipt of it in the log."))
        elif end.other_untouched:
            self.proof.setText(
                self.tr("The receipt says so, too: its keys and files were the same before and after.")
            )
        elif end.other_untouched is None:
            self.proof.setText(self.tr("The receipt does not speak of it."))
        else:
            self.proof.setText(
                self.tr("The receipt says that its keys and files were NOT the same before and after.")
            )

    def show_unknown(self, error: TwinhullError) -> None:
        """Say why there is no log."""
        self.proof.setText("")
        self.problem.say(error)

    def opened(self) -> None:
        """Begin with what is gone."""
        super().opened()
        self.read.setFocus()

"""The page of what changed in the company's rules: for the person first, then field by field."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget
from twinhull_policy.diff import diff
from twinhull_policy.errors import TwinhullError
from twinhull_policy.parse import parse_policy

from twinhull_client.gui.subpage import SubPage
from twinhull_client.gui.widgets import Card, Problem, button, clear, foreign, label
from twinhull_client.gui.words import policy_words


@dataclass(frozen=True)
class Change:
    """What the rules mean for the person in one respect, then and now."""

    subject: str
    now: str
    before: str


def changes(before: str, after: str) -> tuple[list[Change], tuple[str, ...]]:
    """What is different between two documents: in the app's own words, and every field in the comparison's.

    Raises:
        TwinhullError: one of them is no policy that this version understands.
    """
    old, new = parse_policy(before.encode()), parse_policy(after.encode())
    said = dict(policy_words(old))
    different = [
        Change(subject, sentence, said[subject])
        for subject, sentence in policy_words(new)
        if said[subject] != sentence
    ]
    return different, diff(old, new, ()).words


class PolicyPage(SubPage):
    """Signals:
    understood: the person has read it.
    """

    understood = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Your company changed its rules"), self.tr("Back to Home"))
        self.problem = Problem()
        self.yours = Card(self.tr("What is different for you"))
        self.fields = Card(self.tr("Every change, as the service says it"))
        for card in (self.yours, self.fields):
            card.badge.hide()
        self.nothing = label(self.tr("What the rules mean for you is the same as before."))
        self.personal = label(
            self.tr("Your personal computer: nothing. It cannot be named in these rules, seen or changed."),
            "muted",
        )
        self.lines = self._place(self.yours, self.nothing)
        self.yours.body.addWidget(self.personal)
        self.words = self._place(self.fields)
        self.read = button(self.tr("I have read it"), self.understood.emit, primary=True)
        row = QHBoxLayout()
        row.addWidget(self.read)
        row.addStretch()
        self.column.addWidget(self.problem)
        self.column.addWidget(self.yours)
        self.column.addWidget(self.fields)
        self.column.addLayout(row)
        self.column.addStretch(1)

    @staticmethod
    def _place(card: Card, *first: QLabel) -> QVBoxLayout:
        for part in first:
            card.body.addWidget(part)
        place = QVBoxLayout()
        place.setSpacing(12)
        card.body.addLayout(place)
        return place

    def show_change(self, before: str, after: str) -> None:
        """Compare what the person has read with what is in force now."""
        clear(self.lines)
        clear(self.words)
        try:
            different, words = changes(before, after)
        except TwinhullError as error:
            self.problem.say(error)
            self.yours.hide()
            self.fields.hide()
            return
        self.problem.say(None)
        self.yours.show()
        self.nothing.setVisible(not different)
        for change in different:
            self.lines.addWidget(self._line(change))
        self.fields.setVisible(bool(words))
        for sentence in words:
            said = foreign("muted")
            said.setText(sentence)
            self.words.addWidget(said)

    def _line(self, change: Change) -> QWidget:
        row = QWidget()
        column = QVBoxLayout(row)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(label(change.subject, "label"))
        column.addWidget(label(self.tr("Now: {sentence}").format(sentence=change.now), "strong"))
        column.addWidget(label(self.tr("Before: {sentence}").format(sentence=change.before), "muted"))
        row.setAccessibleName(f"{change.subject}. {change.now}")
        return row

    def opened(self) -> None:
        """Begin with what is different."""
        super().opened()
        self.read.setFocus()

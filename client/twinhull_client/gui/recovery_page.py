"""The page of one computer's recovery code: made and shown once, printed, asked back; and used when needed.

The words are kept here alone, from when they are shown until they were asked back or the page is left; then
nobody has them but the paper. The page is this laptop's own, under its strip; the lock's cover hides it, and
with that the words are gone too.
"""

from __future__ import annotations

import secrets
from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtGui import QFont, QHideEvent, QTextDocument
from PySide6.QtPrintSupport import QPrintDialog, QPrinter
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget
from twinhull_policy.errors import TwinhullError
from twinhull_policy.recovery_code import PREFIX, WORDS

from twinhull_client.gui.subpage import SubPage
from twinhull_client.gui.widgets import Card, Problem, button, label, secret_field
from twinhull_client.gui.words import computer_name

Step = Literal["ask", "forgotten", "busy", "show", "check", "done"]
COLUMNS = 2
ASKED_BACK = 3
"""Words that are asked back: to know them one has to have written them down, or most of them."""


class RecoveryPage(SubPage):
    """One step at a time.

    Signals:
        make: the passphrase with which a code is to be made.
        recover: the code, and the new passphrase that is to be set with it.
        unchecked: a code was made, and the page was left before its words were asked back.
        checked: they were, and were right.
    """

    make = Signal(str)
    recover = Signal(str, str)
    unchecked = Signal()
    checked = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Recovery code"), self.tr("Back to Home"))
        self.name = "personal"
        self.step: Step = "ask"
        self._before: Step = "ask"
        self._code: tuple[str, ...] = ()
        self.asked: dict[int, QLineEdit] = {}
        self.problem = Problem()
        self._build_ask()
        self._build_forgotten()
        self._build_busy()
        self._build_show()
        self._build_check()
        self._build_done()
        self._cards: dict[Step, Card] = {
            "ask": self._ask,
            "forgotten": self._forgotten,
            "busy": self._busy,
            "show": self._show,
            "check": self._check,
            "done": self._done,
        }
        self.column.addWidget(self.problem)
        for card in self._cards.values():
            card.badge.hide()
            self.column.addWidget(card)
        self.column.addStretch(1)

    # -- what it is made of ----------------------------------------------------------------------------

    def _build_ask(self) -> None:
        self._ask = Card(self.tr("Make a recovery code"))
        self.state = label(role="strong")
        self.passphrase = secret_field(self.tr("Passphrase of this computer"))
        self.passphrase.returnPressed.connect(self._make)
        self.make_button = button(self.tr("Make the code"), self._make, primary=True)
        self.forgot = button(self.tr("The passphrase is forgotten…"), lambda: self._turn("forgotten"))
        self._ask.body.addWidget(
            label(
                self.tr(
                    "{n} words for paper. They open this computer's disk when its passphrase is forgotten. "
                    "They are shown once and kept nowhere; without them and the passphrase nobody can "
                    "open it."
                ).format(n=WORDS)
            )
        )
        self._ask.body.addWidget(self.state)
        self._ask.body.addWidget(self.passphrase)
        self._ask.body.addLayout(_row(self.make_button, self.forgot))

    def _build_forgotten(self) -> None:
        self._forgotten = Card(self.tr("Open it with the recovery code"))
        self.code = secret_field(self.tr("The {n} words of the recovery code").format(n=WORDS))
        self.new = secret_field(self.tr("New passphrase"))
        self.again = secret_field(self.tr("The new passphrase again"))
        self.again.returnPressed.connect(self._recover)
        self.differ = label(self.tr("The two passphrases are not the same. Type them again."), "warning")
        self.recover_button = button(self.tr("Set the new passphrase"), self._recover, primary=True)
        self._forgotten.body.addWidget(
            label(
                self.tr(
                    "Whatever opened it before is void then, and you get the next code. Four letters of "
                    "each word are enough. Nothing that is on the disk changes."
                )
            )
        )
        for part in (self.code, self.new, self.again, self.differ):
            self._forgotten.body.addWidget(part)
        cancel = button(self.tr("Cancel"), lambda: self._turn("ask"))
        self._forgotten.body.addLayout(_row(self.recover_button, cancel))

    def _build_busy(self) -> None:
        self._busy = Card(self.tr("Please wait"))
        self._busy.body.addWidget(label(self.tr("It takes some seconds, on purpose: so does every guess.")))

    def _build_show(self) -> None:
        self._show = Card(self.tr("Write these words down now"))
        self.words = QWidget()
        self._grid = QGridLayout(self.words)
        self._grid.setHorizontalSpacing(28)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(COLUMNS, 1)
        self.print_button = button(self.tr("Print…"), self._print)
        self.written = button(self.tr("They are on paper"), self._ask_back, primary=True)
        self._show.body.addWidget(
            label(
                self.tr(
                    "They are not shown again once you leave this page, and an earlier code opens nothing "
                    "any more. Printers may keep what they print."
                ),
                "warning",
            )
        )
        self._show.body.addWidget(self.words)
        self._show.body.addLayout(_row(self.written, self.print_button))

    def _build_check(self) -> None:
        self._check = Card(self.tr("Three words, from the paper"))
        self._asking = QGridLayout()
        self._asking.setHorizontalSpacing(16)
        self._asking.setVerticalSpacing(10)
        self._asking.setColumnStretch(1, 1)
        self.wrong = label(role="warning")
        self.compare = button(self.tr("Compare"), self._compare, primary=True)
        self._check.body.addLayout(self._asking)
        self._check.body.addWidget(self.wrong)
        shown = button(self.tr("Show the words again"), lambda: self._turn("show"))
        self._check.body.addLayout(_row(self.compare, shown))

    def _build_done(self) -> None:
        self._done = Card(self.tr("The code is ready"))
        self._done.body.addWidget(
            label(
                self.tr(
                    "Keep the paper away from this laptop. The next code, or using this one, makes it void."
                )
            )
        )

    # -- what is shown ---------------------------------------------------------------------------------

    def begin(self, name: str, *, forgotten: bool = False) -> None:
        """Turn to one computer; whether it has a code follows by ``show_state``."""
        self.name = name
        self.title.setText(self.tr("Recovery code: {name}").format(name=computer_name(name)))
        self.state.setText("")
        self._turn("forgotten" if forgotten else "ask")

    def show_state(self, *, has_code: bool, unchecked: bool) -> None:
        """Say whether there is a code, and whether its words were ever asked back."""
        self.state.setText(
            self.tr(
                "The last code was never compared with its paper. If you do not have it, make another one."
            )
            if has_code and unchecked
            else self.tr("There is a code. Making another one voids it.")
            if has_code
            else self.tr("There is none yet.")
        )

    def show_code(self, code: str) -> None:
        """Show the words, unless nobody looks at the page any more: then they are gone, and that is told."""
        if self.isVisible():
            self._code = tuple(code.split())
            self._turn("show")
        else:
            self.unchecked.emit()

    def fail(self, error: TwinhullError) -> None:
        """Say why there is no code, where it was asked for."""
        self._turn(self._before)
        self.problem.say(error)

    def _turn(self, step: Step) -> None:
        self.step = step
        self.problem.say(None)
        self.differ.hide()
        self.wrong.hide()
        for each, card in self._cards.items():
            card.setVisible(each == step)
        for field in (self.passphrase, self.code, self.new, self.again):
            field.clear()
        self._clear_words()
        if step == "show":
            self._lay_out_words()
        first: dict[Step, QWidget] = {
            "ask": self.passphrase,
            "forgotten": self.code,
            "busy": self.back,
            "show": self.written,
            "check": next(iter(self.asked.values()), self.compare),
            "done": self.back,
        }
        first[step].setFocus()

    def _clear_words(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _lay_out_words(self) -> None:
        rows = -(-len(self._code) // COLUMNS)
        for place, word in enumerate(self._code):
            text = label(f"{place + 1:>2}. {word}", "code", wrap=False)
            text.setAccessibleName(self.tr("Word {n}: {word}").format(n=place + 1, word=word))
            self._grid.addWidget(text, place % rows, place // rows)

    def opened(self) -> None:
        """Show it from its top; the keyboard is where the step has put it."""
        self.area.verticalScrollBar().setValue(0)

    # -- what the person does --------------------------------------------------------------------------

    def _make(self) -> None:
        secret = self.passphrase.text()
        if secret:
            self._before = "ask"
            self._turn("busy")
            self.make.emit(secret)

    def _recover(self) -> None:
        code, new = self.code.text().strip(), self.new.text()
        if new != self.again.text():
            self.differ.show()
            self.again.clear()
            self.again.setFocus()
        elif code and new:
            self._before = "forgotten"
            self._turn("busy")
            self.recover.emit(code, new)

    def _ask_back(self) -> None:
        while (item := self._asking.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        places = sorted(secrets.SystemRandom().sample(range(len(self._code)), ASKED_BACK))
        self.asked = {}
        for row, place in enumerate(places):
            name = self.tr("Word {n}").format(n=place + 1)
            field = QLineEdit()
            field.setAccessibleName(name)
            field.returnPressed.connect(self._compare)
            self.asked[place] = field
            self._asking.addWidget(QLabel(name), row, 0)
            self._asking.addWidget(field, row, 1)
        self._turn("check")

    def _compare(self) -> None:
        for place, field in self.asked.items():
            if not _is_word(field.text(), self._code[place]):
                self.wrong.setText(self.tr("Word {n} is another one.").format(n=place + 1))
                self.wrong.show()
                field.setFocus()
                field.selectAll()
                return
        self._code = ()
        self.checked.emit()
        self._turn("done")

    def sheet(self) -> str:
        """The page to print."""
        rows = -(-len(self._code) // COLUMNS)
        table = [
            "   ".join(
                f"{place + 1:>4}. {self._code[place]:<10}" for place in range(row, len(self._code), rows)
            ).rstrip()
            for row in range(rows)
        ]
        why = self.tr("It opens this computer's disk if the passphrase is forgotten. Keep it on paper.")
        return "\n".join(
            [self.title.text(), "", *table, "", why, f"    twinhull disk recover {self.name}", ""]
        )

    def print_on(self, printer: QPrinter) -> None:
        """Print the sheet."""
        document = QTextDocument()
        font = QFont("DejaVu Sans Mono")
        font.setStyleHint(QFont.StyleHint.Monospace)
        document.setDefaultFont(font)
        document.setPlainText(self.sheet())
        document.print_(printer)

    def _print(self) -> None:
        printer = QPrinter(QPrinter.PrinterMode.HighResolution)
        dialog = QPrintDialog(printer, self)
        if dialog.exec() == QPrintDialog.DialogCode.Accepted:
            self.print_on(printer)

    def hideEvent(self, event: QHideEvent) -> None:
        """Whoever looks at another page, or locks, has seen the words for the last time."""
        if self._code:
            self._code = ()
            self.unchecked.emit()
        self._turn("ask")
        super().hideEvent(event)


def _row(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(10)
    for made in buttons:
        row.addWidget(made)
    row.addStretch()
    return row


def _is_word(typed: str, word: str) -> bool:
    """Whether it is that word, or enough of its letters to be no other."""
    typed = typed.strip().lower()
    return typed == word or (len(typed) >= PREFIX and word.startswith(typed))

"""The page of receipts: what this laptop has signed for, what each says, and its exact bytes to be kept."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QListWidget, QPlainTextEdit
from twinhull_policy.api.types import Log
from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust.documents import WipeReceipt

from twinhull_client.cli.files import created
from twinhull_client.gui.receipts import Found, receipts
from twinhull_client.gui.snapshots_page import moment
from twinhull_client.gui.subpage import SubPage
from twinhull_client.gui.widgets import Card, Problem, button, foreign, label
from twinhull_client.gui.words import computer_name


class ReceiptsPage(SubPage):
    """Signals:
    again: the log could not be had, and the person wants it tried again.
    """

    again = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Receipts"), self.tr("Back"))
        self.found: list[Found] = []
        self.problem = Problem()
        self.retry = button(self.tr("Try again"), self.again.emit)
        self.none = label(
            self.tr("There are none yet. Whatever is erased or asked of this laptop leaves one.")
        )
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Receipts"))
        self.list.setMinimumHeight(120)
        self.list.currentRowChanged.connect(self._show)
        self.card = Card("")
        self.says = foreign()
        self.bytes = QPlainTextEdit(readOnly=True)
        self.bytes.setAccessibleName(self.tr("The exact bytes"))
        self.bytes.setMinimumHeight(120)
        self.bytes.setTabChangesFocus(True)
        self.save = button(self.tr("Save the exact bytes…"), self._choose_file)
        self.saved = foreign("strong")
        self.saved.hide()
        row = QHBoxLayout()
        row.addWidget(self.save)
        row.addStretch()
        for part in (self.says, self.bytes, self.saved):
            self.card.body.addWidget(part)
        self.card.body.addLayout(row)
        self.column.addWidget(self.problem)
        self.column.addWidget(self.retry, 0, Qt.AlignmentFlag.AlignLeft)
        for line in (self.none, self.list, self.card):
            self.column.addWidget(line)
        self.column.addStretch(1)
        self._fill([])

    def show_log(self, log: Log) -> None:
        """Take over the owner's log."""
        self.problem.say(None)
        self.retry.hide()
        self._fill(receipts(log.entries))

    def show_unknown(self, error: TwinhullError) -> None:
        """Say why there is no log."""
        self._fill([])
        self.none.hide()
        self.problem.say(error)
        self.retry.show()

    def _fill(self, found: list[Found]) -> None:
        self.found = found
        self.retry.hide()
        self.none.setVisible(not found)
        self.list.setVisible(bool(found))
        self.card.setVisible(bool(found))
        self.list.clear()
        for each in found:
            self.list.addItem(f"{moment(each.entry.at)} · {self._what(each)}")
        if found:
            self.list.setCurrentRow(0)

    def _what(self, found: Found) -> str:
        if isinstance(found.says, WipeReceipt):
            return self.tr("You erased the {name}").format(name=computer_name(found.partition))
        words = {
            "lock": self.tr("Your employer locked the corporate computer"),
            "unlock": self.tr("Your employer unlocked the corporate computer"),
            "wipe": self.tr("Your employer erased the corporate computer"),
            "release": self.tr("Your employer let this laptop go"),
            "rotate-vpn-key": self.tr("The key of the company connection was changed"),
        }
        states = {
            "delivered": self.tr("received"),
            "started": self.tr("begun"),
            "done": self.tr("done"),
            "failed": self.tr("failed"),
        }
        return f"{words[found.says.action]}: {states[found.says.state]}"

    def _show(self, row: int) -> None:
        self.saved.hide()
        if not 0 <= row < len(self.found):
            return
        found = self.found[row]
        self.card.heading.setText(self._what(found))
        self.card.badge.say(
            self.tr("Signed by this laptop") if found.signed else self.tr("Not signed"),
            "good" if found.signed else "warn",
        )
        self.says.setText("\n".join(self._sentences(found)))
        self.bytes.setPlainText(found.entry.body)

    def _sentences(self, found: Found) -> list[str]:
        said = []
        if found.removed:
            words = {
                "keys": self.tr("keys"),
                "headers": self.tr("headers of the disk"),
                "header-backups": self.tr("their backups"),
                "snapshots": self.tr("earlier states"),
                "contents": self.tr("contents"),
                "firmware-variables": self.tr("settings of its firmware"),
                "enrolment": self.tr("what tied it to the company"),
            }
            what = ", ".join(words.get(each, each) for each in found.removed)
            said.append(self.tr("Gone for good: {what}.").format(what=what))
        if isinstance(found.says, WipeReceipt) and found.says.survived:
            what = ", ".join(found.says.survived)
            said.append(self.tr("Could still be read: {what}.").format(what=what))
        other = computer_name("personal" if found.partition == "corporate" else "corporate")
        if found.other_untouched:
            said.append(self.tr("{name}: untouched, the same before and after.").format(name=other))
        elif found.other_untouched is False:
            said.append(self.tr("{name}: NOT the same before and after.").format(name=other))
        return said or [self.tr("Nothing was removed.")]

    def _choose_file(self) -> None:
        path, _kind = QFileDialog.getSaveFileName(
            self,
            self.tr("Where the receipt is kept"),
            "twinhull-receipt.json",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if path:
            self.save_to(Path(path))

    def save_to(self, path: Path) -> None:
        """Write the bytes of the chosen receipt, as they are, into a new file."""
        body = self.found[self.list.currentRow()].entry.body
        try:
            with created(path) as file:
                file.write(body)
        except TwinhullError as error:
            self.problem.say(error)
            return
        self.problem.say(None)
        self.saved.setText(self.tr("Saved: {path}").format(path=path))
        self.saved.show()

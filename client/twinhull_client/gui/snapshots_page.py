"""A page with one computer's earlier states as a timeline: keep one more, go back, undo that, remove."""

from __future__ import annotations

import re
from typing import Literal

from PySide6.QtCore import QDateTime, QLocale, Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QProgressBar, QVBoxLayout, QWidget
from twinhull_policy.api.interface import SECRET_LIMIT
from twinhull_policy.api.types import SNAPSHOT_LIMIT, SNAPSHOT_NAME_LIMIT, PartitionInfo, SnapshotInfo
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.device_words import isolated
from twinhull_client.gui.widgets import EDGE, Card, Problem, button, clear, foreign, label, scrolling
from twinhull_client.gui.words import as_sentence, computer_name, size_words

Deed = Literal["make", "back", "remove", "stop"]
"""What can be done here; one at a time with each computer."""
PERCENT = re.compile(r"\b(\d{1,3}) %")
"""How far the service is, in the reason it gives for a partition's state (daemon/disks.py)."""
OFF = ("locked", "stopped", "failed")
"""States in which a computer can go back."""


class SnapshotsPage(QWidget):
    """What there is of one computer, newest first; and before anything is lost, the one question.

    Signals:
        wished: deed, snapshot, and the name or the passphrase that goes with it; both may be empty.
        again: the list could not be had, and the person wants it tried again.
        left: the person wants to see the home page.
    """

    wished = Signal(str, str, str)
    again = Signal()
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAccessibleName(self.tr("Earlier states"))
        self.info = PartitionInfo(name="personal", state="absent")
        self.found: list[SnapshotInfo] | None = None
        self.deed: Deed | None = None
        self.asked: tuple[Deed, SnapshotInfo] | None = None
        self.title = label(role="title")
        self.back = button(self.tr("Back to Home"), self.left.emit)
        self.problem = Problem()
        self.done = label(role="strong")
        self._build_making()
        self._build_doing()
        self._build_question()
        self._build_timeline()
        for card in (self.making, self.doing, self.question, self.timeline):
            card.badge.hide()
        self._build()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(EDGE, 0, EDGE, 0)
        head.addWidget(self.title, 1)
        head.addWidget(self.back, 0, Qt.AlignmentFlag.AlignTop)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setSpacing(20)
        for part in (self.problem, self.done, self.doing, self.question, self.making, self.timeline):
            column.addWidget(part)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 28, 0, 0)
        outer.setSpacing(16)
        outer.addLayout(head)
        self.area = scrolling(page, self.tr("Earlier states of one computer"))
        outer.addWidget(self.area, 1)

    def _build_making(self) -> None:
        self.making = Card(self.tr("Keep it as it is now"))
        self.name = QLineEdit()
        self.name.setMaxLength(SNAPSHOT_NAME_LIMIT)
        self.name.setPlaceholderText(self.tr("A name for it, such as: before the update"))
        self.name.setAccessibleName(self.tr("A name for the state that is kept; may be left empty"))
        self.name.returnPressed.connect(self._make)
        self.make = button(self.tr("Keep this state"), self._make, primary=True)
        self.advice = label(role="muted")
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.name, 1)
        row.addWidget(self.make)
        self.making.body.addWidget(self.advice)
        self.making.body.addLayout(row)

    def _build_doing(self) -> None:
        self.doing = Card(self.tr("Please wait"))
        self.doing_sentence = label()
        self.doing_reason = foreign("muted")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("How far it is"))
        for part in (self.doing_sentence, self.progress, self.doing_reason):
            self.doing.body.addWidget(part)

    def _build_question(self) -> None:
        self.question = Card("")
        self.subject = foreign("strong")
        self.lost = label()
        self.off_first = label(role="warning")
        self.passphrase = QLineEdit()
        self.passphrase.setEchoMode(QLineEdit.EchoMode.Password)
        self.passphrase.setMaxLength(SECRET_LIMIT // 4)
        self.passphrase.setPlaceholderText(self.tr("Passphrase of this computer"))
        self.passphrase.setAccessibleName(self.tr("Passphrase of this computer"))
        self.passphrase.returnPressed.connect(self._agree)
        self.agree = button(self.tr("Go back"), self._agree, primary=True)
        self.stop = button(self.tr("Shut it down"), lambda: self.wished.emit("stop", "", ""), primary=True)
        self.cancel = button(self.tr("Leave it as it is"), self._cancel)
        row = QHBoxLayout()
        row.setSpacing(10)
        for control in (self.stop, self.agree, self.cancel):
            row.addWidget(control)
        row.addStretch()
        for part in (self.subject, self.lost, self.off_first, self.passphrase):
            self.question.body.addWidget(part)
        self.question.body.addLayout(row)

    def _build_timeline(self) -> None:
        self.timeline = Card(self.tr("Newest first"))
        self.rows = QVBoxLayout()
        self.rows.setSpacing(14)
        self.timeline.body.addLayout(self.rows)

    # -- what is shown ---------------------------------------------------------------------------------

    def begin(self, info: PartitionInfo) -> None:
        """Turn to one computer; its list follows by ``show_found``."""
        self.asked, self.found = None, None
        self.name.clear()
        self.passphrase.clear()
        self.title.setText(self.tr("Earlier states: {name}").format(name=computer_name(info.name)))
        self.show_deed(None)
        self.show_info(info)
        self._fill()

    def show_info(self, info: PartitionInfo) -> None:
        """Take over that computer's fresh state."""
        self.info = info
        self._arrange()

    def show_found(self, found: list[SnapshotInfo]) -> None:
        """Take over the list, oldest first as the service gives it."""
        if self.asked is not None and self.asked[1] not in found:
            self.asked = None
        if found != self.found:
            self.found = found
            self._fill()
        self._arrange()

    def show_unknown(self, error: TwinhullError) -> None:
        """Say why there is no list."""
        self.found = None
        self.problem.say(error)
        clear(self.rows)
        self.rows.addWidget(label(self.tr("What is kept could not be read.")))
        self.rows.addWidget(
            button(self.tr("Try again"), self.again.emit), alignment=Qt.AlignmentFlag.AlignLeft
        )
        self._arrange()

    def show_deed(
        self, deed: Deed | None, error: TwinhullError | None = None, *, done: Deed | None = None
    ) -> None:
        """Say what is being done now, or what came of the last: an error, or that it is ``done``."""
        self.deed = deed
        self.problem.say(error)
        self.done.setText(self._done_words(done))
        self.done.setVisible(done is not None and done != "stop")
        if done == "make":
            self.name.clear()
        self._arrange()
        if deed is None:
            self.take_focus()

    def _done_words(self, done: Deed | None) -> str:
        match done:
            case "make":
                return self.tr("It is kept.")
            case "back":
                return self.tr("It is as it was then. “Undo” below brings back what was there before.")
            case "remove":
                return self.tr("It is removed.")
            case _:
                return ""

    @property
    def full(self) -> bool:
        """Whether no other state can be kept."""
        return self.found is not None and len(self.found) >= SNAPSHOT_LIMIT

    def _arrange(self) -> None:
        asking, busy = self.asked is not None, self.deed is not None
        self.doing.setVisible(busy)
        self.question.setVisible(asking and not busy)
        self.making.setVisible(not asking and not busy)
        self.timeline.setVisible(not asking and not busy)
        if busy:
            self._say_deed()
        if self.asked is not None:
            self._say_question(*self.asked)
        running = self.info.state not in OFF
        ready = self.found is not None and not self.full
        self.name.setEnabled(ready)
        self.make.setEnabled(ready)
        self.advice.setText(
            self.tr("{n} are kept, as many as there can be. Remove one first; “Undo” works as ever.").format(
                n=SNAPSHOT_LIMIT
            )
            if self.full
            else self.tr(
                "It is running: it stands still until that is done, which may take minutes. What is on its "
                "disk is kept, not what is open and not saved."
            )
            if running
            else self.tr("What is on its disk is kept, and you can go back to it.")
        )

    def _say_deed(self) -> None:
        sentence = {
            "make": self.tr("Its disk is being copied. If it is running it stands still until that is done."),
            "back": self.tr("It is going back. It cannot be started until that is done."),
            "remove": self.tr("It is being removed."),
            "stop": self.tr("It is shutting down."),
        }[self.deed or "make"]
        self.doing_sentence.setText(sentence)
        told = self.info.reason if self.deed in ("make", "back") else ""
        self.doing_reason.setText(as_sentence(told))
        self.doing_reason.setVisible(bool(told))
        percent = PERCENT.search(told)
        self.progress.setRange(0, 100 if percent else 0)  # to 0: on its way, nobody knows how far
        self.progress.setValue(min(int(percent[1]), 100) if percent else 0)

    def _say_question(self, deed: Deed, one: SnapshotInfo) -> None:
        going = deed == "back"
        off = self.info.state in OFF
        when = moment(one.at)
        self.question.heading.setText(
            self.tr("Go back to {when}?").format(when=when)
            if going
            else self.tr("Remove the state of {when}?").format(when=when)
        )
        self.question.setAccessibleName(self.question.heading.text())
        self.subject.setText(self.what(one))
        self.lost.setText(
            self.tr(
                "Everything written in this computer since is gone from it: files, programs, "
                "settings. It is kept as a state of its own, so this can be undone. Passphrases stay as they "
                "are now."
            )
            if going
            else self.tr("You cannot go back to it any more, and this cannot be undone.")
        )
        self.off_first.setText(self.tr("This computer has to be off. Save what is open in it first."))
        self.off_first.setVisible(going and not off)
        self.stop.setVisible(going and self.info.state in ("running", "paused"))
        self.passphrase.setVisible(going and off and not self.info.unlocked)
        self.agree.setVisible(off or not going)
        self.agree.setText(self.tr("Go back") if going else self.tr("Remove it"))
        self.agree.setAccessibleName(self.agree.text())

    def what(self, one: SnapshotInfo) -> str:
        """What a state is, for a person."""
        if one.kind == "update":
            return self.tr("Before the update to “{name}”").format(name=isolated(one.name))
        if one.kind == "rollback":
            if not one.name:
                return self.tr("Before you went back")
            return self.tr("Before you went back to “{name}”").format(name=isolated(one.name))
        return isolated(one.name) if one.name else self.tr("A state without a name")

    def _fill(self) -> None:
        clear(self.rows)
        if not self.found:
            self.rows.addWidget(
                label(
                    self.tr("Looking for earlier states.")
                    if self.found is None
                    else self.tr(
                        "Nothing is kept yet. Keep a state before an update or anything you are unsure of."
                    )
                )
            )
            return
        self.rows.addWidget(label(self.tr("Now: as it is"), "strong"))
        newest_undo = next((one for one in reversed(self.found) if one.kind == "rollback"), None)
        for one in reversed(self.found):
            self.rows.addWidget(self._row(one, undo=one is newest_undo))

    def _row(self, one: SnapshotInfo, *, undo: bool) -> QWidget:
        row = QWidget()
        row.setObjectName(one.id)
        grid = QGridLayout(row)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        what = foreign("strong")
        what.setText(self.what(one))
        when = label(f"{moment(one.at)} · {size_words(one.bytes)}", "muted")
        back = button(self.tr("Undo") if undo else self.tr("Go back…"), lambda: self.wants("back", one))
        # what was kept by going back or by an update is moved into its place, any other is copied: one more
        back.setEnabled(one.kind != "asked" or not self.full)
        remove = button(self.tr("Remove…"), lambda: self.wants("remove", one))
        spoken = {"what": self.what(one), "when": moment(one.at)}
        back.setAccessibleName(self.tr("Go back to {when}: {what}").format(**spoken))
        remove.setAccessibleName(self.tr("Remove {when}: {what}").format(**spoken))
        grid.addWidget(what, 0, 0)
        grid.addWidget(when, 1, 0)
        grid.addWidget(back, 0, 1, 2, 1)
        grid.addWidget(remove, 0, 2, 2, 1)
        return row

    # -- what is asked for -----------------------------------------------------------------------------

    def take_focus(self) -> None:
        """Put the keyboard where it is safe: a key meant for something else goes back to nothing."""
        if not self.isVisible() or self.deed is not None:
            return
        if self.asked is not None:
            (self.passphrase if self.passphrase.isVisible() else self.cancel).setFocus()
        else:
            (self.name if self.name.isEnabled() else self.back).setFocus()

    def _make(self) -> None:
        if self.make.isEnabled():
            self.wished.emit("make", "", self.name.text().strip())

    def wants(self, deed: Deed, one: SnapshotInfo) -> None:
        """Ask the person before a state is gone back to or removed."""
        self.asked = (deed, one)
        self.problem.say(None)
        self.done.hide()
        self._arrange()
        self.area.verticalScrollBar().setValue(0)
        self.take_focus()

    def _agree(self) -> None:
        if self.asked is None or self.deed is not None:
            return
        deed, one = self.asked
        secret = self.passphrase.text() if self.passphrase.isVisible() else ""
        if self.passphrase.isVisible() and not secret:
            self.passphrase.setFocus()
            return
        self.passphrase.clear()
        self.wished.emit(deed, one.id, secret)

    def settle(self) -> None:
        """What was asked is done: ask no more."""
        self.asked = None

    def _cancel(self) -> None:
        self.asked = None
        self.passphrase.clear()
        self.problem.say(None)
        self._arrange()
        self.take_focus()

    def hideEvent(self, event: QHideEvent) -> None:
        self.passphrase.clear()  # whoever looks at another page or locks has not agreed
        super().hideEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.asked is not None and self.deed is None:
            self._cancel()
        else:
            self.left.emit()


def moment(at: float) -> str:
    """The day and the time of seconds since the epoch, as the language writes them."""
    then, locale = QDateTime.fromSecsSinceEpoch(int(at)), QLocale()
    day = locale.toString(then.date(), QLocale.FormatType.LongFormat)
    return f"{day}, {locale.toString(then.time(), QLocale.FormatType.ShortFormat)}"

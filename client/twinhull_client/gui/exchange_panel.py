"""The card while something is to cross: which way, what it is, and whether to send it."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.covers import Cover
from twinhull_client.gui.exchange_file import OfferedFile
from twinhull_client.gui.exchange_link import Link
from twinhull_client.gui.exchange_text import Copied, visible
from twinhull_client.gui.pictures import Picture
from twinhull_client.gui.widgets import Problem, breakable, button, label
from twinhull_client.gui.words import size_words

WIDTH = 640
TEXT_HEIGHT = 200
PICTURE_HEIGHT = 240
"""Largest picture that is shown, logical pixels; a larger one is scaled, and crosses as it is."""

Step = Literal["choose", "wait", "read", "kept", "problem"]


class ExchangePanel(Cover):
    """One card; while it is there the keyboard is this laptop's, and both computers' screens are covered.

    Signals:
        chosen: the computer to copy from.
        send: the person has read it and wants it to cross.
        leave: the person does not.
    """

    chosen = Signal(str)
    send = Signal()
    leave = Signal()

    def __init__(self, ground: QWidget) -> None:
        super().__init__(ground)
        self.setObjectName("exchange")
        self.setAccessibleName(self.tr("Copy from one computer to the other"))
        self.step: Step = "choose"
        self._keeps_focus = False
        self.heading = label(role="heading")
        self.sentence = label()
        self.host = label(role="title")
        self.warning = label(role="warning")
        self.note = label(role="muted")
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setAccessibleName(self.tr("What would be copied"))
        self.text.setMinimumHeight(60)
        self.text.setMaximumHeight(TEXT_HEIGHT)
        self.text.setTabChangesFocus(True)
        self.picture = label(wrap=False)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.problem = Problem()
        self.ways = {
            "corporate": button(self.ways_text("corporate"), lambda: self.chosen.emit("corporate")),
            "personal": button(self.ways_text("personal"), lambda: self.chosen.emit("personal")),
        }
        self.send_button = button(self.tr("Send it"), self.send.emit, primary=True)
        self.leave_button = button(self.tr("Do not send"), self.leave.emit)
        card = QFrame()
        card.setObjectName("card")
        card.setMaximumWidth(WIDTH)
        column = QVBoxLayout(card)
        column.setContentsMargins(28, 22, 28, 24)
        column.setSpacing(12)
        for part in (self.heading, self.sentence, *self.ways.values(), self.host, self.warning, self.text):
            column.addWidget(part)
        for part in (self.note, self.picture, self.problem):
            column.addWidget(part)
        row = QHBoxLayout()
        row.addWidget(self.send_button)
        row.addWidget(self.leave_button)
        row.addStretch()
        column.addLayout(row)
        inner = QHBoxLayout()
        inner.addStretch(1)
        inner.addWidget(card, 100)
        inner.addStretch(1)
        outer = QVBoxLayout(self)
        outer.addStretch()
        outer.addLayout(inner)
        outer.addStretch()

    def ways_text(self, source: str) -> str:
        """What it is called to copy from ``source`` to the other computer."""
        if source == "corporate":
            return self.tr("From the corporate to the personal computer")
        return self.tr("From the personal to the corporate computer")

    def _turn(self, step: Step, heading: str, sentence: str = "") -> None:
        self.step = step
        self.heading.setText(heading)
        self.sentence.setText(sentence)
        self.sentence.setVisible(bool(sentence))
        for way in self.ways.values():
            way.setVisible(step == "choose")
        self.text.setVisible(step == "read")
        self.picture.hide()
        self.picture.clear()
        self.host.hide()
        self.note.hide()
        if step != "read":
            self.text.clear()
            self.warning.hide()
        self.send_button.setVisible(step == "read")
        self.leave_button.setText(self.tr("Do not send") if step == "read" else self.tr("Close"))
        self.leave_button.setAccessibleName(self.leave_button.text())
        if step != "problem":
            self.problem.say(None)
        self.appear()

    def appear(self) -> None:
        """Cover everything now, and keep the keyboard."""
        self._keeps_focus = True
        super().appear()

    def go(self) -> None:
        """Let go of everything that is shown, and of the keyboard."""
        self._keeps_focus = False
        self.text.clear()
        self.picture.clear()
        self.hide()

    def choose(self) -> None:
        """Ask which way."""
        self._turn(
            "choose",
            self.tr("Copy from one computer to the other"),
            self.tr(
                "Copy a text, an address or a picture in one of them first, or choose Send To in a file's "
                "menu there. You see it before it is sent."
            ),
        )
        self.ways["corporate"].setFocus()

    def wait(self, source: str) -> None:
        """Say that the computer is being asked."""
        self._turn("wait", self.ways_text(source), self.tr("Asking that computer what was copied there."))
        self.leave_button.setFocus()

    def read(self, source: str, copied: Copied) -> None:
        """Show what would cross. A key that was meant for something else sends nothing: the text has them."""
        size = self.tr("A text, {bytes} bytes, {lines} lines.").format(
            bytes=len(copied.content), lines=copied.lines
        )
        self._turn("read", self.ways_text(source), size)
        self.warning.setText(
            self.tr(
                "{n} characters in it cannot be seen or turn others around; here they are as numbers."
            ).format(n=copied.unseen)
        )
        self.warning.setVisible(copied.unseen > 0)
        self.text.setPlainText(copied.shown)
        self.text.setFocus()

    def lead(self, source: str, link: Link) -> None:
        """Show where an address leads, then all of it, and what there is to know of it."""
        self._turn(
            "read",
            self.ways_text(source),
            self.tr("A web address, {bytes} bytes. It leads to:").format(bytes=len(link.content)),
        )
        self.host.setText(breakable(link.host))
        self.host.setAccessibleName(link.host)
        self.host.show()
        self.text.setPlainText(link.content)
        self.warning.setText("\n".join(self._cautions(link)))
        self.warning.setVisible(bool(self.warning.text()))
        self.note.setText(
            self.tr(
                "Nothing is opened by this. It is put where the other computer pastes from, for a minute: "
                "paste it into a browser there."
            )
        )
        self.note.show()
        self.text.setFocus()

    def _cautions(self, link: Link) -> list[str]:
        lines = []
        if link.disguised:
            lines.append(self.tr("What stands before the @ is a name to sign in with, not where it leads."))
        if link.reads != link.host:
            reads = visible(link.reads)[0]
            lines.append(
                self.tr("Browsers may show it as “{name}”, with these letters: {letters}.").format(
                    name=f"\u2068{reads}\u2069", letters=", ".join(link.letters)
                )
            )
        if link.mixed:
            lines.append(self.tr("It mixes scripts in one word, as addresses do that imitate others."))
        if link.port:
            lines.append(self.tr("It leads to port {n} there.").format(n=link.port))
        if link.scheme == "http":
            lines.append(self.tr("It is not encrypted: others on the way can read and change it."))
        return lines

    def look(self, source: str, picture: Picture) -> None:
        """Show the picture that would cross, as it would."""
        width, height = picture.image.width(), picture.image.height()
        size = self.tr("A picture, {width} by {height} pixels, {size}.").format(
            width=width, height=height, size=size_words(len(picture.content))
        )
        self._turn("read", self.ways_text(source), size)
        ratio = self.devicePixelRatio()
        pixmap = QPixmap.fromImage(picture.image)
        most = QSize(WIDTH - 56, PICTURE_HEIGHT) * ratio
        if width > most.width() or height > most.height():
            smooth = Qt.TransformationMode.SmoothTransformation
            pixmap = pixmap.scaled(most, Qt.AspectRatioMode.KeepAspectRatio, smooth)
        pixmap.setDevicePixelRatio(ratio)
        self.text.hide()
        self.warning.hide()
        self.picture.setPixmap(pixmap)
        self.picture.setAccessibleName(size)
        self.picture.show()
        self.leave_button.setFocus()

    def hand(self, source: str, file: OfferedFile) -> None:
        """Show the file that would cross: its name as it would, what it is, and the beginning of a text."""
        said = self.tr("A file, {size}. By its content it is: {type}. It is called:").format(
            size=size_words(len(file.content)), type=file.type
        )
        self._turn("read", self.ways_text(source), said)
        self.host.setText(breakable(file.name))
        self.host.setAccessibleName(file.name)
        self.host.show()
        self.warning.setText("\n".join(self._file_cautions(file)))
        self.warning.setVisible(bool(self.warning.text()))
        self.text.setPlainText(file.beginning)
        self.text.setVisible(bool(file.beginning))
        self.note.setText(
            self.tr("It is put into Downloads there, and nothing opens it.")
            if file.whole and file.beginning
            else self.tr(
                "It is put into Downloads there, and nothing opens it. Only its beginning is shown here."
            )
            if file.beginning
            else self.tr(
                "It is put into Downloads there, and nothing opens it. What is in it cannot be shown here."
            )
        )
        self.note.show()
        (self.text if file.beginning else self.leave_button).setFocus()

    def _file_cautions(self, file: OfferedFile) -> list[str]:
        lines = []
        if file.renamed:
            lines.append(
                self.tr("There it is called “{name}”; it crosses under the name above.").format(
                    name=f"\u2068{file.said}\u2069"
                )
            )
        if file.program:
            lines.append(self.tr("It is a program."))
        if file.disguised:
            lines.append(self.tr("Its name ends as if it were something else than it is."))
        return lines

    def fetch(self, source: str, done: int, size: int) -> None:
        """Say how much of a file has come out of the computer."""
        self._move(source, self.tr("Taking the file from that computer: {done} of {size}."), done, size)

    def bring(self, source: str, done: int, size: int) -> None:
        """Say how much of a file has reached the other computer."""
        self._move(source, self.tr("Putting the file into the other computer: {done} of {size}."), done, size)

    def _move(self, source: str, sentence: str, done: int, size: int) -> None:
        sentence = sentence.format(done=size_words(done), size=size_words(size))
        if self.step == "wait":
            self.sentence.setText(sentence)
            return
        self._turn("wait", self.ways_text(source), sentence)
        self.leave_button.setText(self.tr("Stop"))
        self.leave_button.setAccessibleName(self.leave_button.text())
        self.leave_button.setFocus()

    def kept(self, source: str) -> None:
        """Say that the file is there."""
        self._turn(
            "kept",
            self.ways_text(source),
            self.tr("The other computer says that the file is in its Downloads."),
        )
        self.leave_button.setFocus()

    def fail(self, source: str, error: TwinhullError) -> None:
        """Say why nothing crosses."""
        self._turn("problem", self.ways_text(source))
        self.problem.say(error)
        self.leave_button.setFocus()

    def focusNextPrevChild(self, forwards: bool) -> bool:
        """Tab stays on the card: what is covered is not to get keys."""
        places = [
            each
            for each in (*self.ways.values(), self.text, self.send_button, self.leave_button)
            if each.isVisible()
        ]
        if not self._keeps_focus or not places:
            return super().focusNextPrevChild(forwards)
        now = self.focusWidget()
        at = places.index(now) if now in places else -1
        places[(at + (1 if forwards else -1)) % len(places)].setFocus(Qt.FocusReason.TabFocusReason)
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.leave.emit()
        else:
            super().keyPressEvent(event)

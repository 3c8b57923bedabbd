"""One of the two computers on the home page: its state, what to do next, the buttons, the passphrase."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QProgressBar
from twinhull_policy.api.interface import SECRET_LIMIT
from twinhull_policy.api.types import ImageInfo, PartitionInfo
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.theme import icon_pixmap, tokens
from twinhull_client.gui.widgets import Card, Problem, button, label, tip
from twinhull_client.gui.words import (
    ago,
    as_sentence,
    computer_name,
    image_name,
    memory_words,
    processor_words,
    size_words,
    state_words,
)


class PartitionCard(Card):
    """Card of one partition.

    Signals:
        asked: partition, action (create, start, stop, suspend, resume, open) and passphrase (may be empty).
    """

    asked = Signal(str, str, str)

    def __init__(self, name: str) -> None:
        super().__init__(computer_name(name))
        self.name = name
        self._info = PartitionInfo(name=name, state="stopped")
        self._busy = False
        self._waiting = False
        picture = label(wrap=False)
        picture.setPixmap(icon_pixmap(name, "#ffffff", 22, 2.0))
        picture.setFixedSize(40, 40)
        picture.setContentsMargins(9, 9, 9, 9)
        picture.setStyleSheet(f"background: {tokens().strip[name].ground}; border-radius: 10px;")
        self.top.insertWidget(0, picture)
        self.top.setSpacing(12)
        self.sentence = label()
        self.facts = label(role="muted")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Download of this computer's system"))
        self.problem = Problem()
        self.passphrase = self._secret_field(self.tr("Passphrase of this computer"))
        self.again = self._secret_field(self.tr("The same passphrase again"))
        self.passphrase.returnPressed.connect(self._submit)
        self.again.returnPressed.connect(self._submit)
        self.unlock = button(self.tr("Unlock and start"), self._submit, primary=True)
        self.start = button(self.tr("Start"), lambda: self._ask("start"), primary=True)
        self.open = button(self.tr("Open screen"), lambda: self._ask("open"), primary=True)
        self.resume = button(self.tr("Continue"), lambda: self._ask("resume"), primary=True)
        self.pause = button(self.tr("Pause"), lambda: self._ask("suspend"))
        self.stop = button(self.tr("Shut down"), lambda: self._ask("stop"))
        row = QHBoxLayout()
        row.setSpacing(10)
        for widget in (self.unlock, self.open, self.start, self.resume, self.pause, self.stop):
            row.addWidget(widget)
        row.addStretch()
        for part in (self.sentence, self.facts, self.progress, self.passphrase, self.again, self.problem):
            self.body.addWidget(part)
        self.body.addLayout(row)

    def _secret_field(self, name: str) -> QLineEdit:
        field = QLineEdit()
        field.setEchoMode(QLineEdit.EchoMode.Password)
        field.setMaxLength(SECRET_LIMIT // 4)
        field.setPlaceholderText(name)
        field.setAccessibleName(name)
        return field

    def show_info(self, info: PartitionInfo, image: ImageInfo | None) -> None:
        """Show a fresh state."""
        self._info = info
        badge, sentence, tone = state_words(info)
        waiting = info.state == "absent" and (image is None or not image.ready)
        if waiting:
            sentence = (
                self.tr("Its system is being downloaded: {done} of {all}.").format(
                    done=size_words(image.received_bytes), all=size_words(image.size_bytes)
                )
                if image is not None
                else self.tr("Nothing is offered for it yet. Connect this laptop to your company first.")
            )
        self.badge.say(badge, tone)
        self.sentence.setText(
            f"{sentence} {as_sentence(info.reason)}".strip() if info.state != "running" else sentence
        )
        facts = []
        if info.state not in ("absent",):
            facts.append(image_name(info.image))
            facts.append(
                self.tr("{memory} memory · {cpus} · {disk} GB disk").format(
                    memory=memory_words(info.memory_mib), cpus=processor_words(info.vcpus), disk=info.disk_gib
                )
            )
        if info.started_at and info.state in ("running", "paused"):
            facts.append(self.tr("started {ago}").format(ago=ago(info.started_at)))
        self.facts.setText(" · ".join(fact for fact in facts if fact))
        self.facts.setVisible(bool(facts))
        tip(self.facts, info.image)
        self.progress.setVisible(waiting and image is not None)
        if image is not None and image.size_bytes:
            self.progress.setValue(round(100 * image.received_bytes / image.size_bytes))
        self._waiting = waiting
        self._arrange()

    def _arrange(self) -> None:
        state, waiting = self._info.state, self._waiting
        needs_secret = state == "locked" or (state in ("stopped", "failed") and not self._info.unlocked)
        self.passphrase.setVisible(needs_secret or (state == "absent" and not waiting))
        self.again.setVisible(state == "absent" and not waiting)
        self.unlock.setText(self.tr("Set up") if state == "absent" else self.tr("Unlock and start"))
        self.unlock.setAccessibleName(self.unlock.text())
        self.unlock.setVisible(self.passphrase.isVisibleTo(self))
        self.start.setVisible(state in ("stopped", "failed") and not needs_secret)
        self.open.setVisible(state == "running")
        self.resume.setVisible(state == "paused")
        self.pause.setVisible(state == "running")
        self.stop.setVisible(state in ("running", "paused"))
        for widget in (self.unlock, self.start, self.resume, self.pause, self.stop):
            widget.setEnabled(not self._busy)

    def _submit(self) -> None:
        secret = self.passphrase.text()
        if self._busy or not secret:
            self.passphrase.setFocus()
            return
        if self._info.state == "absent" and secret != self.again.text():
            self.sentence.setText(self.tr("The two passphrases are not the same. Type them again."))
            self.again.clear()
            self.again.setFocus()
            return
        self.passphrase.clear()
        self.again.clear()
        self._ask("create" if self._info.state == "absent" else "start", secret)

    def _ask(self, action: str, secret: str = "") -> None:
        self.problem.say(None)
        self.asked.emit(self.name, action, secret)

    def set_busy(self, busy: bool) -> None:
        """While an action runs its buttons rest."""
        self._busy = busy
        self._arrange()

    def fail(self, error: TwinhullError) -> None:
        """Show what went wrong, in place."""
        self.problem.say(error)

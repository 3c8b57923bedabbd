"""One of the two computers on the home page: its state, what to do next, the buttons, the passphrase."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar
from twinhull_policy.api.types import ImageInfo, PartitionInfo
from twinhull_policy.errors import TwinhullError

from twinhull_client.gui.choices import DEFAULT_LOOKS, Look
from twinhull_client.gui.theme import icon_pixmap, tokens
from twinhull_client.gui.unlock_form import Need, UnlockForm
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
        asked: partition, action (create, start, start_by_pin, stop, suspend, resume, open) and the secret for
            it (may be empty).
        forgotten: partition: its passphrase is not known any more.
    """

    asked = Signal(str, str, str)
    forgotten = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__(computer_name(name))
        self.name = name
        self._info = PartitionInfo(name=name, state="stopped")
        self._busy = False
        self._waiting = False
        self._needs_secret = False
        self._picture = label(wrap=False)
        self._picture.setFixedSize(40, 40)
        self._picture.setContentsMargins(9, 9, 9, 9)
        self.show_look(DEFAULT_LOOKS[name])
        self.top.insertWidget(0, self._picture)
        self.top.setSpacing(12)
        self.sentence = label()
        self.facts = label(role="muted")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Download of this computer's system"))
        self.problem = Problem()
        self.form = UnlockForm(name)
        self.pin, self.passphrase, self.again = self.form.pin, self.form.passphrase, self.form.again
        self.form.submitted.connect(self._submit)
        self.form.rested.connect(self._arrange)
        self.unlock = button(self.tr("Unlock and start"), self._submit, primary=True)
        self.start = button(self.tr("Start"), lambda: self._ask("start"), primary=True)
        self.open = button(self.tr("Open screen"), lambda: self._ask("open"), primary=True)
        self.resume = button(self.tr("Continue"), lambda: self._ask("resume"), primary=True)
        self.pause = button(self.tr("Pause"), lambda: self._ask("suspend"))
        self.stop = button(self.tr("Shut down"), lambda: self._ask("stop"))
        self.forgot = button(self.tr("Forgotten?"), lambda: self.forgotten.emit(self.name))
        self.forgot.setAccessibleName(self.tr("The passphrase of this computer is forgotten"))
        row = QHBoxLayout()
        row.setSpacing(10)
        for widget in (
            *(self.unlock, self.form.other, self.forgot),
            *(self.open, self.start, self.resume, self.pause, self.stop),
        ):
            row.addWidget(widget)
        row.addStretch()
        for part in (self.sentence, self.facts, self.progress, self.form, self.problem):
            self.body.addWidget(part)
        self.body.addLayout(row)

    def show_look(self, look: Look) -> None:
        """Wear the colour that the owner chose."""
        colours = tokens().palette[look.colour]
        self._picture.setPixmap(icon_pixmap(self.name, colours.text, 22, 2.0))
        self._picture.setStyleSheet(f"background: {colours.ground}; border-radius: 10px;")

    def show_info(self, info: PartitionInfo, image: ImageInfo | None) -> None:
        """Show a fresh state."""
        self._info = info
        badge, sentence, tone = state_words(info)
        if info.state == "locked" and info.reason:  # no passphrase opens it now
            sentence = ""
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
        self._needs_secret = info.state == "locked" or (
            info.state in ("stopped", "failed") and not info.unlocked
        )
        new = info.state == "absent" and not waiting
        need: Need = "secret" if self._needs_secret else "new" if new else "nothing"
        # a try is counted before it is judged, and is no wrong one yet
        self.form.show_info(need, self.form.info if self._busy else info.unlock)
        self._arrange()

    def _arrange(self) -> None:
        state, needs_secret = self._info.state, self._needs_secret
        self.unlock.setText(self.tr("Set up") if state == "absent" else self.tr("Unlock and start"))
        self.unlock.setAccessibleName(self.unlock.text())
        self.unlock.setVisible(needs_secret or (state == "absent" and not self._waiting))
        self.forgot.setVisible(needs_secret)
        self.start.setVisible(state in ("stopped", "failed") and not needs_secret)
        self.open.setVisible(state == "running")
        self.resume.setVisible(state == "paused")
        self.pause.setVisible(state == "running")
        self.stop.setVisible(state in ("running", "paused"))
        for widget in (self.unlock, self.start, self.resume, self.pause, self.stop):
            widget.setEnabled(not self._busy)
        if self.form.resting:
            self.unlock.setEnabled(False)

    def _submit(self) -> None:
        secret = self.form.asking.text()
        if self._busy or self.form.resting or not secret:
            self.form.asking.setFocus()
            return
        if self._info.state == "absent" and secret != self.again.text():
            self.sentence.setText(self.tr("The two passphrases are not the same. Type them again."))
            self.again.clear()
            self.again.setFocus()
            return
        by_pin = self.form.way == "pin"
        self.form.take()
        self._ask("create" if self._info.state == "absent" else "start_by_pin" if by_pin else "start", secret)

    def _ask(self, action: str, secret: str = "") -> None:
        self.problem.say(None)
        self.asked.emit(self.name, action, secret)

    def set_busy(self, busy: bool) -> None:
        """While an action runs its buttons rest."""
        self._busy = busy
        self._arrange()

    def fail(self, error: TwinhullError) -> None:
        """Show what went wrong, in place."""
        self.problem.say(error, self.form.learn(error))

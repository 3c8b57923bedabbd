"""Enrolment on the first page: by a one-time token, typed or from a file, or by a code somebody lets in.

A link only brings an address, which is shown and has to be taken before it stands in the form.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QWidget
from twinhull_policy.api.interface import SECRET_LIMIT, URL_LIMIT
from twinhull_policy.api.types import EnrolmentInfo, GrantProgress, GrantPrompt
from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust.token import parse_token

from twinhull_client.addresses import check_url
from twinhull_client.cli.answers import read_answers
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.enrol_link import read_link
from twinhull_client.gui.errors import LinkTooLate
from twinhull_client.gui.widgets import Card, Problem, breakable, button, foreign, label

SHORTEST_WAIT_MS = 200
"""Between two questions to the daemon; it asks the server no sooner than the server wants."""
LONGEST_WAIT_MS = 60_000


class EnrolCard(Card):
    """Shown while this laptop belongs to no company.

    Signals:
        enrol: address and token, both checked.
        begin: address, checked: ask to be let in there.
        compared: the person says that the approval page shows the same.
        cancelled: the person stops waiting.
    """

    enrol = Signal(str, str)
    begin = Signal(str)
    compared = Signal()
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Connect this laptop to your company"))
        self.sentence = label()
        self.address = self._field(self.tr("Address, such as https://fleet.example"), URL_LIMIT)
        self.token = self._field(self.tr("One-time token"), SECRET_LIMIT)
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        for field in (self.address, self.token):
            field.returnPressed.connect(self._submit)
        self.start = button(self.tr("Connect"), self._submit, primary=True)
        self.file = button(self.tr("Use a file…"), self._choose_file)
        self.code = button(self.tr("Get a code"), self._ask_code)
        self.same = button(self.tr("They are the same"), self.compared.emit, primary=True)
        self.cancel = button(self.tr("Cancel"), self.cancelled.emit)
        self.linked = foreign("mono")
        self.take = button(self.tr("Use this address"), self._take_link)
        self.drop = button(self.tr("Ignore the link"), self.show_form)
        self.problem = Problem()
        self.grant = QWidget()
        self._facts = QGridLayout(self.grant)
        self._facts.setContentsMargins(0, 0, 0, 0)
        self._facts.setHorizontalSpacing(16)
        self._facts.setVerticalSpacing(6)
        self._facts.setColumnStretch(1, 1)
        self.values = {name: foreign(role) for name, role in (("page", ""), ("code", "title"))}
        self.values |= {name: foreign("mono") for name in ("server", "key")}
        names = {
            "page": self.tr("An administrator opens"),
            "code": self.tr("and types"),
            "server": self.tr("Fingerprint of the server"),
            "key": self.tr("Fingerprint of this laptop"),
        }
        for row, (name, text) in enumerate(names.items()):
            self._facts.addWidget(label(text, "label", wrap=False), row, 0)
            self._facts.addWidget(self.values[name], row, 1)
        row_of_buttons = QHBoxLayout()
        row_of_buttons.setSpacing(10)
        for made in (self.start, self.same, self.file, self.code, self.cancel, self.take, self.drop):
            row_of_buttons.addWidget(made)
        row_of_buttons.addStretch()
        for part in (self.sentence, self.linked, self.address, self.token, self.grant, self.problem):
            self.body.addWidget(part)
        self.body.addLayout(row_of_buttons)
        self.show_form()

    def _field(self, name: str, longest: int) -> QLineEdit:
        field = QLineEdit()
        field.setMaxLength(longest)
        field.setPlaceholderText(name)
        field.setAccessibleName(name)
        return field

    # -- what is shown ---------------------------------------------------------------------------------

    def show_form(self, error: TwinhullError | None = None) -> None:
        """Ask for address and token, and say what went wrong."""
        self._show(asking=True, waiting=False)
        self.badge.say(self.tr("Not connected"), "idle")
        self.problem.say(error)

    def show_busy(self) -> None:
        """The daemon is asked; the fields rest meanwhile."""
        self._show(asking=True, waiting=False)
        self.badge.say(self.tr("Connecting"), "warn")
        self.problem.say(None)
        for widget in (self.address, self.token, self.start, self.file, self.code):
            widget.setEnabled(False)

    def show_grant(self, prompt: GrantPrompt) -> None:
        """Show what is to be compared on the approval page."""
        self._show(asking=False, waiting=False)
        self.badge.say(self.tr("To be compared"), "warn")
        self.values["page"].setText(prompt.verification_uri)
        self.values["code"].setText(prompt.user_code)
        self.values["server"].setText(prompt.server_fingerprint)
        self.values["key"].setText(breakable(prompt.key_sha256))  # to be compared, so all of it is seen
        self.values["key"].setAccessibleName(prompt.key_sha256)
        self.same.setFocus(Qt.FocusReason.OtherFocusReason)

    def show_waiting(self) -> None:
        """Compared; now somebody else is to let this laptop in."""
        self._show(asking=False, waiting=True)
        self.badge.say(self.tr("Waiting to be let in"), "warn")

    def show_link(self, address: str) -> None:
        """Show the checked address of a link. A key that was meant for something else takes nothing."""
        self._show(asking=False, waiting=False)
        for part in (self.grant, self.cancel, self.same):
            part.hide()
        for shown in (self.linked, self.take, self.drop):
            shown.show()
        self.badge.say(self.tr("A link was opened"), "warn")
        self.problem.say(None)
        self.sentence.setText(
            self.tr(
                "A link asks to connect this laptop to the company at this address. Nothing was sent there. "
                "Go on only if your company gave you the link: whoever the address belongs to sets the rules "
                "of the corporate computer."
            )
        )
        self.linked.setText(breakable(address))
        self.linked.setAccessibleName(address)
        self.drop.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show(self, *, asking: bool, waiting: bool) -> None:
        for part in (self.linked, self.take, self.drop):
            part.hide()
        for widget in (self.address, self.token, self.start, self.file, self.code):
            widget.setVisible(asking)
            widget.setEnabled(True)
        self.grant.setVisible(not asking)
        self.cancel.setVisible(not asking)
        self.same.setVisible(not asking and not waiting)
        if asking:
            text = self.tr(
                "Your company gave you an address, and a token or a file. Without a token, get a code."
            )
        elif waiting:
            text = self.tr("As soon as the administrator agrees, this laptop is connected.")
        else:
            text = self.tr("Does the approval page show the same code and the same two fingerprints?")
        self.sentence.setText(text)

    # -- what the person does --------------------------------------------------------------------------

    def _submit(self) -> None:
        address, token = self.address.text().strip(), self.token.text().strip()
        try:
            check_url(address)
            parse_token(token)
        except TwinhullError as error:
            self.problem.say(error)
            return
        self.token.clear()
        self.enrol.emit(address, token)

    def _take_link(self) -> None:
        address = self.linked.accessibleName()
        self.show_form()
        self.address.setText(address)
        self.token.setFocus(Qt.FocusReason.OtherFocusReason)

    def _ask_code(self) -> None:
        address = self.address.text().strip()
        try:
            check_url(address)
        except TwinhullError as error:
            self.problem.say(error)
            self.address.setFocus()
            return
        self.begin.emit(address)

    def _choose_file(self) -> None:
        path, _kind = QFileDialog.getOpenFileName(self, self.tr("The file your company gave you"))
        if path:
            self.use_file(Path(path))

    def use_file(self, path: Path) -> None:
        """Take address and token from an answer file, to be looked at before they are used."""
        try:
            answers = read_answers(path)
        except TwinhullError as error:
            self.problem.say(error)
            return
        self.problem.say(None)
        self.address.setText(answers.url)
        self.token.setText(answers.token)
        self.start.setFocus()


class EnrolDesk(QObject):
    """Joins the card to the daemon.

    Signals:
        link_shown: the address of a link is on the card.
        link_refused: the TwinhullError that says why a link is good for nothing.
    """

    link_shown = Signal()
    link_refused = Signal(object)

    def __init__(self, client: DaemonClient, card: EnrolCard) -> None:
        super().__init__(card)
        self.client, self.card = client, card
        self._untrusted_link = ""
        self._prompt: GrantPrompt | None = None
        self._again = QTimer(self, singleShot=True)
        self._again.timeout.connect(self._poll)
        card.enrol.connect(self._enrol)
        card.begin.connect(self._begin)
        card.compared.connect(self._on_compared)
        card.cancelled.connect(self._cancel)

    def show_info(self, enrolment: EnrolmentInfo) -> None:
        """Take a fresh status over."""
        self.card.setVisible(not enrolment.enrolled)
        if enrolment.enrolled and self._prompt is not None:
            self._cancel()
        if self._untrusted_link:
            untrusted_link, self._untrusted_link = self._untrusted_link, ""
            try:
                address = read_link(untrusted_link)
                if enrolment.enrolled:
                    raise LinkTooLate
            except TwinhullError as error:
                self.link_refused.emit(error)
            else:
                self.card.show_link(address)
                self.link_shown.emit()

    def open_link(self, untrusted_link: str) -> None:
        """Show what a link asks for, as soon as it is known whether this laptop belongs to a company."""
        self._untrusted_link = untrusted_link

    def _enrol(self, address: str, token: str) -> None:
        self.card.show_busy()
        self.client.run(
            lambda daemon: daemon.enrol(address, token),
            lambda _enrolment: self.card.show_form(),
            self.card.show_form,
        )

    def _begin(self, address: str) -> None:
        self.card.show_busy()
        who = pwd.getpwuid(os.getuid()).pw_name
        self.client.run(
            lambda daemon: daemon.begin_device_grant(address, who), self._on_prompt, self.card.show_form
        )

    def _on_prompt(self, prompt: GrantPrompt) -> None:
        self._prompt = prompt
        self.card.show_grant(prompt)

    def _on_compared(self) -> None:
        self.card.show_waiting()
        self._poll()

    def _poll(self) -> None:
        prompt = self._prompt
        if prompt is not None:  # whoever stops asking has cancelled
            self.client.run(
                lambda daemon: daemon.poll_device_grant(prompt.server_fingerprint),
                lambda progress: self._on_progress(prompt, progress),
                lambda error: self._on_refused(prompt, error),
            )

    def _on_progress(self, prompt: GrantPrompt, progress: GrantProgress) -> None:
        if prompt is not self._prompt or progress.enrolment is not None:
            return
        if progress.problem:
            self.card.sentence.setText(progress.problem)
        wait = round(progress.wait_seconds * 1000)
        self._again.start(min(max(wait, SHORTEST_WAIT_MS), LONGEST_WAIT_MS))

    def _on_refused(self, prompt: GrantPrompt, error: TwinhullError) -> None:
        if prompt is self._prompt:
            self._cancel()
            self.card.show_form(error)

    def _cancel(self) -> None:
        self._prompt = None
        self._again.stop()
        self.card.show_form()

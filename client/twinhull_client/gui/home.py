"""The home page: the two computers, the connection, what the employer controls, protection, storage."""

from __future__ import annotations

import json

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from twinhull_policy.api.types import Grade, PolicyInfo, Status, VpnInfo, VpnProof
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.parse import parse_policy

from twinhull_client.gui.device_page import problem_report
from twinhull_client.gui.device_switches import SwitchBar
from twinhull_client.gui.enrol_card import EnrolCard
from twinhull_client.gui.news_card import NewsCard
from twinhull_client.gui.partition_card import PartitionCard
from twinhull_client.gui.storage_card import StorageCard
from twinhull_client.gui.welcome_card import WelcomeCard
from twinhull_client.gui.widgets import (
    EDGE,
    NARROW,
    Badge,
    Card,
    Problem,
    button,
    clear,
    foreign,
    label,
    scrolling,
    tip,
    turn,
)
from twinhull_client.gui.words import (
    ago,
    as_sentence,
    check_name,
    lease_report,
    policy_words,
    safe_mode_report,
    size_words,
    vpn_words,
)

GRADE_TONES = {"A": "good", "B": "good", "C": "warn", "D": "warn", "E": "bad"}
BADGE_WIDTH = 74
"""Least width of a badge before a line of text, in logical pixels: that of the longest such word."""
LONG_LIST = 5
"""More failed checks than this make the right column the longer one, so the last card goes to the left."""
ONE_COLUMN = 1080
"""A page narrower than this, in logical pixels, or than its cards need, has all of them in one column."""


class VpnCard(Card):
    """The company connection and its proof.

    Signals:
        prove: run the canaries.
    """

    prove = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("Company connection"))
        self.sentence = label()
        self.portal = foreign()
        self.facts = label(role="muted")
        self.confined = Badge()
        self.evidence = QVBoxLayout()
        self.evidence.setSpacing(8)
        self.problem = Problem()
        self.button = button(self.tr("Prove it now"), self._prove)
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addStretch()
        row.addWidget(self.confined)
        self.body.addWidget(self.sentence)
        self.body.addWidget(self.portal)
        self.body.addWidget(self.facts)
        self.body.addLayout(self.evidence)
        self.body.addWidget(self.problem)
        self.body.addLayout(row)

    def show_info(self, vpn: VpnInfo) -> None:
        """Show a fresh state."""
        badge, sentence, tone = vpn_words(vpn)
        self.badge.say(badge, tone)
        self.sentence.setText(f"{sentence} {as_sentence(vpn.reason)}".strip())
        self.portal.setVisible(bool(vpn.portal))
        self.portal.setText(self.tr("Sign-in page: {page}").format(page=vpn.portal))
        self.facts.setVisible(bool(vpn.gateway))
        self.facts.setText(
            self.tr("Gateway {gateway} · last contact {ago} · received {rx} · sent {tx}").format(
                gateway=vpn.gateway,
                ago=ago(vpn.last_handshake),
                rx=size_words(vpn.received_bytes),
                tx=size_words(vpn.sent_bytes),
            )
        )
        if vpn.confined:
            self.confined.say(self.tr("No way around it"), "good")
        else:
            self.confined.say(self.tr("Not in place"), "idle" if vpn.state == "down" else "bad")

    def _prove(self) -> None:
        self.button.setEnabled(False)
        self.button.setText(self.tr("Proving…"))
        self.problem.say(None)
        self.prove.emit()

    def show_proof(self, proof: VpnProof | None, error: TwinhullError | None = None) -> None:
        """Show the evidence of one run, or why there is none."""
        self.button.setEnabled(True)
        self.button.setText(self.tr("Prove it now"))
        self.problem.say(error)
        clear(self.evidence)
        for canary in proof.canaries if proof else ():
            badge = Badge()
            badge.say(
                self.tr("Held") if canary.passed else self.tr("FAILED"), "good" if canary.passed else "bad"
            )
            self.evidence.addWidget(_badge_row(badge, label(f"{canary.name}: {canary.evidence}", "muted")))


class PolicyCard(Card):
    """What the employer controls and sees, in plain words; the exact rules and reports one click away.

    Signals:
        sent_wanted: the person wants to read what was reported, to the byte.
    """

    sent_wanted = Signal()

    def __init__(self) -> None:
        super().__init__(self.tr("What your employer controls and sees"))
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(16)
        self.grid.setVerticalSpacing(8)
        self.grid.setColumnStretch(1, 1)
        self.never = label(
            self.tr("Your personal computer: nothing. It cannot be named in these rules, seen or changed."),
            "muted",
        )
        self.refusal = label(role="muted")
        self.exact = QPlainTextEdit(readOnly=True)
        self.exact.setAccessibleName(self.tr("The exact rules"))
        self.exact.setMinimumHeight(180)
        self.exact.hide()
        self.button = button(self.tr("Show the exact rules"), self._toggle)
        self.body.addLayout(self.grid)
        self.body.addWidget(self.never)
        self.body.addWidget(self.refusal)
        self.body.addWidget(self.exact)
        row = QHBoxLayout()
        self.sent = button(self.tr("Show exactly what was reported"), self.sent_wanted.emit)
        row.setSpacing(10)
        row.addWidget(self.button)
        row.addWidget(self.sent)
        row.addStretch()
        self.body.addLayout(row)
        self._shown = ""

    def _toggle(self) -> None:
        self.exact.setVisible(not self.exact.isVisibleTo(self))
        shown = self.exact.isVisibleTo(self)
        self.button.setText(self.tr("Hide the exact rules") if shown else self.tr("Show the exact rules"))

    def show_info(self, policy: PolicyInfo) -> None:
        """Show the policy in force."""
        present = bool(policy.sequence)
        if present:
            self.badge.say(self.tr("{name}, number {n}").format(name=policy.name, n=policy.sequence), "idle")
        else:
            self.badge.say(self.tr("No rules yet"), "idle")
        self.button.setEnabled(bool(policy.document))
        self.refusal.setVisible(bool(policy.last_refusal))
        self.refusal.setText(self.tr("Newest rules refused: {why}").format(why=policy.last_refusal))
        if policy.document == self._shown and self.grid.count():
            return
        self._shown = policy.document
        while (item := self.grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for row, (subject, sentence) in enumerate(self._lines(policy)):
            name = label(subject, "label", wrap=False)
            name.setContentsMargins(0, 2, 0, 0)  # its smaller letters on the line of the sentence's first
            self.grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
            self.grid.addWidget(label(sentence), row, 1)
        self.exact.setPlainText(_pretty(policy.document))

    def _lines(self, policy: PolicyInfo) -> list[tuple[str, str]]:
        if not policy.document:
            return [(self.tr("Now"), self.tr("This laptop has no company rules."))]
        try:
            return policy_words(parse_policy(policy.document.encode()))
        except TwinhullError as error:
            return [(self.tr("Unclear"), error.message)]


def _pretty(document: str) -> str:
    try:
        return json.dumps(json.loads(document), indent=2, ensure_ascii=True)
    except ValueError:
        return document


class GradeCard(Card):
    """How well the two computers are kept apart on this laptop, why, and how to improve it."""

    def __init__(self) -> None:
        super().__init__(self.tr("Protection of this laptop"))
        self.sentence = label()
        self.failed = QVBoxLayout()
        self.failed.setSpacing(12)
        self.passed = label(role="muted")
        self._good = Badge()
        self._good.say(self.tr("In place"), "good")
        self.body.addWidget(self.sentence)
        self.body.addLayout(self.failed)
        self._last = _badge_row(self._good, self.passed)
        self.body.addWidget(self._last)
        self._shown: Grade | None = None

    def show_info(self, grade: Grade) -> None:
        """Show the grade: what could be better with reason and fix, gravest on top; what is well by name."""
        if grade == self._shown:
            return
        self._shown = grade
        self.badge.say(self.tr("Grade {letter}").format(letter=grade.grade), GRADE_TONES[grade.grade])
        failed = [check for check in grade.checks if not check.passed]
        passed = [check for check in grade.checks if check.passed]
        self.sentence.setText(
            self.tr("{passed} of {all} checks pass. A is best, E is least.").format(
                passed=len(passed), all=len(grade.checks)
            )
        )
        clear(self.failed)
        names = {check.name: check_name(check.name) for check in grade.checks}
        failed.sort(key=lambda check: names[check.name])
        failed.sort(key=lambda check: check.caps_at, reverse=True)
        for check in failed:
            badge = Badge()
            badge.say(self.tr("Improve"), GRADE_TONES[check.caps_at] if check.caps_at > "C" else "warn")
            text = QWidget()
            column = QVBoxLayout(text)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(2)
            column.addWidget(label(names[check.name], "strong"))
            column.addWidget(label(f"{as_sentence(check.reason)} {check.fix}".strip(), "muted"))
            self.failed.addWidget(_badge_row(badge, text))
        self._last.setVisible(bool(passed))
        self.passed.setText(" · ".join(names[check.name] for check in passed))
        tip(self.passed, "\n".join(f"{names[check.name]}: {check.reason}" for check in passed))


def _badge_row(badge: Badge, text: QWidget) -> QWidget:
    """A badge and what it is about, its first line level with it; badges of all rows are equally wide."""
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(14)
    badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
    badge.setMinimumWidth(BADGE_WIDTH)
    line.addWidget(badge, 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(text, 1)
    return row


class HomePage(QWidget):
    """A head that stays, with the kill switches; under it all cards, each as tall as what it says, in two
    columns or, where those have no room, in one. Tab goes through the cards row by row.

    Signals:
        devices_wanted: the person wants to see the devices.
        settings_wanted: the person wants to see what can be chosen.
    """

    devices_wanted = Signal()
    settings_wanted = Signal()

    def __init__(self, colours: dict[str, str]) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAccessibleName(self.tr("Home"))
        self.summary = label(role="subtitle")
        self.switches = SwitchBar(colours)
        self.devices = button("", self.devices_wanted.emit)
        self.settings = button(self.tr("Settings"), self.settings_wanted.emit)
        self.switch_problem, self.devices_problem, self.lease_problem = Problem(), Problem(), Problem()
        self.state_problem, self.link_problem = Problem(), Problem()
        self.news, self.welcome, self.enrol = NewsCard(), WelcomeCard(), EnrolCard()
        self.partitions = {name.value: PartitionCard(name.value) for name in Partition}
        self.vpn, self.policy, self.grade, self.storage = VpnCard(), PolicyCard(), GradeCard(), StorageCard()
        self._cards = (*self.partitions.values(), self.vpn, self.grade, self.policy, self.storage)
        self._sides = (QVBoxLayout(), QVBoxLayout())
        self._long_list = False
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 28, 0, 0)
        outer.setSpacing(16)
        outer.addLayout(self._build_head())
        self._area = self._build_cards()
        outer.addWidget(self._area, 1)
        self.show_waiting(0)

    def _build_head(self) -> QVBoxLayout:
        names = QVBoxLayout()
        names.setSpacing(4)
        names.addWidget(label(self.tr("Your two computers"), "title"))
        names.addWidget(self.summary)
        controls = QHBoxLayout()
        controls.setSpacing(10)
        for part in (self.settings, self.devices, self.switches):
            controls.addWidget(part, 0, Qt.AlignmentFlag.AlignTop)
        controls.addStretch()
        self._line = line = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        line.setSpacing(10)
        line.addLayout(names, 1)
        line.addLayout(controls)
        head = QVBoxLayout()
        head.setContentsMargins(EDGE, 0, EDGE, 0)
        head.setSpacing(12)
        head.addLayout(line)
        head.addWidget(self.switch_problem)
        return head

    def _build_cards(self) -> QScrollArea:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setSpacing(20)
        column.addWidget(self.state_problem)
        column.addWidget(self.link_problem)
        column.addWidget(self.lease_problem)
        column.addWidget(self.devices_problem)
        column.addWidget(self.news)
        column.addWidget(self.welcome)
        column.addWidget(self.enrol)
        self._columns = QHBoxLayout()
        self._columns.setSpacing(20)
        column.addLayout(self._columns, 1)
        for side in self._sides:
            side.setSpacing(20)
            self._columns.addLayout(side, 1)
        for place, card in enumerate(self._cards):  # Tab follows the order in which they come onto the page
            self._sides[place % 2].addWidget(card)
        for side in self._sides:
            side.addStretch(1)
        return scrolling(page, self.tr("Both computers and what concerns them"))

    def bring(self, part: QWidget) -> None:
        """Scroll to one of the cards, once everything has its place."""
        QTimer.singleShot(0, self, lambda: self._area.ensureWidgetVisible(part, 0, EDGE))

    def refuse_link(self, error: TwinhullError) -> None:
        """Say why a link is good for nothing."""
        self.link_problem.say(error)
        self.bring(self.link_problem)

    def show_waiting(self, count: int) -> None:
        """Say how many devices wait for the person."""
        self.devices.setText(self.tr("Devices: {n} waiting").format(n=count) if count else self.tr("Devices"))
        self.devices.setAccessibleName(self.devices.text())
        self.devices.setProperty("primary", bool(count))
        self.devices.style().polish(self.devices)

    def show_status(self, status: Status) -> None:
        """Show a fresh status everywhere."""
        enrolment = status.enrolment
        self.switches.show_info(status.kill_switches)
        self.state_problem.say(safe_mode_report(status.safe_mode))
        self.lease_problem.say(lease_report(status.lease))
        self.devices_problem.say(problem_report(status.devices_problem))
        self.summary.setText(
            self.tr("Looked after by {tenant} as {device} · {contact}").format(
                tenant=enrolment.tenant,
                device=enrolment.device_id,
                contact=self.tr("in contact now") if enrolment.connected else self.tr("not in contact now"),
            )
            if enrolment.enrolled
            else self.tr("This laptop belongs to no company yet.")
        )
        images = {image.partition: image for image in status.images}
        for info in status.partitions:
            if info.name in self.partitions:
                self.partitions[info.name].show_info(info, images.get(info.name))
        self.vpn.show_info(status.vpn)
        self.policy.show_info(status.policy)
        self.grade.show_info(status.grade)
        self.storage.show_info(status)
        self._long_list = sum(not check.passed for check in status.grade.checks) > LONG_LIST
        self._place_cards()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        turn(self._line, side_by_side=self.width() >= NARROW)
        self._place_cards()

    def _place_cards(self) -> None:
        """Give every card its column."""
        sides = (self._cards[::2], self._cards[1::2])
        least = sum(max(card.minimumSizeHint().width() for card in side) for side in sides)
        wide = self.width() >= max(ONE_COLUMN, least + self._columns.spacing() + 2 * EDGE)
        places = [place % 2 if wide else 0 for place in range(len(self._cards))]
        if self._long_list:
            places[-1] = 0
        if [self._sides[0].indexOf(card) >= 0 for card in self._cards] == [not place for place in places]:
            return
        self._columns.setStretch(1, int(wide))
        for side in self._sides:
            for card in self._cards:
                side.removeWidget(card)
        for place, card in zip(places, self._cards, strict=True):
            side = self._sides[place]
            side.insertWidget(side.count() - 1, card)  # above the stretch

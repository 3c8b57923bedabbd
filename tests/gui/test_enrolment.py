"""First run: enrolment on the first page by token, file and code; and what was reported, to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot
from twinhull_client.gui.enrol_card import EnrolCard
from twinhull_client.gui.widgets import ZERO_WIDTH_SPACE
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import GrantProgress
from twinhull_policy.errors import ErrorReport
from twinhull_policy.trust.token import EnrolmentToken, format_token

from tests.gui.conftest import OpenWindow
from tests.support.demonstration import demonstration_status
from tests.support.standin_daemon import StandInDaemon

ADDRESS = "https://fleet.example:8443"
TOKEN = format_token(EnrolmentToken(bytes(32), "ab" * 32, "cd" * 32))


@pytest.fixture
def card(standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot) -> EnrolCard:
    """The card of a laptop that belongs to no company yet."""
    standin.status = demonstration_status(enrolled=False)
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=20000)
    assert window.home.enrol.isVisible()
    return window.home.enrol


def test_an_enrolled_laptop_does_not_ask(window: MainWindow) -> None:
    assert not window.home.enrol.isVisible()


def test_by_token(card: EnrolCard, standin: StandInDaemon, qtbot: QtBot) -> None:
    assert card.token.echoMode() == QLineEdit.EchoMode.Password
    card.address.setText(ADDRESS)
    card.token.setText(TOKEN)
    card.start.click()
    qtbot.waitUntil(lambda: not card.isVisible(), timeout=20000)
    assert ("enrol", (ADDRESS, TOKEN)) in standin.calls
    assert card.token.text() == ""


@pytest.mark.parametrize(
    ("address", "token"), [("http://fleet.example", TOKEN), (ADDRESS, "x"), ("", ""), (ADDRESS, "")]
)
def test_what_cannot_be_right_is_said_before_anybody_is_asked(
    card: EnrolCard, standin: StandInDaemon, address: str, token: str
) -> None:
    card.address.setText(address)
    card.token.setText(token)
    card.start.click()
    assert card.problem.isVisible()
    assert "enrol" not in {name for name, _ in standin.calls}


def test_by_file(card: EnrolCard, standin: StandInDaemon, tmp_path: Path, qtbot: QtBot) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"url": ADDRESS, "token": TOKEN}))
    path.chmod(0o644)
    card.use_file(path)  # others can read it
    assert card.problem.isVisible()
    assert card.token.text() == ""
    path.chmod(0o600)
    card.use_file(path)
    assert not card.problem.isVisible()
    card.start.click()
    qtbot.waitUntil(lambda: ("enrol", (ADDRESS, TOKEN)) in standin.calls, timeout=20000)


def test_by_code_only_after_the_fingerprints_were_compared(
    card: EnrolCard, standin: StandInDaemon, qtbot: QtBot
) -> None:
    card.address.setText(ADDRESS)
    card.code.click()
    qtbot.waitUntil(card.grant.isVisible, timeout=20000)
    assert card.values["code"].text() == standin.grant.user_code
    assert card.values["server"].text() == standin.grant.server_fingerprint
    assert card.values["key"].text().replace(ZERO_WIDTH_SPACE, "") == standin.grant.key_sha256
    assert card.values["key"].accessibleName() == standin.grant.key_sha256
    assert "poll_device_grant" not in {name for name, _ in standin.calls}
    card.same.click()
    polls = ("poll_device_grant", (standin.grant.server_fingerprint,))
    qtbot.waitUntil(lambda: standin.calls.count(polls) >= 2, timeout=20000)
    standin.status = demonstration_status()
    standin.announce("enrolment")
    qtbot.waitUntil(lambda: not card.isVisible(), timeout=20000)


def test_a_code_can_be_given_up(card: EnrolCard, standin: StandInDaemon, qtbot: QtBot) -> None:
    standin.grant_progress = [GrantProgress(wait_seconds=0.0)]
    card.address.setText(ADDRESS)
    card.code.click()
    qtbot.waitUntil(card.same.isVisible, timeout=20000)
    card.same.click()
    card.cancel.click()
    assert card.address.isVisible()
    assert not card.grant.isVisible()


def test_a_refusal_is_said_and_the_form_comes_back(
    card: EnrolCard, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.fail("enrol", ErrorReport("TH-FLT-001", "The token was used before.", "Ask for another one.", 1))
    card.address.setText(ADDRESS)
    card.token.setText(TOKEN)
    card.start.click()
    qtbot.waitUntil(card.problem.isVisible, timeout=20000)
    assert card.problem.sentence.text() == "The token was used before."
    assert card.start.isEnabled()


def test_what_was_reported_is_one_click_away_to_the_byte(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    window.home.policy.sent.click()
    table = window.log.table
    qtbot.waitUntil(lambda: table.rowCount() == 1, timeout=20000)
    sent = [entry for entry in standin.log.entries if entry.kind == "reported"]
    assert window.log.body.toPlainText() == sent[0].body
    window.log.only_sent.setChecked(False)
    assert table.rowCount() == len(standin.log.entries)

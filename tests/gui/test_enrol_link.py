"""A link brings an address to the first page, is looked at there, and sends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from twinhull_client.errors import BadUrl
from twinhull_client.gui.enrol_link import LINK_LIMIT, read_link
from twinhull_client.gui.errors import LinkMalformed
from twinhull_client.gui.main import parse
from twinhull_client.gui.widgets import ZERO_WIDTH_SPACE
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.interface import URL_LIMIT
from twinhull_policy.trust.token import EnrolmentToken, format_token

from tests.gui.conftest import OpenWindow
from tests.support.demonstration import demonstration_status
from tests.support.standin_daemon import StandInDaemon

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://fleet.example:8443"
LINK = "twinhull:enroll?server=https%3A%2F%2Ffleet.example%3A8443"
TOKEN = format_token(EnrolmentToken(bytes(32), "ab" * 32, "cd" * 32))
LONGEST = "https://fleet.example/" + "a" * (URL_LIMIT - len("https://fleet.example/"))
PATIENCE = 60_000
SENDING = {"enrol", "begin_device_grant", "poll_device_grant"}


@pytest.mark.parametrize(
    ("link", "address"),
    [
        (LINK, ADDRESS),
        ("twinhull:enroll?server=https://fleet.example", "https://fleet.example"),
        ("TWINHULL:enroll?server=https://fleet.example", "https://fleet.example"),
        ("twinhull:enroll?server=" + "".join(f"%{ord(each):02X}" for each in LONGEST), LONGEST),
    ],
)
def test_a_link_says_an_address(link: str, address: str) -> None:
    assert read_link(link) == address


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("", LinkMalformed),
        ("twinhull:", LinkMalformed),
        ("twinhull:enroll", LinkMalformed),
        ("twinhull:enroll?", LinkMalformed),
        ("twinhull:enroll?server", LinkMalformed),
        ("twinhull:wipe?server=https://fleet.example", LinkMalformed),
        ("twinhull://enroll?server=https://fleet.example", LinkMalformed),
        ("twinhull:enroll/?server=https://fleet.example", LinkMalformed),
        ("twinhull:enroll?address=https://fleet.example", LinkMalformed),
        ("https://enroll?server=https://fleet.example", LinkMalformed),
        (LINK + "#x", LinkMalformed),
        (LINK + "&token=" + TOKEN, LinkMalformed),
        (LINK + "&server=https://other.example", LinkMalformed),
        (LINK + "&a=&b=&c=", LinkMalformed),
        (LINK + "\n--theme", LinkMalformed),
        (LINK + "\u202e", LinkMalformed),
        ("twinhull:enroll?server=" + "a" * LINK_LIMIT, LinkMalformed),
        ("twinhull:enroll?server=", BadUrl),
        ("twinhull:enroll?server=http://fleet.example", BadUrl),
        ("twinhull:enroll?server=file:///etc/passwd", BadUrl),
        ("twinhull:enroll?server=javascript:alert(1)", BadUrl),
        ("twinhull:enroll?server=https://fleet.example%40evil.example", BadUrl),
        ("twinhull:enroll?server=https://fleet.example%0a", BadUrl),
        ("twinhull:enroll?server=https://fl%C3%A9et.example", BadUrl),
        ("twinhull:enroll?server=https://fleet.example%3Ftoken=x", BadUrl),
        ("twinhull:enroll?server=https://fleet.example%E2%80%AE", BadUrl),
        ("twinhull:enroll?server=https://%00", BadUrl),
        ("twinhull:enroll?server=https://[", BadUrl),
    ],
)
def test_what_is_no_such_link(link: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        read_link(link)
    assert TOKEN not in str(caught.value)


def called(standin: StandInDaemon) -> set[str]:
    """What the daemon was asked that would leave this laptop."""
    return {name for name, _ in standin.calls} & SENDING


def opened(
    link: str, standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot, *, enrolled: bool = False
) -> MainWindow:
    """A window that a link was opened with."""
    standin.status = demonstration_status(enrolled=enrolled)
    window = open_window()
    window.enrol_desk.open_link(link)
    qtbot.waitUntil(lambda: window.status is not None, timeout=PATIENCE)
    return window


def test_nothing_is_sent_before_the_person_takes_the_address_and_connects(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    card = opened(LINK, standin, open_window, qtbot).home.enrol
    qtbot.waitUntil(card.linked.isVisible, timeout=PATIENCE)
    assert card.linked.text().replace(ZERO_WIDTH_SPACE, "") == ADDRESS
    for hidden in (card.address, card.token, card.start, card.code, card.cancel, card.same):
        assert not hidden.isVisible()
    assert card.address.text() == ""
    card.take.click()
    assert card.address.text() == ADDRESS
    assert not card.linked.isVisible()
    assert not card.take.isVisible()
    assert called(standin) == set()
    card.token.setText(TOKEN)
    card.start.click()
    qtbot.waitUntil(lambda: ("enrol", (ADDRESS, TOKEN)) in standin.calls, timeout=PATIENCE)


@pytest.mark.parametrize("link", [LINK, "twinhull:"])
def test_it_is_in_sight_in_the_smallest_window(
    link: str, standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.status = demonstration_status(enrolled=False)
    window = open_window()
    window.resize(1, 1)
    qtbot.waitUntil(lambda: window.status is not None, timeout=PATIENCE)
    window.enrol_desk.open_link(link)
    window.client.refresh()
    parts = (
        [window.home.link_problem.sentence]
        if link != LINK
        else [window.home.enrol.linked, window.home.enrol.drop]
    )

    def in_sight() -> bool:
        return all(not part.visibleRegion().isEmpty() for part in parts)

    qtbot.waitUntil(in_sight, timeout=PATIENCE)


def test_a_key_that_was_meant_for_something_else_ignores_it(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    window = opened(LINK, standin, open_window, qtbot)
    window.activateWindow()
    card = window.home.enrol
    card.drop.setFocus()
    QTest.keyClick(card.drop, Qt.Key.Key_Space)
    assert card.address.isVisible()
    assert card.address.text() == ""
    assert not card.linked.isVisible()
    assert called(standin) == set()
    standin.announce("enrolment")  # it was one link, and does not come back
    window.client.refresh()
    qtbot.waitUntil(lambda: [name for name, _ in standin.calls].count("get_status") >= 2, timeout=PATIENCE)
    assert not card.linked.isVisible()


@pytest.mark.parametrize("link", ["twinhull:enroll?server=http://x", LINK + "&token=" + TOKEN])
def test_a_link_that_is_none_is_said(
    link: str, standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    window = opened(link, standin, open_window, qtbot)
    assert window.home.link_problem.isVisible()
    assert TOKEN not in window.home.link_problem.sentence.text()
    assert window.home.enrol.address.isVisible()
    window.show_view("log")
    window.show_view("home")
    assert not window.home.link_problem.isVisible()


def test_a_laptop_of_a_company_goes_to_no_other_by_a_link(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    window = opened(LINK, standin, open_window, qtbot, enrolled=True)
    assert "TH-GUI-016" in window.home.link_problem.next_step.text()
    assert not window.home.enrol.isVisible()
    assert called(standin) == set()


def test_the_desktop_hands_links_to_the_app() -> None:
    entry = (ROOT / "assets" / "org.twinhull.Twinhull.desktop").read_text().splitlines()
    assert "MimeType=x-scheme-handler/twinhull;" in entry
    assert "Exec=twinhull gui %u" in entry
    assert parse([LINK]).link == LINK
    assert parse([]).link is None

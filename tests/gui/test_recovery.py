"""Recovery codes: made on the real core, shown once, asked back, used; and where the words never are."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtPrintSupport import QPrinter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit
from pytestqt.qtbot import QtBot
from twinhull_client.gui.recovery_page import ASKED_BACK, RecoveryPage
from twinhull_client.gui.window import MainWindow
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.api.types import KeySlot
from twinhull_policy.errors import ErrorReport
from twinhull_policy.names import Partition
from twinhull_policy.recovery_code import WORDS, from_words

from tests.gui.conftest import OpenWindow
from tests.gui.core_thread import RunningCore, running_core
from tests.support.bus_watch import watched_bus
from tests.support.core_laptop import CoreLaptop
from tests.support.demonstration import demonstration_status
from tests.support.hypervisor import QUICK, make_base
from tests.support.standin_daemon import StandInDaemon

WAIT_MS = 30_000
FIRST, SECOND = "the first canary phrase", "the second canary phrase"
WRONG = ErrorReport("TH-VOL-001", "That passphrase does not open it.", "Type it again.", 1)


def shown_words(page: RecoveryPage) -> list[str]:
    """The words as the page shows them, by their numbers."""
    texts = [each.text().split(". ") for each in page.words.findChildren(QLabel) if each.isVisible()]
    return [word for _number, word in sorted(texts, key=lambda part: int(part[0]))]


def read_back(page: RecoveryPage, words: list[str]) -> None:
    """Copy what is asked back from the paper."""
    for place, field in page.asked.items():
        QTest.keyClicks(field, words[place])


def to_words(page: RecoveryPage, qtbot: QtBot, passphrase: str = FIRST) -> list[str]:
    """Have a code made."""
    QTest.keyClicks(page.passphrase, passphrase)
    QTest.keyClick(page.passphrase, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(shown_words(page)) == WORDS, timeout=WAIT_MS)
    return shown_words(page)


# -- on the real core --------------------------------------------------------------------------------------


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCore]:
    """The real core with a real volume of the personal computer."""
    monkeypatch.setattr("twinhull_hypervisor.storage.base.for_this_machine", lambda: QUICK)

    def prepare(laptop: CoreLaptop) -> None:
        place = tmp_path / "made"
        place.mkdir()
        base = make_base(place)
        (place / "personal").mkdir()
        QemuLuksVolume(Partition.PERSONAL, place / "personal", cost=QUICK).create(base, 1, FIRST.encode())
        shutil.copytree(place / "personal", laptop.paths.volume(Partition.PERSONAL))

    with running_core(tmp_path, prepare) as running:
        yield running


def test_a_code_that_the_core_made_opens_its_volume_and_never_crosses_the_bus(
    core: RunningCore, open_window: OpenWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    heard = tmp_path / "bus"
    with watched_bus(heard):
        window = open_window()
        qtbot.waitUntil(lambda: window.status is not None, timeout=WAIT_MS)
        window.home.storage.codes["personal"].click()
        page = window.side.recovery.page
        qtbot.waitUntil(lambda: page.state.text() == "There is none yet.", timeout=WAIT_MS)
        words = to_words(page, qtbot)
        assert len(words) == WORDS
        from_words(" ".join(words).encode())  # it is a code, by its check
        page.written.click()
        assert len(page.asked) == ASKED_BACK
        read_back(page, words)
        page.compare.click()
        assert page.step == "done"
        page.back.click()
        window.home.partitions["personal"].forgotten.emit("personal")
        qtbot.waitUntil(
            lambda: page.state.text() == "There is a code. Making another one voids it.", timeout=WAIT_MS
        )
        for field, typed in ((page.code, " ".join(words)), (page.new, SECOND), (page.again, SECOND)):
            field.setText(typed)
        page.recover_button.click()
        qtbot.waitUntil(lambda: len(shown_words(page)) == WORDS, timeout=WAIT_MS)
        following = shown_words(page)
        page.back.click()
    assert following != words
    volume = QemuLuksVolume(Partition.PERSONAL, core.laptop.paths.volume(Partition.PERSONAL), cost=QUICK)
    volume.unlock(SECOND.encode())
    said = heard.read_bytes()
    assert b"add_recovery_code" in said.lower() or b"AddRecoveryCode" in said
    for code in (words, following):
        for pair in itertools.pairwise(code):  # one word alone may be one of the policy's
            assert " ".join(pair).encode() not in said
    assert FIRST.encode() not in said
    assert SECOND.encode() not in said


# -- each step ---------------------------------------------------------------------------------------------


@pytest.fixture
def page(window: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> RecoveryPage:
    """The page of the personal computer, on the stand-in daemon."""
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=WAIT_MS)
    window.home.storage.codes["personal"].click()
    made = window.side.recovery.page
    qtbot.waitUntil(lambda: made.state.text() == "There is none yet.", timeout=WAIT_MS)
    assert made.passphrase.hasFocus()
    return made


def test_secrets_are_asked_for_under_the_strip_of_the_host(page: RecoveryPage, window: MainWindow) -> None:
    fields = page.findChildren(QLineEdit)
    assert {field.echoMode() for field in fields} == {QLineEdit.EchoMode.Password}
    assert (window.strip.context, window.strip.phrase) == ("host", "amber kettle")
    assert window.strip.isVisible()


def test_a_passphrase_that_does_not_open_it_is_told_there(
    page: RecoveryPage, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.fail("add_recovery_code", WRONG)
    QTest.keyClicks(page.passphrase, "wrong")
    page.make_button.click()
    qtbot.waitUntil(page.problem.isVisible, timeout=WAIT_MS)
    assert (page.step, page.passphrase.text()) == ("ask", "")
    assert "does not open it" in page.problem.sentence.text()


def test_a_word_that_is_wrong_is_named_and_what_is_enough_of_one_is_taken(
    page: RecoveryPage, qtbot: QtBot
) -> None:
    words = to_words(page, qtbot)
    page.written.click()
    places = list(page.asked)
    read_back(page, [f"{word}x" for word in words])
    page.compare.click()
    assert page.wrong.text() == f"Word {places[0] + 1} is another one."
    assert page.wrong.isVisible()
    for place, field in page.asked.items():
        field.setText(f" {words[place][:4].upper()} ")
    QTest.keyClick(page.asked[places[0]], Qt.Key.Key_Return)
    assert page.step == "done"


def test_the_words_are_not_there_while_they_are_asked_back(page: RecoveryPage, qtbot: QtBot) -> None:
    words = to_words(page, qtbot)
    page.written.click()
    assert shown_words(page) == []
    seen = {each.text() for each in page.findChildren(QLabel) if each.isVisible()}
    assert not any(word in text for word in words for text in seen if len(word) > 4)


@pytest.mark.parametrize("leaving", ["back", "lock", "another", "escape"])
def test_who_leaves_has_seen_the_words_for_the_last_time_and_is_told(
    page: RecoveryPage, window: MainWindow, standin: StandInDaemon, qtbot: QtBot, leaving: str
) -> None:
    to_words(page, qtbot)
    match leaving:
        case "back":
            page.back.click()
        case "lock":
            window.lock()
            window.uncover()
        case "escape":
            QTest.keyClick(page, Qt.Key.Key_Escape)
        case _:
            window.show_view("devices")
    assert page._code == ()
    assert [each for each in page.words.findChildren(QLabel) if each.isVisibleTo(page)] == []
    standin.key_slots = [*standin.key_slots, KeySlot(id="aa" * 8, kind="recovery-code")]
    window.show_view("home")
    window.home.storage.codes["personal"].click()
    qtbot.waitUntil(lambda: "never compared" in page.state.text(), timeout=WAIT_MS)


def test_an_answer_that_comes_after_the_page_was_left_shows_nothing(
    page: RecoveryPage, window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    page.passphrase.setText(FIRST)
    page.make_button.click()
    assert page.step == "busy"
    page.back.click()
    window.home.storage.codes["corporate"].click()
    qtbot.waitUntil(lambda: page.state.text() == "There is none yet.", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: window.side.recovery._unchecked == {"personal"}, timeout=WAIT_MS)
    assert (page.step, page._code) == ("ask", ())


def test_what_is_printed_has_every_word_with_its_number(
    page: RecoveryPage, qtbot: QtBot, tmp_path: Path
) -> None:
    words = to_words(page, qtbot)
    printed = page.sheet().split()
    for number, word in enumerate(words, 1):
        assert printed[printed.index(f"{number}.") + 1] == word
    printer = QPrinter()
    printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(tmp_path / "sheet.pdf"))
    page.print_on(printer)
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")


def test_a_forgotten_passphrase_leads_from_its_card_to_the_code(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.status = demonstration_status(corporate="locked")
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=WAIT_MS)
    assert not window.home.partitions["personal"].forgot.isVisible()
    window.home.partitions["corporate"].forgot.click()
    page = window.side.recovery.page
    assert (page.step, page.name) == ("forgotten", "corporate")
    for field, text in ((page.code, "abandon"), (page.new, "one"), (page.again, "two")):
        field.setText(text)
    page.recover_button.click()
    assert page.differ.isVisible()
    assert page.step == "forgotten"
    page.again.setText("one")
    page.recover_button.click()
    qtbot.waitUntil(lambda: page.step == "show", timeout=WAIT_MS)
    assert ("recover_volume", ("corporate", "abandon", "one")) in standin.calls

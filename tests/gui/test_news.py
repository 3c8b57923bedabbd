"""What is to be read: changed rules, an erased computer, a company left; receipts; also on the real core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot
from twinhull_client.gui import receipts as found_in
from twinhull_client.gui.news import News, Seen, known, read, unread
from twinhull_client.gui.policy_page import changes
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import Log, LogEntry, Status
from twinhull_policy.errors import ErrorReport
from twinhull_policy.example import example_policy
from twinhull_policy.lease import HOUR
from twinhull_policy.model import LeaseSection, Policy
from twinhull_policy.parse import canonical
from twinhull_policy.trust.command import sign_command
from twinhull_policy.trust.documents import Command, WipeReceipt

from tests.gui.conftest import OpenWindow
from tests.gui.core_thread import RunningCore, running_core
from tests.support.core_laptop import CoreLaptop
from tests.support.demonstration import demonstration_receipts, demonstration_status
from tests.support.signing import DEVICE
from tests.support.standin_daemon import StandInDaemon

WAIT_MS = 30_000
POLICY = example_policy()
BUSY = ErrorReport("TH-PAR-001", "It is busy.", "Close the program.", 1)


def with_policy(policy: Policy, sha256: str, **others: Any) -> Status:
    """A status with these rules in force."""
    status = demonstration_status()
    info = msgspec.structs.replace(status.policy, document=canonical(policy).decode(), sha256=sha256)
    return msgspec.structs.replace(status, policy=info, **others)


def stricter() -> Policy:
    """Other rules: in what they mean for the person, and in what only the fields show."""
    lease = msgspec.structs.replace(POLICY.lease, offline_hours=48)
    vpn = msgspec.structs.replace(POLICY.vpn, mtu=1300)
    return msgspec.structs.replace(POLICY, lease=lease, vpn=vpn)


def shows(window: MainWindow, standin: StandInDaemon, status: Status, qtbot: QtBot) -> None:
    """Have the daemon report this, and wait until it is shown."""
    standin.status = status
    standin.announce("everything")
    qtbot.waitUntil(lambda: window.status == status, timeout=WAIT_MS)


def words(widget: QWidget) -> str:
    """Everything a widget's labels say to whoever looks."""
    return "\n".join(part.text() for part in widget.findChildren(QLabel) if part.isVisible())


# -- what is to be read ------------------------------------------------------------------------------------

HERE, GONE = demonstration_status(), demonstration_status(corporate="absent")
FRESH = demonstration_status(enrolled=False)
KNOWS = Seen(
    tenant=HERE.enrolment.tenant, corporate=True, policy=HERE.policy.document, sha256=HERE.policy.sha256
)


@pytest.mark.parametrize(
    ("seen", "status", "news"),
    [
        (Seen(), HERE, ()),
        (Seen(), FRESH, ()),
        (KNOWS, HERE, ()),
        (KNOWS, GONE, ("erased",)),
        (KNOWS, FRESH, ("left",)),
        (KNOWS, with_policy(POLICY, "ab" * 32), ("policy",)),
        (Seen(tenant=KNOWS.tenant), GONE, ()),
    ],
)
def test_what_is_to_be_read(seen: Seen, status: Status, news: tuple[News, ...]) -> None:
    assert unread(known(seen, status), status) == news
    for each in news:
        seen = read(seen, status, each)
    assert unread(known(seen, status), status) == ()


def test_another_company_s_rules_are_no_change() -> None:
    enrolment = msgspec.structs.replace(HERE.enrolment, tenant="another")
    status = with_policy(POLICY, "ab" * 32, enrolment=enrolment)
    assert unread(known(KNOWS, status), status) == ()


# -- the rules ---------------------------------------------------------------------------------------------


def test_the_comparison_says_what_is_different_for_the_person_and_every_field() -> None:
    before, after = canonical(POLICY).decode(), canonical(stricter()).decode()
    different, fields = changes(before, after)
    assert [(each.subject, each.now) for each in different] == [
        ("Without contact", "After 48 hours offline it locks. Nothing of it is lost.")
    ]
    assert different[0].before.startswith("After ")
    assert any("1300" in each for each in fields)
    assert changes(before, before) == ([], ())


def test_changed_rules_wait_until_they_were_read_also_over_a_restart(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.status = with_policy(POLICY, "ab" * 32)
    first = open_window()
    qtbot.waitUntil(lambda: first.status is not None, timeout=WAIT_MS)
    assert not first.home.news.isVisible()
    first.close()
    standin.status = with_policy(stricter(), "cd" * 32)  # while nobody looked
    window = open_window()
    qtbot.waitUntil(window.home.news.isVisible, timeout=WAIT_MS)
    window.home.news.buttons["policy"].click()
    page = window.side.news.policy
    qtbot.waitUntil(lambda: "After 48 hours" in words(page.yours), timeout=WAIT_MS)
    assert "Before: After" in words(page.yours)
    assert "1300" in words(page.fields)
    assert "Your personal computer: nothing." in words(page.yours)
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert window.home.news.isVisible()  # looked at, and not yet said to be read
    window.home.news.buttons["policy"].click()
    page.read.click()
    assert window.pages.currentWidget() is window.home
    assert not window.home.news.isVisible()
    window.close()
    again = open_window()
    qtbot.waitUntil(lambda: again.status is not None, timeout=WAIT_MS)
    assert not again.home.news.isVisible()


def test_rules_that_mean_the_same_say_so_and_foreign_ones_are_a_problem(
    window: MainWindow, qtbot: QtBot
) -> None:
    page = window.side.news.policy
    same = msgspec.structs.replace(POLICY, description="another text")
    page.show_change(canonical(POLICY).decode(), canonical(same).decode())
    assert page.nothing.isVisibleTo(page)
    assert page.fields.isVisibleTo(page)
    page.show_change("{}", canonical(same).decode())
    assert page.problem.isVisibleTo(page)
    assert not page.yours.isVisibleTo(page)


# -- erased, left ------------------------------------------------------------------------------------------


def test_an_erased_corporate_computer_is_told_with_what_the_receipt_says_of_the_other(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.log = Log(entries=demonstration_receipts())
    shows(window, standin, GONE, qtbot)
    window.home.news.buttons["erased"].click()
    page = window.side.news.erased
    assert page.title.text() == "The corporate computer was erased"
    assert "Your personal computer. It is now: Running." in words(page)
    qtbot.waitUntil(lambda: "the same before and after" in page.proof.text(), timeout=WAIT_MS)
    page.receipts.click()
    qtbot.waitUntil(lambda: len(window.side.news.receipts.found) == 2, timeout=WAIT_MS)
    window.show_view("home")
    window.home.news.buttons["erased"].click()
    page.read.click()
    assert not window.home.news.isVisible()


def test_leaving_the_company_says_what_is_gone_and_what_is_kept(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.log = Log(entries=demonstration_receipts())
    gone = msgspec.structs.replace(GONE, enrolment=FRESH.enrolment, policy=FRESH.policy)
    shows(window, standin, gone, qtbot)
    assert window.home.news.lines["left"].isVisible()
    assert not window.home.news.lines["erased"].isVisible()
    window.home.news.buttons["left"].click()
    page = window.side.news.erased
    assert page.title.text() == "This laptop has left the company"
    assert "sees nothing here any more" in page.sentence.text()
    assert "Running" in page.personal.text()
    page.read.click()
    assert not window.home.news.isVisible()


def test_a_receipt_that_says_otherwise_is_not_glossed_over(window: MainWindow) -> None:
    page = window.side.news.erased
    page.begin("erased", *GONE.partitions)
    page.show_log(Log(entries=[]))
    assert page.proof.text() == "There is no receipt of it in the log."
    wipe = msgspec.json.decode(demonstration_receipts()[0].body, type=WipeReceipt)
    other = msgspec.structs.replace(wipe, partition="corporate", other_after="0" * 64)
    entry = LogEntry(at=1.0, kind="done", text="", body=msgspec.json.encode(other).decode())
    page.show_log(Log(entries=[entry]))
    assert "NOT the same" in page.proof.text()


# -- receipts ----------------------------------------------------------------------------------------------


def test_receipts_are_listed_shown_and_saved_byte_for_byte(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot, tmp_path: Path
) -> None:
    standin.log = Log(entries=[*standin.log.entries, *demonstration_receipts()])
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window, timeout=WAIT_MS)
    window.show_view("log")
    window.log.receipts.click()
    page = window.side.news.receipts
    qtbot.waitUntil(lambda: page.list.count() == 2, timeout=WAIT_MS)
    assert "Your employer erased the corporate computer: done" in page.list.item(0).text()
    assert page.card.badge.text() == "Signed by this laptop"
    assert "Personal computer: untouched, the same before and after." in page.says.text()
    assert "Gone for good: keys, contents, settings of its firmware." in page.says.text()
    page.list.setFocus()
    QTest.keyClick(page.list, Qt.Key.Key_Down)
    assert page.card.heading.text() == "You erased the Personal computer"
    assert page.card.badge.text() == "Not signed"
    assert page.bytes.toPlainText() == demonstration_receipts()[0].body
    page.list.setCurrentRow(0)
    kept = tmp_path / "receipt.json"
    page.save_to(kept)
    assert kept.read_bytes() == demonstration_receipts()[1].body.encode()
    assert "receipt.json" in page.saved.text()
    page.save_to(kept)  # what is there is never written over
    assert "cannot be written" in page.problem.sentence.text()
    assert kept.read_bytes() == demonstration_receipts()[1].body.encode()


def test_no_receipts_and_no_log_are_said(window: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    page = window.side.news.receipts
    window.side.news.open_receipts()
    qtbot.waitUntil(page.none.isVisible, timeout=WAIT_MS)
    standin.fail("get_log", BUSY)
    window.side.news.open_receipts()
    qtbot.waitUntil(page.retry.isVisible, timeout=WAIT_MS)
    assert "It is busy." in words(page.problem)
    assert not page.none.isVisible()
    standin.allow("get_log")
    standin.log = Log(entries=demonstration_receipts())
    page.retry.click()
    qtbot.waitUntil(lambda: page.list.count() == 2, timeout=WAIT_MS)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "not taken: TH-SRV-001",
        '{"payload":"!!","signatures":[]}',
        '{"payload":"e30=","signatures":[]}',
        '{"payload":"","signatures":[1]}',
        '{"type":"twinhull.receipt/1"}',
        '{"type":"twinhull.wipe/1","partition":"host"}',
        '{"type":"twinhull.wipe/2"}',
        "{" * 70_000,
    ],
)
def test_what_is_no_receipt_is_none(body: str) -> None:
    assert found_in.receipts([LogEntry(at=1.0, kind="done", text="", body=body)]) == []


# -- on the real core --------------------------------------------------------------------------------------


def command(laptop: CoreLaptop, number: int) -> str:
    """A wipe, signed by the company."""
    wipe = Command(
        tenant=DEVICE.tenant,
        device_id=DEVICE.device_id,
        enrol_epoch=DEVICE.enrol_epoch,
        number=number,
        action="wipe",
        issued_at=laptop.clocks.wall,
        not_after=laptop.clocks.wall + 24 * HOUR,
    )
    return sign_command(wipe, laptop.company.command_keys).decode()


async def statement(core: RunningCore, commands: list[str]) -> None:
    """The company's next word, taken over by the core."""
    core.laptop.statement(commands=commands)
    await core.laptop.core.fleet.accept()


def test_on_the_real_core_rules_change_the_employer_erases_and_the_owner_s_receipt_is_kept(
    open_window: OpenWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    def prepare(laptop: CoreLaptop) -> None:
        for name in ("corporate", "personal"):
            volume = laptop.paths.state / "volumes" / name
            volume.mkdir(parents=True, exist_ok=True)
            for file in ("overlay.qcow2", "keys.json", "nvram.fd"):
                (volume / file).write_bytes(f"{name} {file}".encode())

    with running_core(tmp_path, prepare) as core:
        window = open_window()
        qtbot.waitUntil(lambda: window.status is not None, timeout=WAIT_MS)
        assert not window.home.news.isVisible()
        core.laptop.lease = LeaseSection(offline_hours=48, warning_hours=24, network_hours=6)
        core.do(statement(core, []))
        qtbot.waitUntil(lambda: window.home.news.lines["policy"].isVisible(), timeout=WAIT_MS)
        window.home.news.buttons["policy"].click()
        policy = window.side.news.policy
        qtbot.waitUntil(lambda: "After 48 hours offline it locks" in words(policy.yours), timeout=WAIT_MS)
        assert "After 168 hours offline it locks" in words(policy.yours)
        policy.read.click()
        core.do(statement(core, [command(core.laptop, 1)]))
        qtbot.waitUntil(lambda: window.home.news.lines["erased"].isVisible(), timeout=WAIT_MS)
        assert not window.home.news.lines["policy"].isVisible()
        window.home.news.buttons["erased"].click()
        assert "Running" in window.side.news.erased.personal.text()
        window.side.news.erased.read.click()
        done: list[object] = []
        window.client.run(lambda daemon: daemon.wipe_partition("personal"), done.append, done.append)
        qtbot.waitUntil(lambda: bool(done), timeout=WAIT_MS)
        window.side.news.open_receipts()
        page = window.side.news.receipts
        qtbot.waitUntil(lambda: page.list.count() >= 1, timeout=WAIT_MS)
        assert page.card.heading.text() == "You erased the Personal computer"
        kept = tmp_path / "kept.json"
        page.save_to(kept)
        assert kept.read_text() in (getattr(done[0], "receipt", ""), getattr(done[0], "envelope", ""))
        window.close()

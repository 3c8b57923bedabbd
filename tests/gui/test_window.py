"""Views and flows of the window against the stand-in daemon on a private bus."""

from __future__ import annotations

import itertools
import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from PySide6.QtCore import QMessageLogContext, QPoint, QRect, Qt, QtMsgType
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit
from pytestqt.qtbot import QtBot
from twinhull_client.gui.frame import map_frame
from twinhull_client.gui.main import OFFSCREEN_REMARK, Screenshot, main, show_qt_message
from twinhull_client.gui.partition_card import PartitionCard
from twinhull_client.gui.rail import VIEWS
from twinhull_client.gui.theme import contrast, style_sheet, tokens
from twinhull_client.gui.window import MainWindow
from twinhull_client.gui.words import check_name, image_name, policy_words, state_words
from twinhull_client.viewer import protocol
from twinhull_client.viewer.canvas import sealed_memory
from twinhull_hypervisor.domain.grade import HostFacts
from twinhull_hypervisor.domain.grade import grade as judge
from twinhull_hypervisor.domain.probe import ProbeResult
from twinhull_policy.api.types import Grade, LeaseInfo, PartitionInfo, PartitionState, VpnInfo
from twinhull_policy.errors import ErrorReport
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical

from tests.gui.conftest import OpenWindow, connect
from tests.support.demonstration import demonstration_status
from tests.support.standin_daemon import StandInDaemon

CONTEXTS = {
    "home": "host",
    "corporate": "corporate",
    "personal": "personal",
    "both": "corporate",
    "devices": "host",
    "log": "host",
}


@pytest.mark.parametrize("view", VIEWS)
def test_the_strip_is_on_top_of_every_view(window: MainWindow, view: str) -> None:
    window.show_view(view)
    assert window.strip.isVisible()
    assert window.strip.context == CONTEXTS[view]
    assert window.strip.phrase == "amber kettle"
    picture = window.grab().toImage()
    ground = window.strip.colours()
    for x in (2, picture.width() - 2):
        assert picture.pixelColor(x, 40).name() in (
            QColor(ground.ground).name(),
            QColor(ground.pattern).name(),
        )


def test_chords_switch_whatever_has_the_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    for key, view in ((Qt.Key.Key_2, "personal"), (Qt.Key.Key_1, "corporate"), (Qt.Key.Key_H, "home")):
        QTest.keyClick(window.screens["corporate"], key, both)
        assert window.view == view


@pytest.mark.parametrize("state", get_args(PartitionState))
def test_every_state_has_words_without_jargon(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot, state: PartitionState
) -> None:
    standin.status = demonstration_status(corporate=state)
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=20000)
    badge, sentence, _tone = state_words(PartitionInfo(name="corporate", state=state))
    card = window.home.partitions["corporate"]
    assert card.badge.text() == badge
    assert sentence in card.sentence.text()
    assert not re.search(r"virtual|\bVM\b|guest|hypervisor|domain", badge + sentence)


def test_unlocking_sends_the_passphrase_through_the_pipe(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.status = demonstration_status(corporate="locked", personal="stopped")
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=20000)
    card = window.home.partitions["corporate"]
    assert card.passphrase.echoMode() == QLineEdit.EchoMode.Password
    QTest.keyClicks(card.passphrase, "open sesame")
    QTest.keyClick(card.passphrase, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: card.badge.text() == "Running", timeout=20000)
    assert ("start_partition", ("corporate", "open sesame")) in standin.calls
    assert card.passphrase.text() == ""


def test_setting_up_asks_twice(standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot) -> None:
    standin.status = demonstration_status(personal="absent")
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=20000)
    card = window.home.partitions["personal"]
    card.passphrase.setText("one")
    card.again.setText("two")
    card.unlock.click()
    assert "not the same" in card.sentence.text()
    card.again.setText("one")
    card.unlock.click()
    qtbot.waitUntil(lambda: card.badge.text() == "Running", timeout=20000)
    assert [call for call in standin.calls if call[0] in ("create_partition", "start_partition")] == [
        ("create_partition", ("personal", "one")),
        ("start_partition", ("personal", "")),
    ]


def test_pause_continue_shut_down(window: MainWindow, standin: StandInDaemon, qtbot: QtBot) -> None:
    card = window.home.partitions["corporate"]
    for control, badge in ((card.pause, "Paused"), (card.resume, "Running"), (card.stop, "Off")):
        qtbot.waitUntil(control.isEnabled, timeout=20000)
        control.click()
        qtbot.waitUntil(partial(_says, card, badge), timeout=20000)


def _says(card: PartitionCard, badge: str) -> bool:
    return card.badge.text() == badge


def test_an_error_is_shown_where_it_happened(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.fail("stop_partition", ErrorReport("TH-PAR-001", "It is busy.", "Close the program.", 1))
    card = window.home.partitions["corporate"]
    card.stop.click()
    qtbot.waitUntil(card.problem.isVisible, timeout=20000)
    assert card.problem.sentence.text() == "It is busy."
    assert "Close the program." in card.problem.next_step.text()
    assert "TH-PAR-001" in card.problem.next_step.text()
    assert not window.home.partitions["personal"].problem.isVisible()


def test_proof_and_log_show_evidence(window: MainWindow, qtbot: QtBot) -> None:
    window.home.vpn.button.click()
    qtbot.waitUntil(lambda: window.home.vpn.evidence.count() == 1, timeout=20000)
    window.show_view("log")
    qtbot.waitUntil(lambda: window.log.table.rowCount() == 3, timeout=20000)
    window.log.table.setCurrentCell(2, 0)
    assert window.log.body.toPlainText() == '{"sequence":3}'


def test_policy_in_plain_words_with_the_exact_bytes(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    document = canonical(example_policy()).decode()
    policy = msgspec.structs.replace(standin.status.policy, document=document)
    standin.status = msgspec.structs.replace(standin.status, policy=policy)
    standin.announce("policy")
    card = window.home.policy
    qtbot.waitUntil(lambda: card.grid.count() == 2 * len(policy_words(example_policy())), timeout=20000)
    assert msgspec.json.decode(card.exact.toPlainText()) == msgspec.json.decode(document)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("none", ""),
        ("held", ""),
        ("warning", "The company has not been heard of. It locks in 24 hours"),
        ("no-network", "The company has not been heard of. It locks in 24 hours"),
        ("locked", "The corporate computer is locked. It locks in 24 hours"),
    ],
)
def test_a_lease_that_runs_out_is_said_on_the_first_page(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot, stage: Any, said: str
) -> None:
    lease = LeaseInfo(stage=stage, reason="It locks in 24 hours unless the server is heard of.")
    window.home.show_status(msgspec.structs.replace(standin.status, lease=lease))
    problem = window.home.lease_problem
    assert problem.isVisibleTo(window.home) == bool(said)
    assert problem.sentence.text().startswith(said)
    assert "nothing of the corporate computer is lost" in problem.next_step.text() or not said


def test_unreachable_daemon_is_said(
    open_window: OpenWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    window = open_window()
    qtbot.waitUntil(lambda: "TH-CLI-001" in window.unreachable.next_step.text(), timeout=20000)
    assert window.pages.currentWidget() is window.unreachable
    assert window.strip.context == "host"


def test_screenshot_fails_with_3_without_a_daemon(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    assert main(["--screenshot", str(tmp_path / "none.png")]) == 3
    assert "TH-CLI-001" in capsys.readouterr().err


def test_every_control_has_a_name(window: MainWindow) -> None:
    for kind in (QAbstractButton, QLineEdit):
        for widget in window.home.findChildren(kind) + window.rail.findChildren(kind):
            assert widget.accessibleName(), widget


def test_text_contrast() -> None:
    both = tokens()
    for colours in (both.light, both.dark):
        grounds = ("window", "surface", "sunken", "rail")
        pairs = [*itertools.product(("text", "muted"), grounds), ("on_accent", "accent")]
        pairs += [("warn", "surface"), ("accent", "surface")]
        pairs += [("on_accent", "accent_hover")]
        pairs += [("text", "warn_soft"), ("text", "idle_soft"), ("warn", "warn_soft"), ("bad", "bad_soft")]
        pairs += [(tone, f"{tone}_soft") for tone in ("good", "warn", "bad", "idle")]
        for text, ground in pairs:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert "@" not in style_sheet(colours)
    for strip in (both.strip, *both.palette.values()):
        assert contrast(strip.text, strip.ground) >= 4.5
        assert contrast(strip.text, strip.pattern) >= 4.5


def test_real_screens_in_their_own_places(
    standin: StandInDaemon, machines: dict[str, Path], open_window: OpenWindow, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: all(path.exists() for path in machines.values()), timeout=20000)
    standin.display = lambda name: connect(machines[name])
    window = open_window()
    window.show_view("both")
    links = window.links
    qtbot.waitUntil(lambda: all(link.frame is not None for link in links.values()), timeout=60000)
    first = links["corporate"]
    old = first.pid
    personal = links["personal"].pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    qtbot.waitUntil(lambda: first.frame is None or first.pid != old, timeout=20000)
    qtbot.waitUntil(lambda: first.frame is not None and first.pid != old, timeout=60000)
    assert links["personal"].pid == personal
    assert {call[1][0] for call in standin.calls if call[0] == "open_display"} == {"corporate", "personal"}


def test_screenshot_command_shows_both(
    standin: StandInDaemon, machines: dict[str, Path], qtbot: QtBot, tmp_path: Path
) -> None:
    qtbot.waitUntil(lambda: all(path.exists() for path in machines.values()), timeout=20000)
    standin.display = lambda name: connect(machines[name])
    target = tmp_path / "both.png"
    assert main(["--screenshot", str(target), "--wait", "60"]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def judged(works: bool) -> Grade:
    """The grade of a host on which every check passes, or none."""
    return judge(
        HostFacts(
            kvm=ProbeResult(works=works, reason="A test kernel said so."),
            mac_driver="apparmor" if works else "",
            iommu_groups=int(works),
            interrupt_remapping=works,
            tpm=works,
            encryption="luks2-dm-crypt" if works else "",
            uncovered_swap=() if works else ("/dev/vda2",),
            lockdown=works,
            init_on_free=works,
            core_pattern="|/bin/false" if works else "/var/cores",
            vulnerable=() if works else ("retbleed",),
        )
    )


def test_every_check_has_a_name_for_people() -> None:
    names = [check.name for check in judged(True).checks] + ["hypervisor"]
    called = [check_name(name) for name in names]
    assert len(set(called)) == len(names)
    for name, people in zip(names, called, strict=True):
        if name not in ("disk-encryption", "core-dumps", "processor-flaws"):  # these read well as they are
            assert people.casefold() != name.replace("-", " ")
    assert check_name("brand-new") == "Brand new"


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("images/corporate-desktop-cb013ff71995c091.qcow2", "corporate-desktop"),
        ("personal-small-9cb35a82819a4b57.qcow2", "personal-small"),
        ("corporate-desktop", "corporate-desktop"),
        ("", ""),
        (".qcow2", ".qcow2"),
    ],
)
def test_images_are_called_what_they_are(name: str, people: str) -> None:
    assert image_name(name) == people


@pytest.mark.parametrize("works", [True, False])
def test_columns_are_balanced_and_cards_as_tall_as_their_content(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot, works: bool
) -> None:
    standin.status = msgspec.structs.replace(standin.status, grade=judged(works))
    standin.announce("grade")
    home = window.home
    letter = "A" if works else "E"
    count = f"{11 if works else 0} of 11 checks pass. A is best, E is least."
    qtbot.waitUntil(lambda: home.grade.sentence.text() == count, timeout=20000)
    assert home.grade.badge.text() == f"Grade {letter}"
    assert home.grade.failed.count() == (0 if works else 11)
    assert ("Security chip (TPM)" in home.grade.passed.text()) == works
    other = home.grade if works else home.policy
    qtbot.waitUntil(lambda: home.storage.x() == other.x(), timeout=20000)
    cards = (home.vpn, home.policy, home.grade, home.storage)
    qtbot.waitUntil(
        lambda: all(card.height() <= card.heightForWidth(card.width()) for card in cards), timeout=10000
    )


def test_a_page_to_sign_in_on_is_shown_and_widens_nothing(
    window: MainWindow, standin: StandInDaemon, qtbot: QtBot
) -> None:
    card = window.home.vpn
    assert card.portal.isHidden()
    widths = []
    for page in ("http://portal.lan/login", "http://portal.lan/" + "x" * 280):
        vpn = VpnInfo(state="connecting", reason="This network wants somebody to sign in first", portal=page)
        standin.status = msgspec.structs.replace(standin.status, vpn=vpn)
        standin.announce("vpn")
        qtbot.waitUntil(partial(_reads, card.portal, f"Sign-in page: {page}"), timeout=20000)
        assert not card.portal.isHidden()
        assert "sign in first" in card.sentence.text()
        layout = card.layout()
        assert layout is not None
        layout.activate()  # rows within it keep the sizes of before until Qt comes to lay the card out
        widths.append(card.minimumSizeHint().width())
    assert widths[0] == widths[1]
    standin.status = msgspec.structs.replace(standin.status, vpn=VpnInfo(state="up"))
    standin.announce("vpn")
    qtbot.waitUntil(card.portal.isHidden, timeout=20000)


def _reads(label: QLabel, text: str) -> bool:
    return label.text() == text


def test_tab_goes_row_by_row(window: MainWindow) -> None:
    home = window.home
    cards = [*home.partitions.values(), home.vpn, home.policy]
    order: list[int] = []
    widget = home.nextInFocusChain()
    while widget is not None and widget is not home:
        order += [
            n
            for n, card in enumerate(cards)
            if card.isAncestorOf(widget) and isinstance(widget, QAbstractButton)
        ]
        widget = widget.nextInFocusChain()
    assert order == sorted(order)
    assert set(order) == {0, 1, 2, 3}


def test_a_picture_waits_until_the_shown_screens_rest(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window.show_view("corporate")
    picture = Screenshot(window, str(tmp_path / "x.png"), 60, 30)
    for link in window.links.values():
        link.stop()
        link.frame = map_frame(protocol.Frame(4, 4, 16), sealed_memory("frame", 64))
        link.frame_changed.emit()
    timer = picture.settling
    for name, again in (("personal", False), ("corporate", True)):
        assert timer.isActive()
        before = timer.timerId()  # a restarted timer gets another
        window.links[name].damaged.emit(QRect(0, 0, 1, 1))
        assert (timer.timerId() != before) == again
    timer.stop()
    for link in window.links.values():
        link.frame = None


@pytest.mark.parametrize("seconds", ["-1", "61", "nan", "soon"])
def test_settle_has_bounds(qtbot: QtBot, seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--screenshot", "/nonexistent/x.png", f"--settle={seconds}"]) == 2
    assert "--settle" in capsys.readouterr().err


def test_only_the_remark_of_the_platform_is_dropped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    context = QMessageLogContext()
    for said in (OFFSCREEN_REMARK, f"{OFFSCREEN_REMARK}!", "something unexpected"):
        show_qt_message(QtMsgType.QtWarningMsg, context, said)
    assert capsys.readouterr().err.splitlines() == [f"{OFFSCREEN_REMARK}!", "something unexpected"]


def test_on_a_narrow_page_cards_stand_in_the_order_of_tab(window: MainWindow, qtbot: QtBot) -> None:
    home = window.home
    cards = [*home.partitions.values(), home.vpn, home.grade, home.policy, home.storage]

    def places() -> list[QPoint]:
        return [card.mapTo(home, QPoint()) for card in cards]

    def has_columns(count: int) -> bool:
        return len({place.x() for place in places()}) == count

    for width, columns in ((1440, 2), (820, 1), (1440, 2), (820, 1)):
        window.resize(width, 900)
        qtbot.waitUntil(partial(has_columns, columns), timeout=5000)
    assert [place.y() for place in places()] == sorted(place.y() for place in places())

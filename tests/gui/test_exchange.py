"""A text from one computer to the other: real viewers and SPICE servers, and agents a test speaks for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from twinhull_client.gui import picture_child
from twinhull_client.gui.errors import NotText, TooMuchCopied
from twinhull_client.gui.exchange import ANSWER_MS
from twinhull_client.gui.exchange_text import examine
from twinhull_client.gui.sandbox import PYTHON
from twinhull_client.gui.window import MainWindow
from twinhull_client.viewer import protocol
from twinhull_policy.exchange import IMAGE_BYTES, TEXT_BYTES, ExchangeFacts
from twinhull_policy.model import Direction, ExchangeSection

from tests.gui.conftest import OpenWindow
from tests.gui.exchange_guests import (
    AN_ASKING,
    PATIENCE,
    WIDE,
    Guests,
    answers,
    copy,
    introduced,
    questions,
    receipts,
    step_of,
)
from tests.support.agent_peer import (
    GRAB,
    PNG,
    RELEASE,
    REQUEST,
    TEXT,
    AgentPeer,
    guest_with_agent,
)
from tests.support.standin_daemon import StandInDaemon

CLIENT = Path(__file__).resolve().parents[2] / "client"


def test_a_text_crosses_once_and_leaves_receipts(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    text = "grüße — 漢字".encode()
    source, target = peers["corporate"], peers["personal"]
    answers(source, lambda: source.text(text))
    copy(shown, qtbot)
    panel = shown.exchange.panel
    assert panel.text.toPlainText() == text.decode()
    assert not shown.exchange.panel.warning.isVisible()
    assert target.heard == []  # nothing before the person has read it
    assert shown.strip.context == "host"
    target.answer = lambda kind, _data: target.request() if kind == GRAB else None
    panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.of(RELEASE)), timeout=PATIENCE)
    assert target.of(TEXT) == [AN_ASKING + text]
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "used"], timeout=PATIENCE)
    assert questions(standin) == [
        ExchangeFacts(way="from_corporate", kind="clipboard", size_bytes=len(text), type="text/plain")
    ]
    assert text.decode() not in repr(standin.calls)
    target.request()  # once is once
    target.grab()
    answers(target, lambda: target.text(b"marker"))
    shown.links["personal"].ask_clipboard(99)
    qtbot.waitUntil(lambda: bool(target.of(REQUEST)), timeout=PATIENCE)
    assert target.of(TEXT) == [AN_ASKING + text]


def test_what_is_not_taken_in_a_minute_is_cleared(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    source, target = peers["corporate"], peers["personal"]
    answers(source, lambda: source.text(b"secret"))
    copy(shown, qtbot)
    assert shown.exchange.offer_timer.interval() == 60_000
    shown.exchange.panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.of(GRAB)), timeout=PATIENCE)
    assert shown.exchange.offer_timer.isActive()
    assert "Personal computer" in shown.strip.hint
    shown.exchange.offer_timer.start(0)
    qtbot.waitUntil(lambda: bool(target.of(RELEASE)), timeout=PATIENCE)
    target.request()
    answers(target, lambda: target.text(b"marker"))
    shown.links["personal"].ask_clipboard(99)
    qtbot.waitUntil(lambda: bool(target.of(REQUEST)), timeout=PATIENCE)
    assert target.of(TEXT) == []
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "expired"], timeout=PATIENCE)


ATTACKS: dict[str, tuple[Callable[[AgentPeer], None], str]] = {
    "answers with what is no image": (lambda peer: peer.text(b"\x89PNG", PNG), "TH-GUI-014"),
    "answers with nothing": (lambda peer: peer.text(b""), "TH-GUI-008"),
    "is no UTF-8": (lambda peer: peer.text(b"\xff\xfe\x80"), "TH-GUI-011"),
    "half a character": (lambda peer: peer.text("ü".encode()[:1]), "TH-GUI-011"),
    "a surrogate": (lambda peer: peer.text(b"\xed\xa0\x80"), "TH-GUI-011"),
    "a NUL": (lambda peer: peer.text(b"a\0b"), "TH-GUI-011"),
}


@pytest.mark.parametrize("case", ATTACKS)
def test_what_is_no_text_stays_where_it_is(
    case: str, shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    attack, code = ATTACKS[case]
    source, target = peers["corporate"], peers["personal"]
    personal = shown.links["personal"].pid
    answers(source, lambda: attack(source))
    copy(shown, qtbot, "problem")
    assert code in shown.exchange.panel.problem.next_step.text()
    assert shown.exchange.panel.send_button.isHidden()
    assert target.heard == []
    assert questions(standin) == []
    assert shown.links["personal"].pid == personal


def test_one_gibibyte_announced_ends_its_own_viewer_alone(
    guests: Guests,
    peers: dict[str, AgentPeer],
    standin: StandInDaemon,
    open_window: OpenWindow,
    qtbot: QtBot,
    tmp_path: Path,
) -> None:
    with guest_with_agent(tmp_path, "corporate") as (path, source):
        standin.devices = []
        own = {"corporate": (path, source), "personal": guests["personal"]}
        window = introduced(own, standin, open_window, qtbot)
        link, personal = window.links["corporate"], window.links["personal"].pid
        answers(source, lambda: source.text(b"x", announced=2**30))
        starts = link.starts
        copy(window, qtbot, "problem")
        assert "TH-GUI-009" in window.exchange.panel.problem.next_step.text()
        qtbot.waitUntil(lambda: link.starts > starts and link.frame is not None, timeout=PATIENCE)
        assert window.links["personal"].pid == personal
        assert peers["personal"].of(GRAB) == []
        window.close()


def test_a_late_answer_and_one_to_another_gesture_are_dropped(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    source = peers["corporate"]
    copy(shown, qtbot, "wait")
    qtbot.waitUntil(lambda: bool(source.of(REQUEST)), timeout=PATIENCE)
    assert ANSWER_MS == 5_000
    shown.exchange.answer_timer.start(0)
    qtbot.waitUntil(lambda: shown.exchange.panel.step == "problem", timeout=PATIENCE)
    shown.exchange.answer_timer.setInterval(PATIENCE)
    shown.links["corporate"].clipboard.emit(protocol.ClipboardText(1, 4), b"late")
    assert step_of(shown) == "problem"
    QTest.keyClick(shown.exchange.panel.leave_button, Qt.Key.Key_Escape)
    assert not shown.exchange.panel.isVisible()
    assert shown.strip.context == "corporate"
    copy(shown, qtbot, "wait")
    shown.links["corporate"].clipboard.emit(protocol.ClipboardText(1, 4), b"late")
    assert step_of(shown) == "wait"
    answers(source, lambda: source.text(b"in time"))
    copy(shown, qtbot)
    assert shown.exchange.panel.text.toPlainText() == "in time"
    shown.links["corporate"].clipboard.emit(protocol.ClipboardText(1, 4), b"late")
    assert shown.exchange.panel.text.toPlainText() == "in time"
    assert len(questions(standin)) == 1


def test_a_guest_that_grabs_and_asks_by_itself_gets_nothing(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    clipboard = QGuiApplication.clipboard()
    clipboard.setText("the host's own secret")
    source, link = peers["corporate"], shown.links["corporate"]
    told: list[object] = []
    link.clipboard.connect(lambda message, _content: told.append(message))
    starts = link.starts
    source.grab()
    source.request()
    source.grab()  # no more at once: QEMU's serial port drops what SPICE has no room for
    answers(source, lambda: source.text(b"asked"))
    copy(shown, qtbot)  # it comes after all of that, on the same channel
    assert [type(each) for each in told] == [protocol.ClipboardText]
    assert shown.exchange.panel.text.toPlainText() == "asked"
    assert source.of(TEXT) == []
    assert peers["personal"].heard == []
    assert link.starts == starts
    assert clipboard.text() == "the host's own secret"
    assert receipts(standin) == []


def test_the_policy_decides_and_its_reason_is_shown(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    source, target = peers["corporate"], peers["personal"]
    standin.exchange = ExchangeSection()
    answers(source, lambda: source.text(b"company secret"))
    copy(shown, qtbot, "problem")
    assert "does not let this cross" in shown.exchange.panel.problem.sentence.text()
    assert target.heard == []
    standin.exchange = ExchangeSection(from_corporate=Direction(urls=WIDE))
    answers(source, lambda: source.text(b"https://example.org/a"))
    copy(shown, qtbot)
    assert [each.kind for each in questions(standin)] == ["clipboard", "urls"]


def test_locking_ends_it(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    source, target = peers["corporate"], peers["personal"]
    answers(source, lambda: source.text(b"secret"))
    copy(shown, qtbot)
    shown.exchange.panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.of(GRAB)), timeout=PATIENCE)
    copy(shown, qtbot)
    shown.lock()
    assert not shown.exchange.panel.isVisible()
    assert shown.exchange.panel.text.toPlainText() == ""
    qtbot.waitUntil(lambda: bool(target.of(RELEASE)), timeout=PATIENCE)
    qtbot.waitUntil(lambda: set(receipts(standin)) == {"sent", "expired", "cancelled"}, timeout=PATIENCE)


ALONE = """
import ctypes, os, sys
from gi.repository import GObject
from twinhull_client.viewer import protocol as p
from twinhull_client.viewer.clipboard import Clipboard

LAST, UINT, POINTER = GObject.SignalFlags.RUN_LAST, GObject.TYPE_UINT, GObject.TYPE_ULONG

class Main(GObject.Object):
    __gsignals__ = {
        "main-clipboard-selection": (LAST, None, (UINT, UINT, POINTER, UINT)),
        "main-clipboard-selection-grab": (LAST, bool, (UINT, POINTER, UINT)),
        "main-clipboard-selection-request": (LAST, bool, (UINT, UINT)),
    }
    def __init__(self):
        super().__init__()
        self.did = []
    def get_property(self, name):
        return True
    def agent_test_capability(self, number):
        return True
    def __getattr__(self, name):
        if name.startswith("do_"):
            raise AttributeError(name)
        return lambda *arguments: self.did.append((name, *arguments))

main, told = Main(), []
def send(message, fd):
    told.append((message, os.pread(fd, 1 << 20, 0) if fd is not None else None))
clipboard = Clipboard(main, send)
memory = ctypes.create_string_buffer(b"x" * (p.MAX_CLIPBOARD + 1))
def text(size, selection=0, form=1):
    main.emit("main-clipboard-selection", selection, form, ctypes.addressof(memory), size)
for _ in range(1000):
    main.emit("main-clipboard-selection-grab", 0, 0, 0)
    assert main.emit("main-clipboard-selection-request", 0, 1) is False
    text(9)
assert (told, main.did) == ([], [])
clipboard.ask(1)
text(9, selection=1)
assert told == []
text(p.MAX_CLIPBOARD)
text(9)
assert told == [(p.ClipboardText(1, p.MAX_CLIPBOARD), b"x" * p.MAX_CLIPBOARD)]
for size, form, reason in ((p.MAX_CLIPBOARD + 1, 1, p.TOO_LARGE), (0, 1, p.NO_TEXT), (9, 2, p.NO_TEXT)):
    clipboard.ask(2)
    text(size, form=form)
    assert told[-1] == (p.ClipboardNothing(2, reason), None), told[-1]
clipboard.ask(2, image=True)
text(p.MAX_CLIPBOARD + 1, form=2)
assert told[-1][0] == p.ClipboardImage(2, p.MAX_CLIPBOARD + 1)
for size, form, reason in ((p.MAX_IMAGE + 1, 2, p.TOO_LARGE), (9, 1, p.NO_TEXT)):
    clipboard.ask(2, image=True)
    text(size, form=form)
    assert told[-1] == (p.ClipboardNothing(2, reason), None), told[-1]
clipboard.ask(3)
clipboard.withdraw(3)
text(9)
assert told[-1][0].id == 2
main.did.clear()
clipboard.offer(4, b"secret")
for selection, form in ((1, 1), (0, 2), (2, 1)):
    assert main.emit("main-clipboard-selection-request", selection, form) is False
assert main.emit("main-clipboard-selection-request", 0, 1) is True
for _ in range(1000):
    assert main.emit("main-clipboard-selection-request", 0, 1) is False
assert [each for each in main.did if each[0].endswith("notify")] == [
    ("clipboard_selection_notify", 0, 1, b"secret")
]
assert told[-1] == (p.ClipboardTaken(4), None)
clipboard.offer(6, b"png", image=True)
assert main.emit("main-clipboard-selection-request", 0, 1) is False
assert main.emit("main-clipboard-selection-request", 0, 2) is True
assert main.did[-2] == ("clipboard_selection_notify", 0, 2, b"png"), main.did
clipboard.offer(5, b"secret")
clipboard.withdraw(5)
assert main.emit("main-clipboard-selection-request", 0, 1) is False
"""
"""The viewer's part by itself, under the system's Python, and a thousand events of each kind."""


def test_the_viewer_alone_answers_gestures_and_nothing_else() -> None:
    done = subprocess.run(
        [PYTHON, "-c", ALONE], cwd=CLIENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_where_an_address_leads_is_seen_and_only_that_crosses(
    shown: MainWindow, peers: dict[str, AgentPeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    """A letter that looks like another, a name in front, a port: told; what crosses is what was shown."""
    source, target = peers["corporate"], peers["personal"]
    standin.exchange = ExchangeSection(from_corporate=Direction(urls=WIDE))
    said = "http://bank.example@p\u0430ypal.example:8080/a\u00fc"
    answers(source, lambda: source.text(said.encode()))
    copy(shown, qtbot)
    panel = shown.exchange.panel
    assert panel.host.accessibleName() == "xn--pypal-4ve.example"
    assert panel.host.isVisible() and panel.note.isVisible()
    crossing = "http://bank.example@xn--pypal-4ve.example:8080/a%C3%BC"
    assert panel.text.toPlainText() == crossing
    cautions = panel.warning.text()
    for told in ("not where it leads", "CYRILLIC SMALL LETTER A", "mixes scripts", "port 8080", "encrypted"):
        assert told in cautions
    assert "Nothing is opened by this." in panel.note.text()
    target.answer = lambda kind, _data: target.request() if kind == GRAB else None
    panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.of(RELEASE)), timeout=PATIENCE)
    assert target.of(TEXT) == [AN_ASKING + crossing.encode()]
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "used"], timeout=PATIENCE)
    assert questions(standin) == [
        ExchangeFacts(way="from_corporate", kind="urls", size_bytes=len(crossing), type="http")
    ]
    answers(source, lambda: source.text(b"https://example.org/"))
    copy(shown, qtbot)
    assert (panel.host.accessibleName(), panel.warning.isVisible()) == ("example.org", False)
    panel.leave_button.click()


# What a guest says -> what the person reads, and how many characters would not have been seen.
SEEN: dict[str, tuple[str, str, int]] = {
    "plain": ("a b\n\tc", "a b\n\tc", 0),
    "two characters for a line": ("a\r\nb", "a\nb", 0),
    "markup": ("<b>x</b><img src=x>", "<b>x</b><img src=x>", 0),
    "right to left override": ("a\u202etxt.exe", "a[U+202E]txt.exe", 1),
    "isolates": ("\u2066x\u2069", "[U+2066]x[U+2069]", 2),
    "escape": ("\x1b[2J", "[U+001B][2J", 1),
    "a line overwritten": ("safe\rrm -rf", "safe[U+000D]rm -rf", 1),
    "zero width": ("a\u200bb\ufeff", "a[U+200B]b[U+FEFF]", 2),
    "tags": ("x\U000e0041", "x[U+E0041]", 1),
    "selectors": ("x\ufe0f\U000e0100", "x[U+FE0F][U+E0100]", 2),
    "blank letters": ("\u3164\u2800", "[U+3164][U+2800]", 2),
    "separators": ("a\u2028b\u2029", "a[U+2028]b[U+2029]", 2),
    "no-break space": ("a\u00a0b", "a[U+00A0]b", 1),
    "private use": ("\ue000", "[U+E000]", 1),
    "stacked marks": ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + "[U+0301][U+0301]", 2),
    "other scripts": ("שלום مرحبا 漢字 ü", "שלום مرحبا 漢字 ü", 0),
}


@pytest.mark.parametrize("case", SEEN)
def test_what_nobody_would_see_is_made_visible(case: str) -> None:
    said, shown, unseen = SEEN[case]
    copied = examine(said.encode())
    assert (copied.shown, copied.unseen) == (shown, unseen)
    assert copied.content == said.encode()


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("https://example.org/a?b#c", "https"),
        ("http://10.0.0.1:8080", "http"),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("https://example.org\nhttps://example.net", ""),
        ("https://example.org and more", ""),
        ("https://", ""),
        ("https://[", ""),
        ("https://ex\u0430mple.org", "https"),
        ("https://example.org/" + "a" * 9000, ""),
    ],
)
def test_only_a_web_address_that_is_all_of_it_is_one(text: str, scheme: str) -> None:
    link = examine(text.encode()).link
    assert (link.scheme if link is not None else "") == scheme


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", NotText),
        (b"\x80", NotText),
        (b"a\0", NotText),
        (b"x" * (TEXT_BYTES + 1), TooMuchCopied),
    ],
)
def test_what_is_refused(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        examine(content)


def test_the_viewers_limit_is_the_hosts() -> None:
    assert protocol.MAX_CLIPBOARD == TEXT_BYTES
    assert protocol.MAX_IMAGE == IMAGE_BYTES == picture_child.MOST_BYTES

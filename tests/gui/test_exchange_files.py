"""A file from one computer to the other: real viewers, real SPICE servers, the golden images' own program."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.gui.window import MainWindow
from twinhull_client.viewer import protocol
from twinhull_policy.exchange import FILE_BYTES, ExchangeFacts
from twinhull_policy.model import Direction, ExchangeSection, TypedTransfer

from tests.gui.exchange_guests import PATIENCE, OpenWindow, copy, questions, receipts
from tests.support.file_guest import (
    BEGIN,
    END,
    NOTHING,
    OFFERED,
    READ,
    STOP,
    TAKEN,
    WRITE,
    Answer,
    Desk,
    FilePeer,
    guest_with_desk,
    guest_with_file_peer,
    old,
)
from tests.support.painter import connect
from tests.support.standin_daemon import StandInDaemon

WIDE = TypedTransfer(verdict="ask", limit_bytes=FILE_BYTES)
BOTH_WAYS = ExchangeSection(to_corporate=Direction(files=WIDE), from_corporate=Direction(files=WIDE))


@pytest.fixture(scope="module")
def file_guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, Desk]]]:
    """Both guests, which outlive the windows that look at them."""
    folder = tmp_path_factory.mktemp("files")
    with ExitStack() as stack:
        yield {name: stack.enter_context(guest_with_desk(folder, name)) for name in ("corporate", "personal")}


@pytest.fixture
def desks(file_guests: dict[str, tuple[Path, Desk]]) -> dict[str, Desk]:
    """Their persons' homes, with nothing in them."""
    found = {name: desk for name, (_path, desk) in file_guests.items()}
    for desk in found.values():
        for each in (*desk.home.rglob("*"), *desk.runtime.iterdir()):
            if not each.is_dir():
                each.unlink()
    return found


@pytest.fixture
def window_on_files(
    file_guests: dict[str, tuple[Path, Desk]],
    desks: dict[str, Desk],
    standin: StandInDaemon,
    open_window: OpenWindow,
    qtbot: QtBot,
) -> MainWindow:
    """A window on both, once their programs answer."""
    standin.devices, standin.exchange = [], BOTH_WAYS
    return window_on({name: path for name, (path, _desk) in file_guests.items()}, standin, open_window, qtbot)


def window_on(
    paths: dict[str, Path], standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> MainWindow:
    """A window on these guests' screens."""
    standin.display = lambda name: connect(paths[name])
    window = open_window()
    window.exchange.answer_timer.setInterval(PATIENCE)  # the guests are emulated, and slow beside others
    window.show_view("corporate")
    qtbot.waitUntil(lambda: all(link.frame is not None for link in window.links.values()), timeout=PATIENCE)
    for link in window.links.values():
        _ready(link, qtbot)
    return window


def _ready(link: ViewerLink, qtbot: QtBot) -> None:
    """Wait until the port is there: until then the viewer says that nothing answers."""
    told: list[object] = []
    link.file.connect(lambda message, _content: told.append(message))

    def asked() -> bool:
        before = len(told)
        link.ask_file(protocol.MAX_GESTURE)
        qtbot.waitUntil(lambda: len(told) > before, timeout=PATIENCE)
        return told[-1] != protocol.FileNothing(protocol.MAX_GESTURE, protocol.NO_AGENT)

    qtbot.waitUntil(asked, timeout=PATIENCE)


def test_a_file_crosses_once_and_leaves_receipts(
    window_on_files: MainWindow, desks: dict[str, Desk], standin: StandInDaemon, qtbot: QtBot
) -> None:
    window, panel = window_on_files, window_on_files.exchange.panel
    content = "Grüße\n".encode() * 500
    sent = desks["corporate"].home / "Bericht März.txt"
    sent.write_bytes(content)
    sent.chmod(0o755)
    assert desks["corporate"].offer(sent).returncode == 0
    copy(window, qtbot)
    assert panel.host.accessibleName() == "Bericht März.txt"
    assert "text/plain" in panel.sentence.text()
    assert "4.0 kB" in panel.sentence.text()
    assert panel.text.toPlainText().startswith("Grüße\nGrüße\n")
    assert not panel.warning.isVisible()
    assert desks["personal"].kept() == {}
    panel.send_button.click()
    qtbot.waitUntil(lambda: panel.step == "kept", timeout=PATIENCE)
    assert desks["personal"].kept() == {"Bericht März.txt": content}
    arrived = desks["personal"].downloads / "Bericht März.txt"
    assert stat.S_IMODE(arrived.stat().st_mode) == 0o600  # what crosses cannot be run
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "used"], timeout=PATIENCE)
    assert questions(standin) == [
        ExchangeFacts(way="from_corporate", kind="files", size_bytes=len(content), type="text/plain")
    ]
    assert "Grüße" not in repr(standin.calls) and "Bericht" not in repr(standin.calls)
    panel.leave_button.click()
    copy(window, qtbot, "problem")  # the offer is used up; what is asked for then is a text
    assert "TH-GUI-010" in panel.problem.next_step.text()


def test_the_policy_decides_by_content_and_size(
    window_on_files: MainWindow, desks: dict[str, Desk], standin: StandInDaemon, qtbot: QtBot
) -> None:
    window, panel = window_on_files, window_on_files.exchange.panel
    only_pdf = TypedTransfer(verdict="allow", limit_bytes=100, types=("application/pdf",))
    standin.exchange = ExchangeSection(from_corporate=Direction(files=only_pdf))
    sent = desks["corporate"].home / "harmless.pdf"
    for content, why in ((b"\x7fELF" + bytes(40), "only application/pdf"), (b"%PDF-" + bytes(96), "larger")):
        sent.write_bytes(content)
        desks["corporate"].offer(sent)
        copy(window, qtbot, "problem")
        assert why in panel.problem.sentence.text()
        panel.leave_button.click()
    sent.write_bytes(b"%PDF-" + bytes(95))
    desks["corporate"].offer(sent)
    copy(window, qtbot)
    assert not panel.text.isVisible()
    assert "cannot be shown" in panel.note.text()
    assert panel.leave_button.hasFocus()  # a key that was meant for something else sends nothing
    standin.exchange = ExchangeSection()
    panel.leave_button.click()
    assert desks["personal"].kept() == {}
    qtbot.waitUntil(lambda: receipts(standin) == ["cancelled"], timeout=PATIENCE)


def test_what_is_offered_too_long_ago_or_not_at_all_stays(
    window_on_files: MainWindow, desks: dict[str, Desk], standin: StandInDaemon, qtbot: QtBot
) -> None:
    window, desk = window_on_files, desks["corporate"]
    copy(window, qtbot, "problem")
    sent = desk.home / "a.txt"
    sent.write_bytes(b"a")
    desk.offer(sent)
    old(desk, 61)
    copy(window, qtbot, "problem")
    assert "TH-GUI-010" in window.exchange.panel.problem.next_step.text()
    assert questions(standin) == []
    assert desk.offer(desk.home).returncode != 0


def test_an_empty_file_and_one_of_a_name_that_is_there_already(
    window_on_files: MainWindow, desks: dict[str, Desk], qtbot: QtBot
) -> None:
    window, panel = window_on_files, window_on_files.exchange.panel
    sent = desks["corporate"].home / "a.txt"
    for content in (b"", b"first", b"second"):
        sent.write_bytes(content)
        desks["corporate"].offer(sent)
        copy(window, qtbot)
        panel.send_button.click()
        qtbot.waitUntil(lambda: panel.step == "kept", timeout=PATIENCE)
        panel.leave_button.click()
    assert desks["personal"].kept() == {"a.txt": b"", "a (2).txt": b"first", "a (3).txt": b"second"}


# -- guests that are not what they should be -----------------------------------------------------------------


@pytest.fixture(scope="module")
def peer_guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, FilePeer]]]:
    """Both guests, whose files a test answers for."""
    folder = tmp_path_factory.mktemp("peers")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(guest_with_file_peer(folder, name))
            for name in ("corporate", "personal")
        }


@pytest.fixture
def file_peers(peer_guests: dict[str, tuple[Path, FilePeer]]) -> Iterator[dict[str, FilePeer]]:
    """Those tests' voices; they say that they have nothing."""
    found = {name: peer for name, (_path, peer) in peer_guests.items()}
    for peer in found.values():
        peer.answer = lambda _kind, _value, _content: (NOTHING, 0, b"")
    yield found
    for peer in found.values():
        peer.answer = lambda _kind, _value, _content: None


@pytest.fixture
def window_on_peers(
    peer_guests: dict[str, tuple[Path, FilePeer]],
    file_peers: dict[str, FilePeer],
    standin: StandInDaemon,
    open_window: OpenWindow,
    qtbot: QtBot,
) -> MainWindow:
    """A window on both."""
    standin.devices, standin.exchange = [], BOTH_WAYS
    window = window_on(
        {name: path for name, (path, _peer) in peer_guests.items()}, standin, open_window, qtbot
    )
    for peer in file_peers.values():
        peer.heard.clear()
    return window


def honest(name: bytes = b"a.txt", content: bytes = b"hello") -> Callable[[int, int, bytes], Answer]:
    """What the images' program says."""

    def answer(kind: int, value: int, _content: bytes) -> Answer:
        match kind:
            case 1:
                return OFFERED, len(content), name
            case 2:
                return READ, value, content[value:]
            case _:
                return kind, 0, b""

    return answer


def lying(at: int, lie: Answer) -> Callable[[int, int, bytes], Answer]:
    """Honest, but for one kind of request."""
    return lambda kind, value, content: lie if kind == at else honest()(kind, value, content)


LIES: dict[str, tuple[int, Answer, str]] = {
    "more than crosses": (OFFERED, (OFFERED, FILE_BYTES + 1, b"a"), "TH-GUI-017"),
    "more than there is": (OFFERED, (OFFERED, 2**64 - 1, b"a"), "TH-GUI-017"),
    "no name": (OFFERED, (OFFERED, 5, b""), "TH-GUI-018"),
    "a long name": (OFFERED, (OFFERED, 5, b"a" * 256), "TH-GUI-018"),
    "another answer": (OFFERED, (END, 5, b"a"), "TH-GUI-018"),
    "an answer of no kind": (OFFERED, (77, 5, b"a"), "TH-GUI-018"),
    "cut short": (READ, (READ, 0, b""), "TH-GUI-018"),
    "from elsewhere": (READ, (READ, 1, b"x"), "TH-GUI-018"),
    "gone meanwhile": (READ, (NOTHING, 0, b""), "TH-GUI-018"),
}


def test_what_is_no_whole_file_stays_where_it_is(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    panel = window_on_peers.exchange.panel
    for case, (at, lie, code) in LIES.items():
        file_peers["corporate"].answer = lying(at, lie)
        copy(window_on_peers, qtbot, "problem")
        assert code in panel.problem.next_step.text(), case
        assert panel.send_button.isHidden(), case
        panel.leave_button.click()
    assert file_peers["personal"].heard == []
    assert questions(standin) == []


def test_a_frame_that_claims_too_much_spoils_its_own_gesture_alone(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], qtbot: QtBot
) -> None:
    window, source = window_on_peers, file_peers["corporate"]
    link = window.links["corporate"]
    starts = link.starts

    def too_much(_kind: int, _value: int, _content: bytes) -> Answer:
        source.say(OFFERED, 5, b"a", number=source.number, length=2**32 - 1)
        return None

    source.answer = too_much
    copy(window, qtbot, "problem")
    assert "TH-GUI-018" in window.exchange.panel.problem.next_step.text()
    source.answer = honest()
    copy(window, qtbot)
    assert link.starts == starts


def test_a_guest_that_speaks_by_itself_moves_nothing(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    """It offers, asks, writes and answers what nobody asked; then a gesture gets only what it asked for."""
    window, source, target = window_on_peers, file_peers["corporate"], file_peers["personal"]
    told: list[object] = []
    for link in window.links.values():
        link.file.connect(lambda message, _content: told.append(message))
    for peer in (source, target):
        for kind in (OFFERED, READ, TAKEN, BEGIN, WRITE, END, STOP, NOTHING):
            for number in (peer.number, peer.number + 1, 0):
                peer.say(kind, 5, b"pushed.txt", number=number)

    def answer(kind: int, value: int, content: bytes) -> Answer:
        source.say(OFFERED, 3, b"not this one", number=source.number - 1)
        return honest()(kind, value, content)

    source.answer = answer
    copy(window, qtbot)
    assert window.exchange.panel.host.accessibleName() == "a.txt"
    assert window.exchange.panel.text.toPlainText() == "hello"
    assert {type(each) for each in told} == {protocol.FileMoved, protocol.FileContent}
    assert target.heard == []
    assert receipts(standin) == []
    assert [kind for kind, _value, _content in source.heard] == [OFFERED, READ, TAKEN]


def test_a_late_answer_belongs_to_nothing(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    window, source = window_on_peers, file_peers["corporate"]
    source.answer = lambda _kind, _value, _content: None
    copy(window, qtbot, "wait")
    qtbot.waitUntil(lambda: len(source.heard) == 1, timeout=PATIENCE)
    late = source.number
    window.exchange.answer_timer.start(0)
    qtbot.waitUntil(lambda: window.exchange.panel.step == "problem", timeout=PATIENCE)
    assert "TH-GUI-009" in window.exchange.panel.problem.next_step.text()
    window.exchange.answer_timer.setInterval(PATIENCE)
    source.say(OFFERED, 5, b"late.txt", number=late)
    source.answer = honest()
    copy(window, qtbot)
    assert window.exchange.panel.host.accessibleName() == "a.txt"
    assert [kind for kind, _value, _content in source.heard] == [OFFERED, STOP, OFFERED, READ, TAKEN]
    assert len(questions(standin)) == 1


def test_a_guest_that_keeps_nothing_is_told_so(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    panel = window_on_peers.exchange.panel
    file_peers["corporate"].answer = honest()
    file_peers["personal"].answer = lambda _kind, _value, _content: None
    copy(window_on_peers, qtbot)
    panel.send_button.click()
    qtbot.waitUntil(window_on_peers.exchange.bring_timer.isActive, timeout=PATIENCE)
    assert window_on_peers.exchange.bring_timer.interval() == 60_000
    window_on_peers.exchange.bring_timer.start(0)
    qtbot.waitUntil(lambda: panel.step == "problem", timeout=PATIENCE)
    assert "TH-GUI-019" in panel.problem.next_step.text()
    window_on_peers.exchange.bring_timer.setInterval(60_000)
    panel.leave_button.click()
    for at in (BEGIN, WRITE, END):
        file_peers["personal"].answer = lying(at, (NOTHING, 0, b""))
        copy(window_on_peers, qtbot)
        panel.send_button.click()
        qtbot.waitUntil(lambda: panel.step == "problem", timeout=PATIENCE)
        assert "TH-GUI-019" in panel.problem.next_step.text()
        panel.leave_button.click()
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "failed"] * 4, timeout=PATIENCE)


def test_stopping_in_the_middle_and_a_name_that_is_a_path(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    window, target, panel = window_on_peers, file_peers["personal"], window_on_peers.exchange.panel
    file_peers["corporate"].answer = honest("../../.ssh/\u202eauthorized\n_keys".encode())
    target.answer = lambda kind, _value, _content: (BEGIN, 0, b"") if kind == BEGIN else None
    copy(window, qtbot)
    assert panel.host.accessibleName() == "_.._.ssh__authorized__keys"
    assert "[U+202E]authorized[U+000B]_keys" in panel.warning.text()
    panel.send_button.click()
    qtbot.waitUntil(
        lambda: [kind for kind, _value, _content in target.heard] == [BEGIN, WRITE], timeout=PATIENCE
    )
    assert target.heard[0] == (BEGIN, 5, b"_.._.ssh__authorized__keys")
    assert panel.step == "wait"
    panel.leave_button.click()
    qtbot.waitUntil(lambda: target.heard[-1][0] == STOP, timeout=PATIENCE)
    assert not panel.isVisible()
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "failed"], timeout=PATIENCE)


def test_locking_stops_it(
    window_on_peers: MainWindow, file_peers: dict[str, FilePeer], standin: StandInDaemon, qtbot: QtBot
) -> None:
    window, target, panel = window_on_peers, file_peers["personal"], window_on_peers.exchange.panel
    file_peers["corporate"].answer = honest()
    target.answer = lambda _kind, _value, _content: None
    copy(window, qtbot)
    panel.send_button.click()
    qtbot.waitUntil(lambda: bool(target.heard), timeout=PATIENCE)
    window.lock()
    assert not panel.isVisible()
    assert panel.text.toPlainText() == ""
    qtbot.waitUntil(lambda: target.heard[-1][0] == STOP, timeout=PATIENCE)
    qtbot.waitUntil(lambda: receipts(standin) == ["sent", "failed"], timeout=PATIENCE)

"""Two guests whose agents a test speaks for, a window on them, and the gesture."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.gui.window import MainWindow
from twinhull_client.viewer import protocol
from twinhull_policy.exchange import IMAGE_BYTES, ExchangeFacts
from twinhull_policy.model import Direction, ExchangeSection, TypedTransfer

from tests.support.agent_peer import ANNOUNCE, CLIPBOARD, REQUEST, AgentPeer, guest_with_agent
from tests.support.painter import connect
from tests.support.standin_daemon import StandInDaemon

CHORD = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
PATIENCE = 60_000
WIDE = TypedTransfer(verdict="ask", limit_bytes=IMAGE_BYTES)
BOTH_WAYS = ExchangeSection(to_corporate=Direction(clipboard=WIDE), from_corporate=Direction(clipboard=WIDE))
AN_ASKING = CLIPBOARD + struct.pack("<I", 1)

OpenWindow = Callable[[], MainWindow]
Guests = dict[str, tuple[Path, AgentPeer]]


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    """Both guests; they outlive the windows that look at them, as real ones do."""
    folder = tmp_path_factory.mktemp("guests")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(guest_with_agent(folder, name)) for name in ("corporate", "personal")
        }


@pytest.fixture
def peers(guests: Guests) -> Iterator[dict[str, AgentPeer]]:
    """Both agents, which say nothing by themselves."""
    agents = {name: peer for name, (_path, peer) in guests.items()}
    for peer in agents.values():
        peer.heard.clear()
    yield agents
    for peer in agents.values():
        peer.answer = lambda _kind, _data: None


@pytest.fixture
def shown(
    guests: Guests,
    peers: dict[str, AgentPeer],
    standin: StandInDaemon,
    open_window: OpenWindow,
    qtbot: QtBot,
) -> MainWindow:
    """A window with both guests' screens, whose agents have introduced themselves."""
    standin.devices = []
    standin.exchange = BOTH_WAYS
    return introduced(guests, standin, open_window, qtbot)


def introduced(guests: Guests, standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot) -> MainWindow:
    """A window on these guests."""
    standin.display = lambda name: connect(guests[name][0])
    window = open_window()
    window.exchange.answer_timer.setInterval(PATIENCE)  # the guests are emulated, and slow beside others
    window.show_view("corporate")
    for name, (_path, peer) in guests.items():
        _introduce(window.links[name], peer, qtbot)
    return window


def _introduce(link: ViewerLink, peer: AgentPeer, qtbot: QtBot) -> None:
    """Wait until what an agent can do has reached the viewer, which then asks it."""
    told: list[object] = []
    qtbot.waitUntil(lambda: bool(peer.of(ANNOUNCE)), timeout=PATIENCE)
    link.clipboard.connect(lambda message, _content: told.append(message))
    answers(peer, lambda: peer.text(b"ready"))

    def ready() -> bool:
        before = len(told)
        link.ask_clipboard(protocol.MAX_GESTURE)
        qtbot.waitUntil(lambda: len(told) > before, timeout=PATIENCE)
        return isinstance(told[-1], protocol.ClipboardText)

    qtbot.waitUntil(ready, timeout=PATIENCE)
    answers(peer, lambda: None)
    peer.heard.clear()


def answers(peer: AgentPeer, when_asked: Callable[[], None]) -> None:
    """What an agent does when it is asked for its text."""
    peer.answer = lambda kind, _data: when_asked() if kind == REQUEST else None


def receipts(standin: StandInDaemon) -> list[object]:
    """What the daemon was told became of it, in order."""
    return [arguments[1] for name, arguments in standin.calls if name == "settle_exchange"]


def questions(standin: StandInDaemon) -> list[ExchangeFacts]:
    """What the daemon was asked."""
    return [
        msgspec.json.decode(str(arguments[0]), type=ExchangeFacts)
        for name, arguments in standin.calls
        if name == "ask_exchange"
    ]


def copy(window: MainWindow, qtbot: QtBot, step: str = "read") -> None:
    """The gesture, by its chord in the corporate computer, until the card shows a step."""
    panel = window.exchange.panel
    window.screens["corporate"].setFocus()
    QTest.keyClick(window.screens["corporate"], Qt.Key.Key_C, CHORD)
    qtbot.waitUntil(lambda: panel.isVisible() and panel.step == step, timeout=PATIENCE)


def step_of(window: MainWindow) -> str:
    """Where the card is now."""
    return window.exchange.panel.step

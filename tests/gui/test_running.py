"""What opens the app again reaches the one that runs, and nobody else's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from twinhull_client.gui.enrol_link import LINK_LIMIT
from twinhull_client.gui.running import FOLDER, LOCK, SOCKET, Running, hand_over

from tests.gui.conftest import OpenWindow
from tests.support.demonstration import demonstration_status
from tests.support.source import ROOT
from tests.support.standin_daemon import StandInDaemon

LINK = "twinhull:enroll?server=https%3A%2F%2Ffleet.example%3A8443"
PATIENCE = 60_000


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as logind makes one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / FOLDER


def started(*arguments: str) -> subprocess.Popen[str]:
    """The app, started once more."""
    code = "import sys; from twinhull_client.gui.main import main; sys.exit(main(sys.argv[1:]))"
    path = os.pathsep.join(str(ROOT / part) for part in ("client", "policy"))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, text=True)


def test_a_link_that_is_opened_later_reaches_the_app_that_runs(
    runtime: Path, standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.status = demonstration_status(enrolled=False)
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=PATIENCE)
    with closing(Running()) as running:
        running.opened.connect(window.open_again)
        window.show_view("log")
        window.showMinimized()
        later = started(LINK)
        qtbot.waitUntil(window.home.enrol.linked.isVisible, timeout=PATIENCE)
        qtbot.waitUntil(lambda: later.poll() is not None, timeout=PATIENCE)
        assert later.returncode == 0
        assert not window.isMinimized()
        window.show_view("log")
        later = started()  # without a link it stays where it was
        qtbot.waitUntil(lambda: later.poll() is not None, timeout=PATIENCE)
        assert (later.returncode, window.view) == (0, "log")


def test_the_second_one_listens_to_nothing_and_follows_one_that_died(runtime: Path, qtbot: QtBot) -> None:
    first, second = Running(), Running()
    heard: list[tuple[str, str]] = []
    first.opened.connect(lambda link: heard.append(("first", link)))
    second.opened.connect(lambda link: heard.append(("second", link)))

    def hand(link: str) -> bool:
        told: list[bool] = []
        thread = threading.Thread(target=lambda: told.append(hand_over(link)))
        thread.start()
        qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE)
        thread.join()
        return told[0]

    assert hand(LINK)
    too_long = "twinhull:" + "a" * LINK_LIMIT
    assert hand(too_long)
    assert heard == [("first", LINK), ("first", too_long[: LINK_LIMIT + 1])]
    second.close()
    first.close()
    assert (runtime / SOCKET).exists()  # as one that was killed leaves it
    assert not hand_over(LINK)
    third = Running()
    third.opened.connect(lambda link: heard.append(("third", link)))
    assert hand("")
    assert heard[-1] == ("third", "")
    third.close()


def test_what_others_could_have_made_is_not_used(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runtime.mkdir(mode=0o755)
    runtime.chmod(0o755)
    Running().close()
    assert list(runtime.iterdir()) == []
    assert not hand_over(LINK)
    runtime.chmod(0o700)
    kept = tmp_path / "kept"
    kept.write_text("mine")
    (runtime / LOCK).symlink_to(kept)
    Running().close()
    assert not (runtime / SOCKET).exists()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    Running().close()
    assert not hand_over(LINK)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_persons_app_is_told_nothing(runtime: Path) -> None:
    runtime.mkdir(mode=0o700)
    code = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1])\n"
        "os.setuid(65534); s.listen(); print('ready', flush=True)\n"
        "c, _ = s.accept(); print(c.recv(99), flush=True)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(runtime / SOCKET)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    assert not hand_over(LINK)
    assert other.communicate(timeout=60)[0] == "b''\n"


def test_one_that_says_nothing_is_let_go(runtime: Path, qtbot: QtBot) -> None:
    running = Running()
    heard: list[str] = []
    running.opened.connect(heard.append)
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.connect(str(runtime / SOCKET))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(runtime / SOCKET))
        connection.sendall(b"\xff")
    told: list[bool] = []
    thread = threading.Thread(target=lambda: told.append(hand_over(LINK)))
    thread.start()
    qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE)
    thread.join()
    assert (told, heard) == ([True], [LINK])
    silent.close()
    running.close()

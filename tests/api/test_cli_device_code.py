"""``twinhull enroll --device-code`` on a terminal, with a person who compares, declines or gives up."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twinhull_policy.api.types import GrantProgress
from twinhull_policy.errors import ErrorReport

from tests.support.cli import PROGRAM, ROOT, twinhull
from tests.support.standin_daemon import StandInDaemon

SHOWN = "0123 4567 89ab cdef 0123 4567 89ab cdef"
QUESTION = "same fingerprint of the server?"
PATIENCE = 60.0


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self) -> None:
        self.screen = ""
        self._near, far = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "enroll", "https://fleet.example", "--device-code"],
            stdin=far,
            stdout=far,
            stderr=far,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'client'}:{ROOT / 'policy'}", "TERM": "xterm"},
            start_new_session=True,
            # As a shell gives it to what runs in its foreground; a shell's background jobs ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(far)

    def until(self, text: str) -> None:
        """Read until the screen says it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert select.select([self._near], [], [], deadline - time.monotonic())[0], self.screen
            self.screen += os.read(self._near, 4096).decode(errors="replace")

    def until_it_reads(self) -> None:
        """Until it sleeps in read(2): a signal just before that would only count at the next key."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        deadline = time.monotonic() + PATIENCE
        while stat.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < deadline, self.screen
            time.sleep(0.01)

    def type(self, line: str) -> None:
        os.write(self._near, f"{line}\n".encode())

    def end(self) -> int:
        """The exit status; the screen has everything then."""
        try:
            while True:
                assert select.select([self._near], [], [], PATIENCE)[0], self.screen
                self.screen += os.read(self._near, 4096).decode(errors="replace")
        except OSError:  # EIO: nobody holds the other end any more (pty(7))
            return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self._near)


@contextmanager
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    try:
        yield opened
    finally:
        opened.close()


def names(standin: StandInDaemon) -> list[str]:
    return [name for name, _ in standin.calls]


def test_a_person_compares_and_is_let_in(standin: StandInDaemon) -> None:
    with terminal() as screen:
        screen.until(QUESTION)
        assert [
            part
            for part in ("BCDF-GHJK", SHOWN, "https://fleet.example:8444/grants", "█", "10 minutes")
            if part not in screen.screen
        ] == []
        assert names(standin) == ["begin_device_grant"]
        screen.type("y")
        assert screen.end() == 0
        assert "laptop-1 of example" in screen.screen
    assert set(standin.calls[1:]) == {("poll_device_grant", (SHOWN,))}


@pytest.mark.parametrize("answer", ["n", ""])
def test_a_person_who_does_not_agree_enrols_nothing(standin: StandInDaemon, answer: str) -> None:
    with terminal() as screen:
        screen.until(QUESTION)
        screen.type(answer)
        assert screen.end() == 4
        assert "TH-CLI-021" in screen.screen
    assert names(standin) == ["begin_device_grant"]


def test_giving_up_while_waiting_or_asked(standin: StandInDaemon) -> None:
    standin.grant_progress = [GrantProgress(wait_seconds=30.0)]
    with terminal() as screen:
        screen.until(QUESTION)
        screen.until_it_reads()
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 1
        assert "TH-CLI-018" in screen.screen
    assert names(standin) == ["begin_device_grant"]
    with terminal() as screen:
        screen.until(QUESTION)
        screen.type("y")
        screen.until("Ctrl-C")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 1
        assert "TH-CLI-018" in screen.screen
        assert "Traceback" not in screen.screen


def test_a_server_with_another_fingerprint_is_refused(standin: StandInDaemon) -> None:
    arguments = ("enroll", "https://fleet.example", "--device-code", "--server-fingerprint")
    done = twinhull(*arguments, "f" * 32, "--json")
    report = json.loads(done.stderr)
    assert (done.returncode, report["code"]) == (4, "TH-CLI-022")
    assert names(standin) == ["begin_device_grant"]
    done = twinhull(*arguments, SHOWN.upper().replace(" ", ":"), "--json", "--initiator", "desk 4")
    assert done.returncode == 0, done.stderr
    prompt, enrolment = map(json.loads, done.stdout.splitlines())
    assert (prompt["user_code"], enrolment["device_id"]) == ("BCDF-GHJK", "laptop-1")
    assert ("begin_device_grant", ("https://fleet.example", "desk 4")) in standin.calls


@pytest.mark.parametrize(
    ("code", "blame"), [("TH-ENR-010", 4), ("TH-ENR-011", 1), ("TH-ENR-012", 4), ("TH-ENR-203", 4)]
)
def test_how_it_can_end(standin: StandInDaemon, code: str, blame: int) -> None:
    standin.fail("poll_device_grant", ErrorReport(code, "It is over.", "Do this.", blame))
    done = twinhull("enroll", "https://fleet.example", "--device-code", "--server-fingerprint", SHOWN)
    assert (done.returncode, done.stderr.splitlines()[:2]) == (blame, ["It is over.", code])

"""Interrupted at any step, a re-run finishes the job; ``--down`` interrupted and run again leaves nothing.

These tests come first (conftest.py): the laptop that the last climb ends with is the one all others use.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest

from tests.support.laptop import PASSPHRASES, Laptop, wait_for
from tests.support.quickstart import Begun, Quickstart, traces

URL = "https://localhost:8443"
ENROL = "Enrol this laptop"
UP = ("--small", "--headless", "--yes")
DONE_ELSEWHERE = frozenset({"Install Debian packages", "Receive the golden images"})
"""Steps that may find their work done: a machine that runs these tests has the packages, and the images come
while the steps before are begun again and again."""
PASSED_BY = 3
"""Steps that may go uninterrupted: one that takes a moment is over before the signal meant for the one before
it has arrived."""
LITTLE = 0.4
"""Seconds into a step that the second SIGKILL comes."""
INTO_SECONDS = {"Make the Python environment": 5.0, "Create and boot both partitions": 12.0}
"""How far into its longest steps a climb is interrupted at most; they take several times as long."""
INTO_OTHERS = 1.5

Interruption = Callable[[Quickstart, Begun], None]


@pytest.fixture(scope="module")
def before() -> set[str]:
    """What is on the machine while no laptop is installed."""
    with Quickstart("--down") as run:
        assert run.end() == 0, run.output
    left = traces()
    assert not left
    return left


def climb(
    options: tuple[str, ...], *interruptions: Interruption, before: str = "", already: Iterable[str] = ()
) -> set[str]:
    """Interrupt each step in each of the ways, every time in a run of its own; then let one run finish.

    A step may get so far before it ends that the next run has nothing of it to do; then it is the turn of
    the one after it.

    Args:
        options: of the quickstart.
        interruptions: the ways.
        before: stop, for good, at the very beginning of the step with this title.
        already: titles of steps that an earlier climb interrupted.

    Returns:
        The titles of the steps that were interrupted.
    """
    interrupted = set(already)
    number = 1
    begun: Begun | None = Begun(0, 1, "")
    while begun is not None and number <= begun.total:
        for interruption in interruptions:
            with Quickstart(*options) as run:
                begun = run.until_step(number)
                if begun is None:
                    break
                number = begun.number
                if begun.title == before:
                    run.interrupt(signal.SIGKILL)
                    return interrupted | {before}
                interruption(run, begun)
                interrupted.add(begun.title)
        number += 1
    with Quickstart(*options) as run:
        assert run.end() == 0, run.output
    passed_by = run.titles() - interrupted - DONE_ELSEWHERE
    assert len(passed_by) <= PASSED_BY, passed_by
    return interrupted


def killed(after: float) -> Interruption:
    """SIGKILL so many seconds into a step."""

    def kill(run: Quickstart, begun: Begun) -> None:
        run.go_on(begun, after)
        assert run.interrupt(signal.SIGKILL) == -signal.SIGKILL

    return kill


def killed_anywhere(chance: Random) -> Interruption:
    """SIGKILL at the beginning of a step or a little later."""
    return lambda run, begun: killed(chance.choice((0.0, LITTLE)))(run, begun)


def asked(chance: Random) -> Interruption:
    """SIGTERM or SIGINT, somewhere in a step: the run says what to do and ends with the shell's status."""

    def ask(run: Quickstart, begun: Begun) -> None:
        run.go_on(begun, chance.uniform(0.0, INTO_SECONDS.get(begun.title, INTO_OTHERS)))
        number = chance.choice([signal.SIGTERM, signal.SIGINT])
        status = run.interrupt(number)
        if status != 0:  # else it had come to its end by itself
            assert status == 128 + number, run.output
            assert "Run the same command again to go on" in run.output
            assert "Traceback" not in run.output

    return ask


def assert_whole(laptop: Laptop) -> None:
    """Both partitions run, each with its own network, enrolled, under the pushed policy and no other."""
    status = wait_for(lambda: s if (s := laptop.status()).vpn.state == "up" else None, "the tunnel")
    assert {part.name: part.state for part in status.partitions} == {
        "corporate": "running",
        "personal": "running",
    }
    assert status.enrolment.connected
    assert not status.policy.last_refusal
    for partition, page in (
        ("corporate", "http://intranet.corp.example/"),
        ("personal", "http://www.example/"),
    ):
        guest = laptop.guest(partition)
        guest.wait_until_up()
        fetched = guest.run("/usr/bin/curl", "-sf", "--max-time", "30", page)
        assert fetched.status == 0, (partition, fetched.output)


@pytest.fixture
def kills(request: pytest.FixtureRequest, seed: int) -> list[Interruption]:
    """Each step is killed at its beginning and a little later with ``--long``; else at one of both."""
    if request.config.getoption("--long"):
        return [killed(0.0), killed(LITTLE)]
    return [killed_anywhere(Random(seed))]  # noqa: S311 - variety, not secrecy


def test_killed_at_every_step_and_run_again(before: set[str], kills: list[Interruption]) -> None:
    climb(UP, *kills)
    assert_whole(Laptop(""))


def test_taken_down_by_runs_that_are_killed_leaves_nothing(
    before: set[str], kills: list[Interruption]
) -> None:
    assert len(traces() - before) > 20, "there is no laptop to take down"
    climb(("--down",), *kills)
    assert traces() == before


def test_asked_to_stop_in_every_step_and_enrolled_by_an_answer_file(before: set[str], seed: int) -> None:
    """Half way up the laptop runs and belongs to nobody: it joins the fleet as one without a person does."""
    chance = Random(seed)  # noqa: S311 - variety, not secrecy
    laptop = Laptop("")
    interrupted = climb(UP, asked(chance), before=ENROL)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # the owner passes through it to the file
        enrol_by_answer_file(laptop, Path(directory) / "answers.json")
    climb(UP, asked(chance), already=interrupted)
    assert_whole(laptop)


def enrol_by_answer_file(laptop: Laptop, path: Path) -> None:
    """A first enrolment: both partitions are made, and answers that cannot work change nothing."""
    assert not laptop.status().enrolment.enrolled
    token = laptop.server("token", "new").strip()
    passphrases = {name: secrets.token_urlsafe(18) for name in ("corporate", "personal")}
    good = {"url": URL, "token": token} | {f"passphrase_{name}": made for name, made in passphrases.items()}
    for wrong, code, exit_status in (
        ({"url": "http://localhost:8443"}, "TH-CLI-010", 2),
        ({"url": "https://localhost:1"}, "TH-ENR-002", 1),
        ({"token": "th1.wrong"}, "TH-TRU-060", 2),
        ({"token": ".".join([token.rpartition(".")[0], "0" * 64])}, "TH-ENR-003", 4),
        ({"passphrase_personal": "short"}, "TH-CLI-013", 2),
        ({"passphrase_perzonal": "a name of no key"}, "TH-CLI-013", 2),
    ):
        refused = answered(laptop, path, good | wrong)
        sentence, said, next_step = refused.stderr.splitlines()
        assert (said, refused.returncode) == (code, exit_status), refused.stderr
        assert sentence.endswith(".")
        assert next_step
        assert not any(secret in refused.stdout + refused.stderr for secret in (token, *passphrases.values()))
        assert not laptop.status().enrolment.enrolled
    PASSPHRASES.mkdir(mode=0o700, exist_ok=True)
    for name, made in passphrases.items():
        (PASSPHRASES / name).write_text(made + "\n")
        (PASSPHRASES / name).chmod(0o600)
    done = answered(laptop, path, good)
    assert done.returncode == 0, done.stderr
    status = laptop.status()
    assert status.enrolment.enrolled
    assert status.policy.sequence == 1
    assert {part.name: part.state for part in status.partitions} == {
        "corporate": "stopped",
        "personal": "stopped",
    }
    devices = json.loads(laptop.server("device", "list", "--json"))
    assert [device["device_id"] for device in devices] == [status.enrolment.device_id]


def answered(laptop: Laptop, path: Path, answers: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``twinhull enroll URL --answers FILE`` as the owner."""
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(json.dumps(answers))
    shutil.chown(path, laptop.owner)
    return laptop.twinhull("enroll", answers["url"], "--answers", path)

"""A computer opened by its PIN: on the real core, with tpmd and a TPM in software; and each way out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot
from twinhull_client.gui.partition_card import PartitionCard
from twinhull_client.gui.unlock_form import CHIP_CHANGED, CHIP_LOCKED, CHIP_SHUT, LONGEST_SHOWN
from twinhull_hypervisor.storage.errors import NoChipSlot
from twinhull_hypervisor.storage.interface import VolumeState
from twinhull_hypervisor.storage.keys import FREE_TRIES, LONGEST_WAIT_SECONDS
from twinhull_hypervisor.storage.slots import Passphrase
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_hypervisor.tpm import errors as chip_errors
from twinhull_policy.api.types import UnlockInfo
from twinhull_policy.errors import ErrorReport
from twinhull_policy.names import Partition

from tests.gui.conftest import OpenWindow
from tests.gui.core_thread import RunningCore, running_core
from tests.support.core_laptop import CoreLaptop
from tests.support.demonstration import demonstration_status
from tests.support.hypervisor import QUICK, make_base
from tests.support.standin_daemon import StandInDaemon
from tests.support.swtpm import QUIET, SoftwareTpm, running_tpmd

WAIT_MS = 60_000
PHRASE, PIN, WRONG = "the first canary phrase", "canary-pin-2846", "canary-pin-2847"
BOOT, OTHER_BOOT = b"\x11" * 32, b"\x22" * 32
PERSONAL = Partition.PERSONAL


def enter(card: PartitionCard, secret: str) -> None:
    """Type it where it is asked for, and press return."""
    QTest.keyClicks(card.form.asking, secret)
    QTest.keyClick(card.form.asking, Qt.Key.Key_Return)


# -- on the real core --------------------------------------------------------------------------------------


@pytest.fixture
def tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftwareTpm]:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    with SoftwareTpm(tmp_path) as started:
        started.extend(7, BOOT)
        yield started


@pytest.fixture
def core(tmp_path: Path, tpm: SoftwareTpm, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCore]:
    """The real core, tpmd, and a personal computer that is off and opens by a passphrase and a PIN."""
    monkeypatch.setattr("twinhull_hypervisor.storage.base.for_this_machine", lambda: QUICK)

    def prepare(laptop: CoreLaptop) -> None:
        place = tmp_path / "made"
        place.mkdir()
        base = make_base(place)
        (place / "personal").mkdir()
        QemuLuksVolume(PERSONAL, place / "personal", cost=QUICK).create(base, 1, PHRASE.encode())
        shutil.copytree(place / "personal", laptop.paths.volume(PERSONAL))
        laptop.hypervisor.connection().lookupByName("twinhull-personal").destroy()

    with running_core(tmp_path, prepare) as running:
        laptop = running.laptop
        with running_tpmd(laptop.paths.tpmd_socket, tpm, tmp_path / "tpmd.log"):
            slots = laptop.core.key_slots
            running.do(slots.add_pin(PERSONAL, Passphrase.of(PHRASE.encode()), bytearray(PIN.encode())))
            yield running


def is_open(core: RunningCore) -> bool:
    return core.laptop.core.partitions._volumes[PERSONAL].state() is VolumeState.UNLOCKED


def asks_by(card: PartitionCard, qtbot: QtBot, way: str) -> None:
    """Wait until the card asks for a secret in this way, and takes one."""
    qtbot.waitUntil(
        lambda: card.form.asking.isVisible() and card.form.way == way and card.unlock.isEnabled(),
        timeout=WAIT_MS,
    )


def test_a_wrong_pin_says_how_many_are_left_until_the_passphrase_is_asked_for(
    core: RunningCore, tpm: SoftwareTpm, open_window: OpenWindow, qtbot: QtBot
) -> None:
    """The software TPM locks itself at three; we let the fourth wait."""
    card = open_window().home.partitions["personal"]
    asks_by(card, qtbot, "pin")
    said = []
    for wrong in range(1, FREE_TRIES + 1):
        enter(card, WRONG)
        counted = f"Wrong tries so far: {wrong}."
        assert not is_open(core)
        qtbot.waitUntil(lambda text=counted: text in card.form.tries.text(), timeout=WAIT_MS)  # type: ignore[misc]
        said.append(card.problem.sentence.text())
        assert card.form.pin.text() == ""
    assert [sentence.rpartition("this PIN")[2] for sentence in said] == [
        "; 2 wrong ones more, and it locks itself.",
        "; 1 wrong one more, and it locks itself.",
        ", and has locked itself.",
    ]
    asks_by(card, qtbot, "pin")  # the delay is over
    enter(card, PIN)
    qtbot.waitUntil(lambda: card.form.way == "passphrase", timeout=WAIT_MS)
    assert card.problem.sentence.text().startswith("The security chip takes no PIN for 1000 seconds")
    assert "Nothing is lost" in card.problem.next_step.text()
    assert "until the chip takes a PIN again" in card.problem.next_step.text()
    assert not is_open(core)
    tpm.tool("dictionarylockout", "--clear-lockout")
    card.form.other.click()
    asks_by(card, qtbot, "pin")
    enter(card, PIN)
    qtbot.waitUntil(lambda: is_open(core), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not card.form.isVisible(), timeout=WAIT_MS)


def test_a_chip_that_changed_is_told_and_the_passphrase_opens_it(
    core: RunningCore, tpm: SoftwareTpm, open_window: OpenWindow, qtbot: QtBot
) -> None:
    card = open_window().home.partitions["personal"]
    events: list[tuple[Callable[[], None], str]] = [
        (lambda: tpm.extend(7, OTHER_BOOT), "TH-VOL-026"),
        (tpm.clear, "TH-VOL-027"),
        (tpm.off, "TH-VOL-028"),
    ]
    for happens, code in events:
        happens()
        asks_by(card, qtbot, "pin")
        enter(card, PIN)
        qtbot.waitUntil(lambda: card.form.way == "passphrase", timeout=WAIT_MS)
        assert code in card.problem.next_step.text()
        assert ("twinhull disk add personal tpm" in card.problem.next_step.text()) == (code in CHIP_CHANGED)
        assert not card.form.tries.isVisible(), "no try was counted"
        if code != "TH-VOL-028":
            card.form.other.click()
    asks_by(card, qtbot, "passphrase")
    enter(card, PHRASE)
    qtbot.waitUntil(lambda: is_open(core), timeout=WAIT_MS)


# -- each step ---------------------------------------------------------------------------------------------


@pytest.fixture
def card(standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot) -> PartitionCard:
    """The personal computer's, locked, with a PIN."""
    standin.status = demonstration_status(personal="locked")
    tell(standin, UnlockInfo(pin=True, free_tries=FREE_TRIES))
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=WAIT_MS)
    return window.home.partitions["personal"]


def tell(standin: StandInDaemon, info: UnlockInfo) -> None:
    """Have the daemon say this of the personal volume."""
    standin.status = msgspec.structs.replace(
        standin.status,
        partitions=[
            msgspec.structs.replace(part, unlock=info) if part.name == "personal" else part
            for part in standin.status.partitions
        ],
    )


def test_the_pin_is_asked_for_and_goes_through_a_pipe(
    card: PartitionCard, standin: StandInDaemon, qtbot: QtBot
) -> None:
    assert (card.pin.isVisible(), card.passphrase.isVisible(), card.forgot.isVisible()) == (True, False, True)
    assert card.pin.echoMode() == QLineEdit.EchoMode.Password
    assert "PIN or your passphrase" in card.sentence.text()
    enter(card, PIN)
    qtbot.waitUntil(lambda: card.badge.text() == "Running", timeout=WAIT_MS)
    assert [call for call in standin.calls if call[0] in ("unlock_volume", "start_partition")] == [
        ("unlock_volume", ("personal", "tpm", PIN)),
        ("start_partition", ("personal", "")),
    ]
    assert card.pin.text() == ""


def test_the_passphrase_opens_it_too(card: PartitionCard, standin: StandInDaemon, qtbot: QtBot) -> None:
    QTest.keyClicks(card.pin, "half a")
    card.form.other.click()
    assert (card.pin.isVisible(), card.passphrase.isVisible(), card.pin.text()) == (False, True, "")
    assert card.form.other.text() == "Use the PIN"
    enter(card, PHRASE)
    qtbot.waitUntil(lambda: card.badge.text() == "Running", timeout=WAIT_MS)
    assert ("start_partition", ("personal", PHRASE)) in standin.calls
    assert not [call for call in standin.calls if call[0] == "unlock_volume"]


def test_without_a_pin_none_is_asked_for(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    standin.status = demonstration_status(personal="locked")
    window = open_window()
    qtbot.waitUntil(lambda: window.status is not None, timeout=WAIT_MS)
    form = window.home.partitions["personal"].form
    assert (form.pin.isVisible(), form.passphrase.isVisible(), form.other.isVisible()) == (False, True, False)


def test_a_delay_is_waited_for_and_counted_down(
    card: PartitionCard, standin: StandInDaemon, qtbot: QtBot
) -> None:
    until = time.time() + 3
    tell(standin, UnlockInfo(pin=True, wrong_tries=4, wait_until=until))
    standin.announce("partitions")
    qtbot.waitUntil(lambda: not card.unlock.isEnabled(), timeout=WAIT_MS)
    assert "The next one is taken in" in card.form.tries.text()
    enter(card, PIN)
    assert not [call for call in standin.calls if call[0] == "unlock_volume"], "nothing is sent meanwhile"
    qtbot.waitUntil(card.unlock.isEnabled, timeout=WAIT_MS)
    assert time.time() >= until - 0.1
    assert card.form.tries.text().endswith("After another one the wait is longer.")
    assert not card.form._timer.isActive(), "nothing wakes up any more"
    assert card.pin.text() == PIN, "what was typed is kept"


def test_no_clock_makes_anybody_wait_for_years(
    card: PartitionCard, standin: StandInDaemon, qtbot: QtBot
) -> None:
    tell(standin, UnlockInfo(pin=True, wrong_tries=20, wait_until=time.time() + 1e9))
    standin.announce("partitions")
    qtbot.waitUntil(lambda: "taken in 300 s" in card.form.tries.text(), timeout=WAIT_MS)
    assert LONGEST_SHOWN == LONGEST_WAIT_SECONDS


def test_a_wrong_pin_does_not_ask_for_the_passphrase(
    card: PartitionCard, standin: StandInDaemon, qtbot: QtBot
) -> None:
    standin.fail("unlock_volume", ErrorReport("TH-VOL-025", "Not this PIN.", "Try again.", 1))
    enter(card, WRONG)
    qtbot.waitUntil(card.problem.isVisible, timeout=WAIT_MS)
    assert (card.form.way, "Try again." in card.problem.next_step.text()) == ("pin", True)


def test_the_codes_are_the_services_own() -> None:
    wrong = {chip_errors.WrongPin.code, chip_errors.BadChipArgument.code}
    every = {
        kind.code for kind in vars(chip_errors).values() if isinstance(kind, type) and hasattr(kind, "code")
    }
    ours = {code for code in every if code.startswith("TH-VOL")}
    assert (ours - wrong) | {NoChipSlot.code} == CHIP_SHUT
    assert chip_errors.ChipLocked.code == CHIP_LOCKED
    assert {chip_errors.ChipMeasured.code, chip_errors.ChipCleared.code} == CHIP_CHANGED

"""A picture of every view of the desktop app, light and dark, and docs/screens.md that shows them.

    python -m tests.support.desktop_tour            regenerates docs/screens.md and docs/images/screens
    python -m tests.support.desktop_tour --to DIR   only the pictures, into DIR; QT_SCALE_FACTOR=2 for 200 %,
                                 --language de, --size 1440x900 (1x1: as small as it gets), --only home,log

The daemon is the stand-in over a private bus; both guests are real ones that paint a pattern (painter.py).
"""

from __future__ import annotations

import argparse
import os
import struct
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QImage, QKeyEvent, QPainter
from PySide6.QtWidgets import QApplication
from twinhull_client.gui.choices import Look
from twinhull_client.gui.errors import CopyDenied, FileNotKept
from twinhull_client.gui.exchange_file import examine_file
from twinhull_client.gui.exchange_text import examine
from twinhull_client.gui.immortal import keep_singletons
from twinhull_client.gui.language import LANGUAGES, SOURCE, speak
from twinhull_client.gui.pictures import remade
from twinhull_hypervisor.tpm.errors import ChipMeasured
from twinhull_policy.api.types import LeaseInfo, Log, SnapshotInfo, UnlockInfo, VpnInfo
from twinhull_policy.errors import ErrorReport
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical

from tests.support.demonstration import (
    demonstration_devices,
    demonstration_receipts,
    demonstration_status,
)
from tests.support.painter import connect, painting_guests
from tests.support.standin_daemon import StandInDaemon, standin_daemon
from tests.support.tour_window import SIZE, Scenes, Tour, everyday

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images" / "screens"
PAGE = ROOT / "docs" / "screens.md"
CTRL_ALT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
HEAD = """# The desktop app, view by view

Every picture is made by `python -m tests.support.desktop_tour` from the app itself, with a stand-in daemon
and two guests that paint a pattern of four quarters. Run it again after a change and look at what changed.
"""


def _fresh(tour: Tour) -> None:
    tour.standin.status = demonstration_status(enrolled=False)
    tour.standin.announce("everything")
    tour.until(tour.window.home.enrol.isVisible)


def _link(tour: Tour) -> None:
    tour.window.enrol_desk.open_link("twinhull:enroll?server=https%3A%2F%2Ffleet.example%3A8443")
    tour.window.client.refresh()
    tour.until(tour.window.home.enrol.linked.isVisible)


def _link_refused(tour: Tour) -> None:
    tour.window.home.enrol.drop.click()
    tour.window.enrol_desk.open_link("twinhull:enroll?server=https%3A%2F%2Ffleet.example&token=th1")
    tour.window.client.refresh()
    tour.until(tour.window.home.link_problem.isVisible)


def _code(tour: Tour) -> None:
    tour.window.home.link_problem.say(None)
    tour.window.home.enrol.address.setText("https://fleet.example:8443")
    tour.window.home.enrol.code.click()
    tour.until(tour.window.home.enrol.grant.isVisible)


def _home(tour: Tour) -> None:
    tour.window.home.enrol.cancelled.emit()
    tour.window.home.welcome.keep.emit()
    tour.shows()
    tour.window.show_view("home")


def _locked(tour: Tour) -> None:
    tour.shows(partitions=demonstration_status(corporate="locked", personal="absent").partitions)


def _pin(tour: Tour) -> None:
    status = demonstration_status(corporate="locked", personal="locked")
    told = UnlockInfo(pin=True, wrong_tries=1, free_tries=2)
    status.partitions[1] = msgspec.structs.replace(status.partitions[1], unlock=told)
    tour.shows(partitions=status.partitions)


def _pin_changed(tour: Tour) -> None:
    error = ChipMeasured(what="register PCR 7 differs")
    tour.window.home.partitions["personal"].fail(error)


def _lease(tour: Tour) -> None:
    reason = "It locks in 24 hours unless the server is heard of."
    tour.shows(lease=LeaseInfo(stage="warning", reason=reason))


def _portal(tour: Tour) -> None:
    reason = "This network wants somebody to sign in first."
    tour.shows(vpn=VpnInfo(state="connecting", reason=reason, portal="http://portal.lan/login"))


def _states(tour: Tour) -> None:
    kept = [("asked", "before the update"), ("asked", "tax return sent"), ("rollback", "before the update")]
    tour.standin.snapshots = [
        msgspec.convert(
            {
                "id": f"s-{n:08x}",
                "kind": kind,
                "name": name,
                "at": 1.79e9 + 90_000 * n,
                "bytes": 2_400_000_000,
            },
            SnapshotInfo,
        )
        for n, (kind, name) in enumerate(kept)
    ]
    tour.shows()
    tour.window.home.storage.states_wanted.emit("personal")
    tour.until(lambda: tour.window.side.snapshots.page.found is not None)


def _states_back(tour: Tour) -> None:
    tour.shows(partitions=demonstration_status(personal="locked").partitions)
    page = tour.window.side.snapshots.page
    page.wants("back", tour.standin.snapshots[0])


def _states_none(tour: Tour) -> None:
    tour.standin.snapshots = []
    tour.shows()
    tour.window.home.storage.states_wanted.emit("corporate")
    tour.until(lambda: tour.window.side.snapshots.page.found == [])


def _states_problem(tour: Tour) -> None:
    report = ErrorReport(
        "TH-DMN-008", "Something unexpected went wrong inside the Twinhull service.", "Report it.", 1
    )
    tour.standin.fail("list_snapshots", report)
    tour.window.home.storage.states_wanted.emit("corporate")
    tour.until(tour.window.side.snapshots.page.problem.isVisible)
    tour.standin.allow("list_snapshots")


def _policy_changed(tour: Tour) -> None:
    policy = example_policy()
    policy = msgspec.structs.replace(
        policy,
        lease=msgspec.structs.replace(policy.lease, offline_hours=48, action="wipe"),
        report=(*policy.report, "vpn") if "vpn" not in policy.report else ("vpn",),
        devices=policy.devices[1:],
    )
    info = msgspec.structs.replace(
        everyday().policy, sequence=4, sha256="cd" * 32, document=canonical(policy).decode()
    )
    tour.shows(policy=info)
    tour.window.home.news.buttons["policy"].click()


def _erased(tour: Tour) -> None:
    tour.window.side.news.policy.read.click()
    tour.standin.log = Log(entries=demonstration_receipts())
    tour.shows(partitions=demonstration_status(corporate="absent").partitions)
    tour.window.home.news.buttons["erased"].click()
    proof = tour.window.side.news.erased.proof
    looking = proof.text()
    tour.until(lambda: proof.text() != looking)


def _receipts(tour: Tour) -> None:
    tour.window.side.news.open_receipts()
    tour.until(lambda: bool(tour.window.side.news.receipts.found))


def _left(tour: Tour) -> None:
    status = demonstration_status(enrolled=False)
    tour.shows(
        enrolment=status.enrolment,
        policy=status.policy,
        partitions=demonstration_status(corporate="absent").partitions,
    )
    tour.window.show_view("home")


def _left_page(tour: Tour) -> None:
    tour.window.home.news.buttons["left"].click()


def _receipts_none(tour: Tour) -> None:
    tour.window.side.news.erased.read.click()
    tour.standin.log = Log(entries=[])
    tour.window.side.news.open_receipts()
    tour.until(lambda: tour.window.side.news.receipts.none.isVisible())


def _receipts_problem(tour: Tour) -> None:
    report = ErrorReport(
        "TH-DMN-008", "Something unexpected went wrong inside the Twinhull service.", "Report it.", 1
    )
    tour.standin.fail("get_log", report)
    tour.window.side.news.open_receipts()
    tour.until(tour.window.side.news.receipts.problem.isVisible)
    tour.standin.allow("get_log")
    tour.standin.log = StandInDaemon().log


def _recovery(tour: Tour) -> None:
    tour.shows()
    tour.window.home.storage.code_wanted.emit("personal")
    tour.until(lambda: bool(tour.window.side.recovery.page.state.text()))


def _recovery_wrong(tour: Tour) -> None:
    report = ErrorReport(
        "TH-VOL-001", "This passphrase does not open the volume of personal.", "Try again.", 1
    )
    tour.standin.fail("add_recovery_code", report)
    page = tour.window.side.recovery.page
    page.make.emit("not it")
    tour.until(page.problem.isVisible)
    tour.standin.allow("add_recovery_code")


def _recovery_words(tour: Tour) -> None:
    page = tour.window.side.recovery.page
    page.passphrase.setText("sesame")
    page.make_button.click()
    tour.until(page.words.isVisible)


def _recovery_check(tour: Tour) -> None:
    page = tour.window.side.recovery.page
    page.written.click()
    for field in page.asked.values():
        field.setText("walrus")
    page.compare.click()


def _recovery_forgotten(tour: Tour) -> None:
    tour.window.home.partitions["personal"].forgotten.emit("personal")
    tour.until(lambda: bool(tour.window.side.recovery.page.state.text()))


def _settings(tour: Tour) -> None:
    tour.shows()
    tour.window.act("settings")


def _settings_refused(tour: Tour) -> None:
    page = tour.window.side.settings
    page.choices.choose_phrase("walrus at teatime")
    page.choices.choose_look("personal", Look("green", "checks"))
    page.looks["corporate"].chosen.emit(Look("green", "stripes"))
    page.chords.record("home")
    page.chords.take(QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_L, CTRL_ALT))


def _settings_keys(tour: Tour) -> None:
    page = tour.window.side.settings
    page.area.ensureWidgetVisible(page.chords.changes["settings"])


def _settings_left(tour: Tour) -> None:
    page = tour.window.side.settings
    page.chords.stop()
    page.reset.click()
    page.left.emit()


def _device(tour: Tour) -> None:
    _settings_left(tour)
    tour.standin.devices = demonstration_devices()
    tour.shows()
    tour.window.show_view("devices")
    tour.until(lambda: tour.window.desk.panel.isVisible())


def _screen(view: str) -> Callable[[Tour], None]:
    def scene(tour: Tour) -> None:
        tour.standin.devices = []
        tour.standin.announce("devices")
        tour.until(lambda: not tour.window.desk.panel.isVisible())
        tour.window.show_view(view)
        tour.until(lambda: all(link.frame is not None for link in tour.window.links.values()))

    return scene


def _corner(tour: Tour) -> None:
    tour.window.show_view("corporate")
    tour.window.act("corner")


def _chords(tour: Tour) -> None:
    tour.window.chord_list.appear()


def _exchange(tour: Tour) -> None:
    tour.window.chord_list.hide()
    tour.window.exchange.choose()


def _exchange_read(tour: Tour) -> None:
    said = "<b>Invoice</b> 2026-114\nPlease pay to \u202eDE12 3456\u202c by Friday.\n"
    tour.window.exchange.panel.read("corporate", examine(said.encode()))


def _exchange_link(tour: Tour) -> None:
    said = "https://login.example.com@p\u0430ypal.example:8443/invoice/2026-114?from=mail"
    copied = examine(said.encode())
    if copied.link is None:
        raise AssertionError
    tour.window.exchange.panel.lead("corporate", copied.link)


def _exchange_picture(tour: Tour) -> None:
    """A drawing, in place of what a person would have copied."""
    image = QImage(520, 260, QImage.Format.Format_RGB32)
    image.fill(QColor("#f4efe4"))
    with QPainter(image) as painter:
        for n, colour in enumerate(("#2f6f8f", "#c2603a", "#6a8f3c", "#8a6fae")):
            painter.fillRect(40 + n * 115, 210 - n * 45, 80, 20 + n * 45, QColor(colour))
    rows = struct.pack("<II", 520, 260) + bytes(
        image.convertToFormat(QImage.Format.Format_RGBA8888).constBits()
    )
    tour.window.exchange.panel.look("corporate", remade(rows))


def _exchange_file(tour: Tour) -> None:
    said = "Minutes, 12 November\n\nPresent: everybody.\n1. The new laptops\n"
    tour.window.exchange.panel.hand("corporate", examine_file(said.encode(), b"Minutes of November.txt"))


def _exchange_file_disguised(tour: Tour) -> None:
    program = b"\x7fELF" + bytes(2_400_000)
    tour.window.exchange.panel.hand(
        "personal", examine_file(program, "../Invoice \u202e2026-114.pdf".encode())
    )


def _exchange_file_moving(tour: Tour) -> None:
    tour.window.exchange.panel.bring("corporate", 1_400_000, 2_400_000)


def _exchange_file_kept(tour: Tour) -> None:
    tour.window.exchange.panel.kept("corporate")


def _exchange_file_refused(tour: Tour) -> None:
    tour.window.exchange.panel.fail("corporate", FileNotKept(partition="personal"))


def _exchange_refused(tour: Tour) -> None:
    reason = "The policy does not let this cross."
    tour.window.exchange.panel.fail("corporate", CopyDenied(reason=reason))


def _log(tour: Tour) -> None:
    tour.window.exchange.cancel()
    tour.window.home.policy.sent_wanted.emit()
    tour.until(lambda: tour.window.log.table.rowCount() > 0)


def _lock(tour: Tour) -> None:
    tour.window.lock()
    tour.until(tour.window.lock_cover.button.isVisible)


SCENES: Scenes = {
    "fresh": ("A laptop that belongs to no company yet: connect it by token, file or code.", _fresh),
    "link": ("A link was opened: its address is shown first, and nothing was sent.", _link),
    "link-refused": ("A link that holds a token is refused.", _link_refused),
    "code": ("Let in by a code: the fingerprints are compared first.", _code),
    "home": ("Home: both computers, the connection, protection, what the employer controls and sees.", _home),
    "locked": ("One computer to be unlocked, one to be set up.", _locked),
    "pin": ("Where the security chip has a PIN it is asked for; wrong tries are told.", _pin),
    "pin-changed": ("The security chip keeps its key back: what opens it all the same.", _pin_changed),
    "lease": ("The lease is about to end.", _lease),
    "portal": ("A network that wants somebody to sign in first.", _portal),
    "states": ("Earlier states of one computer, from the storage card on Home.", _states),
    "states-back": ("Going back is asked once; a locked computer wants its passphrase.", _states_back),
    "states-none": ("Nothing is kept yet.", _states_none),
    "states-problem": ("What is kept could not be read.", _states_problem),
    "policy-changed": ("The company's rules are others: what is different for you.", _policy_changed),
    "erased": ("The corporate computer was erased: what is gone, and what is as it was.", _erased),
    "receipts": ("Receipts: what each says, and its exact bytes to be kept.", _receipts),
    "left": ("This laptop has left the company; it stays on Home until it was read.", _left),
    "left-page": ("What became of everything when the company was left.", _left_page),
    "receipts-none": ("No receipts yet.", _receipts_none),
    "receipts-problem": ("The receipts could not be had.", _receipts_problem),
    "recovery": ("A recovery code is made on the first day, from the storage card on Home.", _recovery),
    "recovery-wrong": ("Why there is no code, where it was asked for.", _recovery_wrong),
    "recovery-words": ("The words, once, for paper; leaving the page forgets them.", _recovery_words),
    "recovery-check": ("Three of them are asked back before it is done with.", _recovery_check),
    "recovery-forgotten": ("With the code a new passphrase is set.", _recovery_forgotten),
    "settings": ("Settings: phrase, colours, patterns, language, key combinations.", _settings),
    "settings-refused": ("What both computers would have is refused; the rest is saved.", _settings_refused),
    "settings-keys": (
        "A combination is recorded by being pressed; one that is taken is refused.",
        _settings_keys,
    ),
    "devices": ("Devices: where they are, and one that waits for an answer above every page.", _device),
    "corporate": ("The corporate computer under its strip.", _screen("corporate")),
    "both": ("Side by side, each under a strip of its own.", _screen("both")),
    "corner": ("The other one small in the corner; a click changes them.", _corner),
    "chords": ("The laptop's own key combinations, while Ctrl and Alt are held.", _chords),
    "exchange": ("Copy from one computer to the other: which way.", _exchange),
    "exchange-read": ("What would cross is read first; what nobody would see is shown.", _exchange_read),
    "exchange-link": (
        "Of an address, where it leads is seen first, and what hides that.",
        _exchange_link,
    ),
    "exchange-picture": ("A picture is seen first, too, as it was made anew on the host.", _exchange_picture),
    "exchange-file": (
        "Of a file its name, what it is by its content, its size, and the beginning of a text.",
        _exchange_file,
    ),
    "exchange-file-disguised": ("What hides what it is is told.", _exchange_file_disguised),
    "exchange-file-moving": ("While it crosses it can be stopped.", _exchange_file_moving),
    "exchange-file-kept": ("Where it is then.", _exchange_file_kept),
    "exchange-file-refused": ("The other computer did not keep it.", _exchange_file_refused),
    "exchange-refused": ("What the policy does not let cross.", _exchange_refused),
    "log": ("What was reported to the company, to the byte.", _log),
    "lock": ("Locked, on a desktop without a lock of its own.", _lock),
}
UNREACHABLE = ("unreachable", "The service does not answer yet.")


def page() -> str:
    """docs/screens.md."""
    captions = dict([UNREACHABLE]) | {name: caption for name, (caption, _scene) in SCENES.items()}
    parts = [HEAD]
    for name, caption in captions.items():
        parts.append(f"## {caption}\n\n![light](images/screens/{name}-light.png)\n")
        parts.append(f"![dark](images/screens/{name}-dark.png)\n")
    return "\n".join(parts)


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def main() -> None:
    """Make the pictures, and the page unless they go elsewhere."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path)
    parser.add_argument("--language", choices=LANGUAGES, default=SOURCE)
    parser.add_argument("--only", type=lambda text: frozenset(text.split(",")), default=frozenset())
    parser.add_argument("--size", type=_size, default=SIZE, metavar="WIDTHxHEIGHT")
    arguments = parser.parse_args()
    folder = arguments.to
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    keep_singletons()
    app = QApplication(["twinhull"])
    speak(app, arguments.language)
    (folder or IMAGES).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sockets = stack.enter_context(painting_guests(work))
        standin = stack.enter_context(standin_daemon(work))
        standin.display = lambda name: connect(sockets[name])
        for theme in ("light", "dark"):
            Tour(
                standin, theme, folder or IMAGES, work / f"{theme}.ini", arguments.size, arguments.only
            ).lead(SCENES)
    app.processEvents()
    if folder is None:
        PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()

"""A picture of every view of the desktop app, light and dark, and docs/screens.md that shows them.

    python -m tests.support.desktop_tour            regenerates docs/screens.md and docs/images/screens
    python -m tests.support.desktop_tour --to DIR   only the pictures, into DIR; QT_SCALE_FACTOR=2 for 200 %,
                                                    --language de, --size 1440x900 (1x1: as small as it gets)

The daemon is the stand-in over a private bus; both guests are real ones that paint a pattern (painter.py).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
from PySide6.QtCore import QDeadlineTimer, QEventLoop, QSettings
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from twinhull_client.gui.client import DaemonClient
from twinhull_client.gui.errors import CopyDenied
from twinhull_client.gui.exchange_text import examine
from twinhull_client.gui.immortal import keep_singletons
from twinhull_client.gui.language import LANGUAGES, SOURCE, speak
from twinhull_client.gui.window import MainWindow
from twinhull_policy.api.types import LeaseInfo, SnapshotInfo, Status, VpnInfo
from twinhull_policy.errors import ErrorReport
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical

from tests.support.demonstration import demonstration_devices, demonstration_status
from tests.support.painter import connect, painting_guests
from tests.support.standin_daemon import StandInDaemon, standin_daemon

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images" / "screens"
PAGE = ROOT / "docs" / "screens.md"
SIZE = (1200, 760)
PATIENCE_MS = 20_000
REST_MS = 700
"""How long the window rests before each picture: a resized guest has painted itself anew by then."""
HEAD = """# The desktop app, view by view

Every picture is made by `python -m tests.support.desktop_tour` from the app itself, with a stand-in daemon
and two guests that paint a pattern of four quarters. Run it again after a change and look at what changed.
"""


class Tour:
    """One window, led through its views."""

    def __init__(
        self,
        standin: StandInDaemon,
        theme: str,
        folder: Path,
        settings: Path,
        size: tuple[int, int] = SIZE,
    ) -> None:
        self.standin, self.theme, self.folder = standin, theme, folder
        standin.status = _everyday()
        standin.devices = []
        self.window = MainWindow(DaemonClient(), QSettings(str(settings), QSettings.Format.IniFormat), theme)
        self.window.resize(*size)
        self.window.show()

    def until(self, done: Callable[[], bool]) -> None:
        """Let the app work until something is so. Raises TimeoutError after PATIENCE_MS."""
        deadline = QDeadlineTimer(PATIENCE_MS)
        while not done():
            if deadline.hasExpired():
                raise TimeoutError("the desktop app did not get there")
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)

    def take(self, name: str) -> None:
        """Let everything come to rest, until two pictures in a row are alike, and keep the last."""
        before, now = QImage(), self._rested()
        end = QDeadlineTimer(PATIENCE_MS)
        while before != now and not end.hasExpired():
            before, now = now, self._rested()
        now.save(str(self.folder / f"{name}-{self.theme}.png"))

    def _rested(self) -> QImage:
        self.until(QDeadlineTimer(REST_MS).hasExpired)
        return self.window.grab().toImage()

    def shows(self, **changes: object) -> None:
        """Have the daemon report this, and wait until it is shown."""
        self.standin.status = msgspec.structs.replace(_everyday(), **changes)
        wanted = self.standin.status
        self.standin.announce("everything")
        self.until(lambda: self.window.status == wanted)

    def lead(self) -> None:
        """Through every view of VIEWS' table below."""
        window = self.window
        self.take("unreachable")
        window.client.start()
        self.until(lambda: window.status is not None)
        for name, (_caption, scene) in SCENES.items():
            scene(self)
            self.take(name)
        window.close()
        window.deleteLater()


def _everyday() -> Status:
    status = demonstration_status()
    document = canonical(example_policy()).decode()
    return msgspec.structs.replace(status, policy=msgspec.structs.replace(status.policy, document=document))


def _fresh(tour: Tour) -> None:
    tour.standin.status = demonstration_status(enrolled=False)
    tour.standin.announce("everything")
    tour.until(tour.window.home.enrol.isVisible)


def _code(tour: Tour) -> None:
    tour.window.home.enrol.address.setText("https://fleet.example:8443")
    tour.window.home.enrol.code.click()
    tour.until(tour.window.home.enrol.grant.isVisible)


def _home(tour: Tour) -> None:
    tour.window.home.enrol.cancelled.emit()
    tour.shows()
    tour.window.show_view("home")


def _locked(tour: Tour) -> None:
    tour.shows(partitions=demonstration_status(corporate="locked", personal="absent").partitions)


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
    tour.until(lambda: tour.window.snapshots.page.found is not None)


def _states_back(tour: Tour) -> None:
    tour.shows(partitions=demonstration_status(personal="locked").partitions)
    page = tour.window.snapshots.page
    page.wants("back", tour.standin.snapshots[0])


def _states_none(tour: Tour) -> None:
    tour.standin.snapshots = []
    tour.shows()
    tour.window.home.storage.states_wanted.emit("corporate")
    tour.until(lambda: tour.window.snapshots.page.found == [])


def _states_problem(tour: Tour) -> None:
    report = ErrorReport(
        "TH-DMN-008", "Something unexpected went wrong inside the Twinhull service.", "Report it.", 1
    )
    tour.standin.fail("list_snapshots", report)
    tour.window.home.storage.states_wanted.emit("corporate")
    tour.until(tour.window.snapshots.page.problem.isVisible)
    tour.standin.allow("list_snapshots")


def _device(tour: Tour) -> None:
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
    tour.window.exchange.panel.read("corporate", examine(said.encode()), link=False)


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


SCENES: dict[str, tuple[str, Callable[[Tour], None]]] = {
    "fresh": ("A laptop that belongs to no company yet: connect it by token, file or code.", _fresh),
    "code": ("Let in by a code: the fingerprints are compared first.", _code),
    "home": ("Home: both computers, the connection, protection, what the employer controls and sees.", _home),
    "locked": ("One computer to be unlocked, one to be set up.", _locked),
    "lease": ("The lease is about to end.", _lease),
    "portal": ("A network that wants somebody to sign in first.", _portal),
    "states": ("Earlier states of one computer, from the storage card on Home.", _states),
    "states-back": ("Going back is asked once; a locked computer wants its passphrase.", _states_back),
    "states-none": ("Nothing is kept yet.", _states_none),
    "states-problem": ("What is kept could not be read.", _states_problem),
    "devices": ("Devices: where they are, and one that waits for an answer above every page.", _device),
    "corporate": ("The corporate computer under its strip.", _screen("corporate")),
    "both": ("Side by side, each under a strip of its own.", _screen("both")),
    "corner": ("The other one small in the corner; a click changes them.", _corner),
    "chords": ("The laptop's own key combinations, while Ctrl and Alt are held.", _chords),
    "exchange": ("Copy from one computer to the other: which way.", _exchange),
    "exchange-read": ("What would cross is read first; what nobody would see is shown.", _exchange_read),
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
            Tour(standin, theme, folder or IMAGES, work / f"{theme}.ini", arguments.size).lead()
    app.processEvents()
    if folder is None:
        PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()

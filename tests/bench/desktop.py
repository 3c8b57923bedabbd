"""What the desktop app costs, against what there is without it: ``python -m tests.bench.desktop``.

Three comparisons, each by turns in one run. The first window of the app, from the start of its process until
it is painted, against a window of PySide6's with one label; the memory of both then. A small rectangle that a
guest changed against a whole frame, from SPICE's copy to the widget's picture. Processor time and wake-ups of
the app with a hidden window and a service that answers, against a hidden window of PySide6's. Off screen, so
without a compositor. Prints JSON: medians and ratios.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 1920, 1080
SMALL = 64
"""Side of the rectangle, pixels: an icon, or a word that was typed."""
IN_A_ROW = 10
"""Changes of one kind before it is the other's turn: a guest that types or scrolls makes them so."""
CHILD_SECONDS = 300.0
HIDDEN_ROUNDS = 3


def main() -> None:
    """Print the figures of one run, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=60, help="of each kind")
    parser.add_argument("--idle", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--child", choices=CHILDREN)
    parser.add_argument("--began", type=float, default=0.0)
    chosen = parser.parse_args()
    if chosen.child:
        CHILDREN[chosen.child](chosen)
        return
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        result = {
            "first_window": first_window(chosen.rounds, work),
            "damage": run("damage", work, "--frames", str(chosen.frames)),
            "hidden": hidden(chosen.idle, work),
        }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def run(child: str, work: Path, *more: str, bus: str = "unix:path=/nonexistent") -> dict[str, float]:
    """What one process has measured of itself."""
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "QT_LOGGING_RULES": "*=false",
        "DBUS_SYSTEM_BUS_ADDRESS": bus,
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "XDG_CONFIG_HOME": str(work),
    }
    command = [sys.executable, "-m", "tests.bench.desktop", "--child", child, *more]
    command += ["--began", repr(time.monotonic())]
    done = subprocess.run(
        command, env=environment, check=True, timeout=CHILD_SECONDS, stdout=subprocess.PIPE, text=True
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def first_window(rounds: int, work: Path) -> dict[str, float]:
    """Seconds and memory until a window is there, of both."""
    found: dict[str, list[dict[str, float]]] = {"bare": [], "app": []}
    for child in found:
        run(child, work)  # what is read from the disk for the first time is in memory now
    for _ in range(rounds):
        for child, runs in found.items():
            runs.append(run(child, work))
    return _compared(found, ("seconds", "rss_mib", "pss_mib"))


def hidden(seconds: float, work: Path) -> dict[str, float]:
    """Processor time and wake-ups a second of both, the app's with a service that answers on a real bus."""
    from tests.support.standin_daemon import standin_daemon

    found: dict[str, list[dict[str, float]]] = {"bare": [], "app": []}
    with standin_daemon(work):
        bus = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
        for _ in range(HIDDEN_ROUNDS):
            for side, runs in found.items():
                runs.append(run(f"hidden-{side}", work, "--idle", str(seconds), bus=bus))
    return _compared(found, ("cpu_ms_per_s", "wakeups_per_s"))


def _compared(found: dict[str, list[dict[str, float]]], what: tuple[str, ...]) -> dict[str, float]:
    result: dict[str, float] = {}
    for name in what:
        bare, app = (statistics.median(each[name] for each in found[side]) for side in ("bare", "app"))
        result |= {f"bare_{name}": round(bare, 3), f"app_{name}": round(app, 3)}
        if bare:
            result[f"{name}_ratio"] = round(app / bare, 2)
    return result


# -- the processes -----------------------------------------------------------------------------------------


def _tell(answer: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # how it ends is not measured


def _bare(_chosen: argparse.Namespace) -> tuple[Any, Any]:
    from PySide6.QtWidgets import QApplication, QLabel, QMainWindow

    app = QApplication(["bare"])
    window = QMainWindow()
    window.setCentralWidget(QLabel("Hello"))
    window.resize(1200, 760)
    return app, window


def _app(_chosen: argparse.Namespace) -> tuple[Any, Any]:
    """As ``gui.main`` makes it."""
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication
    from twinhull_client.gui.client import DaemonClient
    from twinhull_client.gui.immortal import keep_singletons
    from twinhull_client.gui.language import speak
    from twinhull_client.gui.window import MainWindow

    keep_singletons()
    app = QApplication(["twinhull"])
    speak(app, "en")
    window = MainWindow(DaemonClient(), QSettings("Twinhull", "Bench"), "light")
    window.resize(1200, 760)
    return app, window


def _first(made: Callable[[argparse.Namespace], tuple[Any, Any]]) -> Callable[[argparse.Namespace], None]:
    def child(chosen: argparse.Namespace) -> None:
        app, window = made(chosen)
        window.show()
        while not window.windowHandle().isExposed():
            app.processEvents()
        app.processEvents()  # the exposed window is painted
        seconds = time.monotonic() - chosen.began
        rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
        memory = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in rollup[1:]}
        _tell({"seconds": seconds, "rss_mib": memory["Rss"], "pss_mib": memory["Pss"]})

    return child


def _hidden(made: Callable[[argparse.Namespace], tuple[Any, Any]]) -> Callable[[argparse.Namespace], None]:
    def child(chosen: argparse.Namespace) -> None:
        from PySide6.QtCore import QTimer

        app, window = made(chosen)
        window.show()
        if hasattr(window, "client"):
            window.client.start()
            while window.status is None:
                app.processEvents()
        window.hide()
        before: list[tuple[float, float, int]] = []

        def begin() -> None:
            before.append((time.monotonic(), time.process_time(), _wakeups()))
            QTimer.singleShot(round(chosen.idle * 1000), end)

        def end() -> None:
            at, cpu, woken = before[0]
            took = time.monotonic() - at
            _tell(
                {
                    "cpu_ms_per_s": 1000 * (time.process_time() - cpu) / took,
                    "wakeups_per_s": (_wakeups() - woken) / took,
                }
            )

        QTimer.singleShot(3000, begin)  # what the last page still had to do is done
        app.exec()

    return child


def _wakeups() -> int:
    """How often a thread of this process has waited for something and gone on (proc(5), status)."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def _damage(chosen: argparse.Namespace) -> None:
    """Both kinds by turns: the viewer's copy, then the widget's picture of the same memory."""
    from PySide6.QtWidgets import QApplication
    from twinhull_client.gui.frame import map_frame
    from twinhull_client.gui.screen import GuestScreen
    from twinhull_client.gui.viewer_link import ViewerLink
    from twinhull_client.viewer import protocol
    from twinhull_client.viewer.canvas import Canvas

    app = QApplication(["damage"])
    source = ctypes.create_string_buffer(os.urandom(WIDTH * 4) * HEIGHT)
    canvas = Canvas(WIDTH, HEIGHT, ctypes.addressof(source), WIDTH * 4)
    link = ViewerLink("corporate")
    screen = GuestScreen(link, "guest")
    screen.resize(WIDTH, HEIGHT)
    screen.show()
    link.frame = map_frame(protocol.Frame(WIDTH, HEIGHT, canvas.stride), os.dup(canvas.fd))
    link.frame_changed.emit()
    app.processEvents()
    spent: dict[str, list[float]] = {"rectangle": [], "frame": []}
    rectangle, frame = (SMALL, SMALL), (WIDTH, HEIGHT)
    turns = [("rectangle", rectangle)] * IN_A_ROW + [("frame", frame)] * IN_A_ROW
    for turn in range(max(chosen.frames // IN_A_ROW, 1)):
        for n, (kind, size) in enumerate(turns):
            step = turn * len(turns) + n
            rect = ((step * 97) % (WIDTH - size[0] + 1), (step * 53) % (HEIGHT - size[1] + 1), *size)
            began = time.process_time()
            canvas.invalidate(*rect)
            told = canvas.take_damage()
            if told is None:
                raise AssertionError
            link.damaged.emit(link.frame.damaged(told))
            app.processEvents()
            spent[kind].append(time.process_time() - began)
    small, whole = (1000 * statistics.median(spent[kind]) for kind in ("rectangle", "frame"))
    _tell({"rectangle_ms": round(small, 3), "frame_ms": round(whole, 3), "ratio": round(small / whole, 3)})


CHILDREN: dict[str, Callable[[argparse.Namespace], None]] = {
    "bare": _first(_bare),
    "app": _first(_app),
    "hidden-bare": _hidden(_bare),
    "hidden-app": _hidden(_app),
    "damage": _damage,
}

if __name__ == "__main__":
    main()

"""The viewer's confinement, and input and pixels through real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from twinhull_client.gui.sandbox import PYTHON, command

from tests.gui.conftest import OpenWindow
from tests.support.standin_daemon import StandInDaemon

CLIENT = Path(__file__).resolve().parents[2] / "client"

LOOK_AROUND = """
import os, socket
assert sorted(os.listdir("/")) == ["app", "dev", "lib", "lib64", "proc", "tmp", "usr"], os.listdir("/")
assert set(os.environ) <= {"HOME", "PWD", "GST_REGISTRY_FORK", "LC_CTYPE"}, os.environ
assert [name for _, name in socket.if_nameindex()] == ["lo"]
status = open("/proc/self/status").read()
assert "CapEff:\\t0000000000000000" in status and "NoNewPrivs:\\t1" in status
assert len([name for name in os.listdir("/proc") if name.isdigit()]) <= 2
for path in ("/usr/x", "/app/x", "/x/y"):
    try:
        open(path, "w")
    except OSError:
        continue
    raise AssertionError(path)
"""

GIVE_UP = """
import errno, os, socket
from twinhull_client.viewer.syscalls import confine
os.open("/dev/null", os.O_WRONLY)
confine()
for attempt in (
    os.fork,
    lambda: os.open("/dev/null", os.O_WRONLY),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: socket.socket(socket.AF_UNIX),
    lambda: socket.socket(socket.AF_INET),
    lambda: os.kill(os.getppid(), 0),
    lambda: os.unlink("/nonexistent"),
):
    try:
        attempt()
    except OSError as error:
        assert error.errno == errno.EPERM, error
    else:
        os._exit(9)
"""

PAINTER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import socket
from twinhull_client.viewer import canvas, protocol as p
s = socket.socket(fileno=0)
def fill(colour):
    os.pwrite(fd, bytes.fromhex(colour) * (64 * 48), 0)
fd = canvas.sealed_memory("painted", 64 * 48 * 4)
fill(sys.argv[2])
p.send(s, p.Frame(64, 48, 256), fd)
while True:
    message, _ = p.receive(s, p.FROM_APP)
    if message == p.Key(0x1E, True):
        fill(sys.argv[3])
        p.send(s, p.Damage(0, 0, 64, 48))
"""
"""Paints one colour (bytes BGRx), and another once the key A came."""


def test_the_sandbox_is_an_empty_world() -> None:
    argv = command()
    prefix = argv[: argv.index("--") + 1]
    done = subprocess.run(
        [*prefix, PYTHON, "-I", "-c", LOOK_AROUND], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_filter_refuses_the_rest_of_the_kernel() -> None:
    done = subprocess.run(
        [PYTHON, "-c", GIVE_UP], cwd=CLIENT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_pixels_and_keys_stay_with_their_partition(
    standin: StandInDaemon, open_window: OpenWindow, qtbot: QtBot
) -> None:
    window = open_window()
    colours = {"corporate": ("0000ff00", "00ff0000"), "personal": ("ff000000", "ffff0000")}
    for name, pair in colours.items():  # the first status, which starts viewers, has not been handled yet
        window.links[name].argv = [sys.executable, "-c", PAINTER, str(CLIENT), *pair]
    window.show_view("both")

    def seen(name: str) -> set[str]:
        image = window.screens[name].grab().toImage()
        points = [(image.width() * x // 8, image.height() // 2) for x in range(1, 8)]
        return {image.pixelColor(x, y).name() for x, y in points}

    red, green, blue = QColor("#ff0000").name(), QColor("#00ff00").name(), QColor("#0000ff").name()
    qtbot.waitUntil(lambda: seen("corporate") == {red} and seen("personal") == {blue}, timeout=20000)
    QTest.keyClick(window.screens["corporate"], Qt.Key.Key_A)
    qtbot.waitUntil(lambda: seen("corporate") == {green}, timeout=20000)
    assert seen("personal") == {blue}
    window.links["personal"].stop()
    assert blue not in seen("personal")
    assert green not in seen("personal")

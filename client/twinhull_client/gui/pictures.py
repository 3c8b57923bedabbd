"""A picture that a guest has copied, made anew: decoded in a sandbox, and only its pixels taken from there.

The sandbox has no network, no file but Python's and Qt's own, and one picture; it lives for that. What comes
out is two numbers and so many bytes, which are pixels whatever they are, and a PNG is made of them here. So
the one that crosses has no byte of the guest's: no metadata, no malformed chunk, nothing after its end.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QProcess, Qt, QTimer, Signal
from PySide6.QtGui import QImage
from twinhull_policy.errors import TwinhullError
from twinhull_policy.exchange import IMAGE_BYTES, ExchangeFacts

from twinhull_client.gui import picture_child
from twinhull_client.gui.errors import NotAPicture, TooMuchCopied
from twinhull_client.gui.sandbox import BWRAP

PATIENCE_MS = 15_000
"""Longest a picture may take to be made anew; what takes longer is given up."""
GONE_MS = 10_000
HEADER = struct.Struct("<II")
MOST_OUTPUT = HEADER.size + 4 * picture_child.MOST_PIXELS
"""Most that is read from the sandbox, bytes; one that goes on writing is ended."""
INSIDE = "/app/picture_child.py"


@dataclass(frozen=True)
class Picture:
    """A picture that may be shown and asked about.

    Attributes:
        content: the PNG that crosses, made here.
        image: the same, to be shown.
    """

    content: bytes
    image: QImage

    def questions(self, way: Literal["to_corporate", "from_corporate"]) -> tuple[ExchangeFacts, ...]:
        """What to ask of the policy."""
        size = len(self.content)
        return (ExchangeFacts(way=way, kind="clipboard", size_bytes=size, type="image/png"),)


def command() -> list[str]:
    """The argument list that runs the child in its sandbox (bwrap(1))."""
    return [
        BWRAP,
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        *("--cap-drop", "ALL"),
        "--clearenv",
        *("--ro-bind", "/usr", "/usr"),
        *("--ro-bind", sys.prefix, sys.prefix),
        *("--symlink", "usr/lib", "/lib"),
        *("--symlink", "usr/lib64", "/lib64"),
        *("--proc", "/proc"),
        *("--dev", "/dev"),
        *("--ro-bind", str(Path(picture_child.__file__)), INSIDE),
        *("--remount-ro", "/"),
        *("--chdir", "/"),
        *("--hostname", "picture"),
        "--",
        *(sys.executable, "-I", "-B", INSIDE),
    ]


def remade(untrusted_pixels: bytes) -> Picture:
    """The picture of what the child has written. Raises NotAPicture or TooMuchCopied."""
    if len(untrusted_pixels) < HEADER.size:
        raise NotAPicture
    width, height = HEADER.unpack_from(untrusted_pixels)
    rows = untrusted_pixels[HEADER.size :]
    sides = 1 <= width <= picture_child.MOST_SIDE and 1 <= height <= picture_child.MOST_SIDE
    if not sides or width * height > picture_child.MOST_PIXELS or len(rows) != width * height * 4:
        raise NotAPicture
    image = QImage(rows, width, height, width * 4, QImage.Format.Format_RGBA8888).copy()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not image.save(buffer, "PNG"):  # type: ignore[call-overload]  # PySide6's types want bytes, Qt wants text
        raise NotAPicture
    content = bytes(data.data())
    if len(content) > IMAGE_BYTES:
        raise TooMuchCopied(limit=IMAGE_BYTES // 1024)
    return Picture(content, image)


class PictureMaker(QObject):
    """Makes one picture at a time anew; the one before is given up. The GUI's thread never waits."""

    _made = Signal(object)

    def __init__(self, parent: QObject | None = None, argv: list[str] | None = None) -> None:
        super().__init__(parent)
        self.argv = argv or command()
        self._process: QProcess | None = None
        self._output = bytearray()
        self._job = 0
        self._done: Callable[[Picture], None] = lambda _picture: None
        self._failed: Callable[[TwinhullError], None] = lambda _error: None
        self._timer = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._timer.timeout.connect(self._give_up)
        self._made.connect(self._on_made, Qt.ConnectionType.QueuedConnection)

    def make(
        self, untrusted_png: bytes, done: Callable[[Picture], None], failed: Callable[[TwinhullError], None]
    ) -> None:
        """Start; one of ``done`` and ``failed`` is called, unless it is stopped before."""
        self.stop()
        self._done, self._failed = done, failed
        process = QProcess(self)
        process.setStandardErrorFile(QProcess.nullDevice())
        process.readyReadStandardOutput.connect(lambda: self._read(process))
        process.finished.connect(lambda: self._finished(process))
        process.errorOccurred.connect(
            lambda error: self._finished(process) if error == QProcess.ProcessError.FailedToStart else None
        )
        self._process = process
        process.start(self.argv[0], self.argv[1:])
        process.write(untrusted_png)
        process.closeWriteChannel()
        self._timer.start()

    def _read(self, process: QProcess) -> None:
        if process is self._process:
            self._output += process.readAllStandardOutput().data()
            if len(self._output) > MOST_OUTPUT:
                self._give_up()

    def _finished(self, process: QProcess) -> None:
        if process is not self._process:
            return
        self._read(process)
        if self._process is None:
            return
        ended_well = process.exitStatus() == QProcess.ExitStatus.NormalExit and not process.exitCode()
        job, output = self._job, bytes(self._output) if ended_well else b""
        self._let_go()
        process.deleteLater()

        def work() -> None:
            try:
                self._made.emit((job, remade(output)))
            except TwinhullError as error:
                self._made.emit((job, error))

        # a large picture takes a second to compress, and Qt lets go of Python's lock meanwhile
        threading.Thread(target=work, name="picture", daemon=True).start()

    def _on_made(self, made: tuple[int, Picture | TwinhullError]) -> None:
        job, result = made
        if job != self._job:
            return
        if isinstance(result, Picture):
            self._done(result)
        else:
            self._failed(result)

    def _give_up(self) -> None:
        self.stop()
        self._failed(NotAPicture())

    def _let_go(self) -> None:
        self._timer.stop()
        self._process = None
        self._output.clear()

    def stop(self) -> None:
        """Give up what is being made; nothing is told of it."""
        self._job += 1
        process = self._process
        self._let_go()
        if process is not None:
            process.blockSignals(True)
            process.kill()  # SIGKILL: it is gone in the time the kernel needs
            process.waitForFinished(GONE_MS)
            process.deleteLater()

"""One partition's viewer as the app sees it: started, listened to, distrusted, restarted."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess

from PySide6.QtCore import QObject, QRect, QSocketNotifier, QTimer, Signal
from PySide6.QtGui import QImage

from twinhull_client.gui.errors import ViewerMisbehaved
from twinhull_client.gui.frame import Frame, copied, copied_file, cursor_image, map_frame
from twinhull_client.gui.sandbox import start_viewer
from twinhull_client.viewer import protocol
from twinhull_client.viewer.canvas import sealed_memory

PACKETS_A_TURN = 64
"""Most packets read before the app's own events get their turn."""
BACKOFF_MS = (250, 500, 1000, 2000, 4000, 8000, 16000, 30000)


class ViewerLink(QObject):
    """Keeps a viewer running while it is wanted.

    Signals:
        channel_wanted: the number of a connection the viewer asks for; answer with :meth:`give_channel`.
        frame_changed: another frame, or none, is current.
        damaged: this part of the current frame has new pixels.
        cursor_changed: pointer image or None, hot spot x and y.
        trouble: the TwinhullError that ended a viewer.
        ended: a viewer has gone, and whatever it was asked or offered with it.
        clipboard: a protocol.FromClipboard, and the guest's bytes where there are some.
        file: a protocol.FromFiles, and the guest's bytes, content and then name, where there are some.
    """

    channel_wanted = Signal(int)
    frame_changed = Signal()
    damaged = Signal(QRect)
    cursor_changed = Signal(object, int, int)
    trouble = Signal(object)
    ended = Signal()
    clipboard = Signal(object, object)
    file = Signal(object, object)

    def __init__(
        self, partition: str, parent: QObject | None = None, *, argv: list[str] | None = None
    ) -> None:
        super().__init__(parent)
        self.partition = partition
        self.frame: Frame | None = None
        self.argv = argv
        self.starts = 0
        """How many viewers were started so far."""
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._notifier: QSocketNotifier | None = None
        self._failures = 0
        self._wanted = False
        self._owed = False
        self._wish: protocol.Resize | None = None
        self._retry = QTimer(self, singleShot=True)
        self._retry.timeout.connect(self._launch)

    @property
    def pid(self) -> int | None:
        """The process id of the sandbox, None while no viewer runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Want a viewer."""
        if not self._wanted:
            self._wanted = True
            self._failures = 0
            self._launch()

    def stop(self) -> None:
        """Want none; ends the one that runs."""
        self._wanted = False
        self._retry.stop()
        self._end()

    def _launch(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.starts += 1
        try:
            with theirs:
                self._process = start_viewer(theirs, self.argv)
        except OSError as error:
            ours.close()
            self._fail(error.strerror or "it could not be started")
            return
        self._socket = ours
        self._notifier = QSocketNotifier(ours.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_readable)
        self._owed = False
        if self._wish is not None:
            self._send(self._wish)

    def _end(self) -> None:
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()  # SIGKILL: it is gone in the time the kernel needs
            self._process.wait(timeout=10)
            self._process = None
            self.ended.emit()
        if self.frame is not None:
            self.frame = None
            self.frame_changed.emit()

    def _fail(self, reason: str) -> None:
        self._end()
        self.trouble.emit(ViewerMisbehaved(partition=self.partition, reason=reason))
        if self._wanted:
            self._retry.start(BACKOFF_MS[min(self._failures, len(BACKOFF_MS) - 1)])
            self._failures += 1

    def _on_readable(self) -> None:
        for _ in range(PACKETS_A_TURN):
            if self._socket is None:
                return
            try:
                message, fd = protocol.receive(self._socket, protocol.FROM_VIEWER)
                self._handle(message, fd)
            except BlockingIOError:
                return
            except EOFError:
                self._fail("it ended")
            except protocol.ProtocolError as error:
                self._fail(str(error))
            except OSError:
                self._fail("its connection broke")

    def _handle(self, message: protocol.FromViewer, fd: int | None) -> None:
        match message:
            case protocol.ChannelRequest(id=number):
                self.channel_wanted.emit(number)
            case protocol.Frame() if fd is not None:
                self.frame = None
                self.frame = map_frame(message, fd)
                self._failures = 0
                self._owed = True
                self.frame_changed.emit()
            case protocol.Damage():
                if self.frame is None:
                    raise protocol.ProtocolError("damage without a frame")
                rect = self.frame.damaged(message)
                self._owed = True
                self.damaged.emit(rect)
            case protocol.Cursor() if fd is not None:
                image: QImage = cursor_image(message, fd)
                self.cursor_changed.emit(image, message.hot_x, message.hot_y)
            case protocol.CursorHidden():
                self.cursor_changed.emit(None, 0, 0)
            case protocol.ClipboardText() | protocol.ClipboardImage() if fd is not None:
                self.clipboard.emit(message, copied(message, fd))
            case protocol.ClipboardNothing() | protocol.ClipboardTaken():
                self.clipboard.emit(message, None)
            case protocol.FileContent() if fd is not None:
                self.file.emit(message, copied_file(message, fd))
            case protocol.FileMoved() | protocol.FileNothing() | protocol.FileStored():
                self.file.emit(message, None)

    def give_channel(self, number: int, fd: int | None) -> None:
        """Answer a request: hand ``fd`` over, which is closed here, or refuse with None."""
        answer = protocol.Channel(number) if fd is not None else protocol.ChannelRefused(number)
        try:
            self._send(answer, fd)
        finally:
            if fd is not None:
                os.close(fd)

    def send_input(self, message: protocol.Key | protocol.Pointer | protocol.Button) -> None:
        """Send input; without a viewer it goes nowhere."""
        self._send(message)

    def shown(self) -> None:
        """Say that the frame was painted; until then the viewer announces nothing more of it."""
        if self._owed:
            self._owed = False
            self._send(protocol.Shown())

    def resize(self, wish: protocol.Resize) -> None:
        """Ask the guest for a screen of this size; a viewer that is started again is told too."""
        if wish != self._wish:
            self._wish = wish
            self._send(wish)

    def ask_clipboard(self, gesture: int, *, image: bool = False) -> None:
        """Ask the guest for the text or the picture that is copied in it; the answer is ``clipboard``."""
        self._send(protocol.ClipboardAsk(gesture, image))

    def offer_clipboard(self, gesture: int, content: bytes, *, image: bool = False) -> None:
        """Let the guest take a text or a picture once; ``content`` has 1 to protocol.MAX_IMAGE bytes."""
        fd = sealed_memory("twinhull-offer", len(content))
        try:
            os.pwrite(fd, content, 0)
            self._send(protocol.ClipboardOffer(gesture, len(content), image), fd)
        finally:
            os.close(fd)

    def withdraw_clipboard(self, gesture: int) -> None:
        """Have a gesture forgotten; the guest keeps nothing it has not taken yet."""
        self._send(protocol.ClipboardWithdraw(gesture))

    def ask_file(self, gesture: int) -> None:
        """Ask the guest for the file that is offered in it; the answers are ``file``."""
        self._send(protocol.FileAsk(gesture))

    def bring_file(self, gesture: int, name: bytes, content: bytes) -> None:
        """Have the guest keep a file, of the protocol's limits; the answers are ``file``."""
        fd = sealed_memory("twinhull-bring", len(content) + len(name))
        try:
            os.pwritev(fd, [content, name], 0)
            self._send(protocol.FileBring(gesture, len(content), len(name)), fd)
        finally:
            os.close(fd)

    def withdraw_file(self, gesture: int) -> None:
        """Have a gesture forgotten; what it has begun in the guest is thrown away there."""
        self._send(protocol.FileWithdraw(gesture))

    def _send(self, message: protocol.FromApp, fd: int | None = None) -> None:
        if self._socket is None:
            return
        try:
            protocol.send(self._socket, message, fd)
        except BlockingIOError:
            if not isinstance(message, protocol.Pointer):  # a lost key would stay down in the guest
                self._fail("it does not take input")
        except OSError:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # the reader sees the end and restarts it

"""One app in a session: what opens it again brings the one that runs to the front, and hands a link over.

A socket in XDG_RUNTIME_DIR, which is the person's alone; both ends look at the other's user all the same. One
packet goes over it, the link or nothing, and one byte comes back. Whoever holds the lock beside it is the one
that runs. Without such a directory, or where nobody answers, each start has a window of its own, as before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path

from PySide6.QtCore import QObject, QSocketNotifier, Signal

from twinhull_client.gui.enrol_link import LINK_LIMIT

FOLDER, LOCK, SOCKET = "twinhull-gui", "lock", "socket"
NOTHING = b"\0"
"""In place of a link, as an empty packet cannot be told from an end (recv(2))."""
TAKEN = b"+"
ANSWER_SECONDS = 5.0
_CREDENTIALS = struct.Struct("iII")
"""struct ucred of unix(7): pid, uid, gid."""


def folder() -> Path | None:
    """Where the socket is; None where there is no directory that is this person's alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime.startswith("/"):
        return None
    found = Path(runtime, FOLDER)
    try:
        found.mkdir(mode=0o700, exist_ok=True)
        status = found.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return found if own else None


def hand_over(link: str) -> bool:
    """Have the app that runs come to the front, with a link unless it is empty; whether there is one."""
    where = folder()
    if where is None:
        return False
    content = link.encode("utf-8", errors="replace")[: LINK_LIMIT + 1]  # too long stays too long, and is told
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(where / SOCKET))
            if _user(connection) != os.getuid():
                return False
            connection.sendall(content or NOTHING)
            return connection.recv(len(TAKEN)) == TAKEN
        except OSError:
            return False


def _user(connection: socket.socket) -> int:
    """Whose the other end is."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(packed)[1])


class Running(QObject):
    """Listens for later starts, where this is the first one.

    Signals:
        opened: the app was opened again, with this untrusted link or an empty one.
    """

    opened = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = -1
        self._listener: socket.socket | None = None
        self._notifier: QSocketNotifier | None = None
        self._caller: socket.socket | None = None
        self._heard: QSocketNotifier | None = None
        where = folder()
        if where is not None:
            with contextlib.suppress(OSError):
                self._listen(where)

    def _listen(self, where: Path) -> None:
        """Raises OSError (BlockingIOError where another one runs)."""
        self._lock = os.open(where / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(FileNotFoundError):
            (where / SOCKET).unlink()  # of one that died
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        listener.bind(str(where / SOCKET))
        listener.listen()
        self._listener = listener
        self._notifier = QSocketNotifier(listener.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_start)

    def _on_start(self) -> None:
        if self._listener is None:
            return
        self._drop_caller()  # one that said nothing yet, and has no more time
        with contextlib.suppress(OSError):
            caller, _ = self._listener.accept()
            caller.setblocking(False)
            self._caller = caller
            self._heard = QSocketNotifier(caller.fileno(), QSocketNotifier.Type.Read, self)
            self._heard.activated.connect(self._on_said)

    def _on_said(self) -> None:
        if self._caller is None:
            return
        untrusted_link = None
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if _user(self._caller) == os.getuid():
                untrusted = self._caller.recv(LINK_LIMIT + 2)
                if untrusted:
                    untrusted_link = "" if untrusted == NOTHING else untrusted.decode()
                    self._caller.sendall(TAKEN)
        self._drop_caller()
        if untrusted_link is not None:
            self.opened.emit(untrusted_link)

    def _drop_caller(self) -> None:
        if self._heard is not None:
            self._heard.setEnabled(False)
            self._heard.deleteLater()
            self._heard = None
        if self._caller is not None:
            self._caller.close()
            self._caller = None

    def close(self) -> None:
        """Let another start be the one that runs."""
        self._drop_caller()
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

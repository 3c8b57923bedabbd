"""Locking: the cover first and at once, then the session's own lock through logind, if there is one.

logind's session object (org.freedesktop.login1(5)): ``Lock`` asks the desktop to lock, ``LockedHint`` is what
the desktop says came of it. The cover goes when the desktop says that it was unlocked.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import SLOT, QObject, QTimer, Signal, Slot
from PySide6.QtDBus import (
    QDBusConnection,
    QDBusMessage,
    QDBusPendingCall,
    QDBusPendingCallWatcher,
    QDBusVariant,
)

LOGIND = "org.freedesktop.login1"
SESSION = "/org/freedesktop/login1/session/auto"
"""The caller's own session, or the one on the screen of who calls."""
SESSION_INTERFACE = "org.freedesktop.login1.Session"
PROPERTIES = "org.freedesktop.DBus.Properties"
SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
"""Where the system bus is unless the environment says otherwise (D-Bus specification, message buses)."""
ANSWER_MS = 3000
"""How long the desktop has to say that it locked."""
Done = Callable[[QDBusMessage], None]
_names = (f"twinhull-lock-{number}" for number in itertools.count())


class SessionLock(QObject):
    """Whether the session is locked, and asking for that.

    Signals:
        locked: the desktop says that the screen is locked.
        unlocked: and that it is not any more.
        unlockable: it was asked to lock and did not say that it has.
    """

    locked = Signal()
    unlocked = Signal()
    unlockable = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = next(_names)
        self._bus: QDBusConnection | None = None
        self._hint = False
        self._watchers: set[QDBusPendingCallWatcher] = set()
        self._deadline = QTimer(self, singleShot=True, interval=ANSWER_MS)
        self._deadline.timeout.connect(self.unlockable)

    def start(self) -> None:
        """Begin to follow the session's lock."""
        address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", SYSTEM_BUS)
        self._bus = QDBusConnection.connectToBus(address, self._name)
        slot: Any = SLOT("_on_change(QDBusMessage)")  # text, though PySide6's types say bytes
        # signals come from the session's real path, so from any; what they say is then read anew
        self._bus.connect(LOGIND, "", PROPERTIES, "PropertiesChanged", self, slot)
        self._read()

    def lock(self) -> None:
        """Ask the desktop to lock; ``locked`` or ``unlockable`` follows."""
        self._deadline.start()
        self._call(SESSION_INTERFACE, "Lock", [], lambda _reply: None)

    def close(self) -> None:
        """Stop following."""
        self._deadline.stop()
        self._bus = None
        QDBusConnection.disconnectFromBus(self._name)

    @Slot(QDBusMessage)
    def _on_change(self, message: QDBusMessage) -> None:
        if message.arguments()[:1] == [SESSION_INTERFACE]:
            self._read()

    def _read(self) -> None:
        self._call(PROPERTIES, "Get", [SESSION_INTERFACE, "LockedHint"], self._on_hint)

    def _on_hint(self, reply: QDBusMessage) -> None:
        if reply.type() != QDBusMessage.MessageType.ReplyMessage:
            return
        value = reply.arguments()[0]
        hint = bool(value.variant() if isinstance(value, QDBusVariant) else value)
        if hint == self._hint:
            return
        self._hint = hint
        self._deadline.stop()
        (self.locked if hint else self.unlocked).emit()

    def _call(self, interface: str, method: str, arguments: list[str], done: Done) -> None:
        if self._bus is None or not self._bus.isConnected():
            return
        message = QDBusMessage.createMethodCall(LOGIND, SESSION, interface, method)
        message.setArguments(arguments)
        pending: QDBusPendingCall = self._bus.asyncCall(message)
        watcher = QDBusPendingCallWatcher(pending, self)
        self._watchers.add(watcher)

        def finished(_watcher: QDBusPendingCallWatcher) -> None:
            self._watchers.discard(watcher)
            done(watcher.reply())

        watcher.finished.connect(finished)

"""The connection to libvirt: opened when needed, made again after libvirtd restarts, its events brought out.

libvirt blocks, so the daemon calls all of
this from worker threads. Events are delivered by a thread of their own, because libvirt's loop and a caller's
blocking call must not wait for each other. libvirt's habit of printing each error to stderr is turned off:
errors are raised, and who catches them decides.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import libvirt  # type: ignore[import-untyped]

from twinhull_hypervisor.domain.errors import HypervisorRefused, HypervisorUnreachable

SYSTEM = "qemu:///system"
KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits between attempts after libvirtd has gone; the last one repeats."""
UNREACHABLE = frozenset(
    {
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_INVALID_CONN,
        libvirt.VIR_ERR_SYSTEM_ERROR,
    }
)
"""Errors that mean the connection and not the request, when they come from the RPC layer."""

log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """What happened. RECONNECTED: events may have been missed, so look at every state again."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    SHUTDOWN = "shutdown"
    STOPPED = "stopped"
    CRASHED = "crashed"
    RECONNECTED = "reconnected"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a domain; ``name`` is empty for the connection's own events."""

    kind: EventKind
    name: str = ""


LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: EventKind.STARTED,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: EventKind.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: EventKind.RESUMED,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: EventKind.SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: EventKind.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: EventKind.CRASHED,
}


class EventLoop:
    """libvirt's default event loop in one daemon thread; one a process, running before anything connects."""

    _lock = threading.Lock()
    _started = False

    @classmethod
    def start(cls) -> None:
        """Start it if it is not running."""
        with cls._lock:
            if not cls._started:
                libvirt.registerErrorHandler(lambda _context, _error: None, None)
                libvirt.virEventRegisterDefaultImpl()
                threading.Thread(target=cls._run, name="libvirt-events", daemon=True).start()
                cls._started = True

    @staticmethod
    def _run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()


class Hypervisor:
    """A connection to libvirt that heals.

    Args:
        uri: libvirt's; ``test:///default`` serves tests without a guest.
        on_event: called in libvirt's thread for each event; must return at once and call nothing here.
    """

    def __init__(self, uri: str = SYSTEM, on_event: Callable[[Event], None] | None = None) -> None:
        self._uri = uri
        self._on_event = on_event
        self._lock = threading.Lock()
        self._connection: Any = None
        self._closed = threading.Event()

    def connection(self) -> Any:
        """The live virConnect, opened now if there is none.

        Raises:
            HypervisorUnreachable: libvirtd does not answer.
        """
        EventLoop.start()
        with self._lock:
            if self._closed.is_set():
                raise HypervisorUnreachable(reason="Twinhull is shutting down")
            if self._connection is None or not self._connection.isAlive():
                self._connection = self._open()
            return self._connection

    def _open(self) -> Any:
        try:
            connection = libvirt.open(self._uri)
            if not self._uri.startswith("test:"):
                connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
            connection.registerCloseCallback(self._lost, None)
            if self._on_event is not None:
                connection.domainEventRegisterAny(
                    None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None
                )
        except libvirt.libvirtError as error:
            raise HypervisorUnreachable(reason=error.get_error_message()) from error
        return connection

    def _lifecycle(self, _connection: Any, domain: Any, event: int, _detail: int, _opaque: None) -> None:
        kind = LIFECYCLE.get(event)
        if kind is not None:
            self._emit(Event(kind, domain.name()))

    def _emit(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _lost(self, _connection: Any, reason: int, _opaque: None) -> None:
        """libvirt's thread tells us the connection broke; another thread makes a new one."""
        if self._closed.is_set() or reason == libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT:
            return
        self._emit(Event(EventKind.LOST))
        if self._on_event is not None:
            threading.Thread(target=self._reconnect, name="libvirt-reconnect", daemon=True).start()

    def _reconnect(self) -> None:
        for attempt in range(1_000_000):
            if self._closed.wait(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]):
                return
            try:
                self.connection()
            except HypervisorUnreachable as error:
                log.info("%s", error)
            else:
                self._emit(Event(EventKind.RECONNECTED))
                return

    def close(self) -> None:
        """Let the connection go; domains keep running."""
        self._closed.set()
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.unregisterCloseCallback()
                    self._connection.close()
                except libvirt.libvirtError as error:
                    log.info("closing: %s", error.get_error_message())
                self._connection = None


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn libvirt's errors into ours.

    Args:
        action: what was being tried, to complete "The hypervisor would not …".

    Raises:
        HypervisorUnreachable: the connection broke.
        HypervisorRefused: libvirt said no, in its own words.
    """
    try:
        yield
    except libvirt.libvirtError as error:
        # Where QEMU does not start, libvirt quotes its whole output; the first line says why.
        reason = (error.get_error_message() or "").strip().partition("\n")[0] or "no reason given"
        if error.get_error_domain() == libvirt.VIR_FROM_RPC and error.get_error_code() in UNREACHABLE:
            raise HypervisorUnreachable(reason=reason) from error
        raise HypervisorRefused(action=action, reason=reason) from error


def is_absent(error: HypervisorRefused) -> bool:
    """Whether libvirt refused because there is no such domain or secret."""
    cause = error.__cause__
    return isinstance(cause, libvirt.libvirtError) and cause.get_error_code() in (
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_SECRET,
    )

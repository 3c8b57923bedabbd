"""A stand-in for logind on a test's own bus: sessions with a lock, and the computer's sleep."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sdbus import dbus_method_async_override, dbus_property_async_override, sd_bus_open_system
from twinhull_hypervisor.daemon.session import LogindManager, LogindSession

PATH = "/org/freedesktop/login1"


class Session(LogindSession):
    """One session; ``seat`` is empty for one over the network."""

    def __init__(self, user: str, seat: str, *, locked: bool) -> None:
        super().__init__()
        self.user, self.seat, self.locked = user, seat, locked

    @dbus_property_async_override()
    def locked_hint(self) -> bool:
        """Whether its screen is locked."""
        return self.locked


class Logind(LogindManager):
    """The manager, with the sessions that a test puts there."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Session] = {}
        self._lock: int | None = None

    @dbus_method_async_override()
    async def inhibit(self, what: str, who: str, why: str, mode: str) -> int:
        """A delay lock; ``delayed`` tells whether somebody holds one."""
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._lock is not None:
            os.close(self._lock)
        self._lock = reading
        # The reply duplicates the descriptor when it is built, in this same step of the loop.
        asyncio.get_running_loop().call_soon(os.close, writing)
        return writing

    @property
    def delayed(self) -> bool:
        """Whether the computer would wait before it sleeps."""
        if self._lock is None:
            return False
        try:
            return os.read(self._lock, 1) != b""
        except BlockingIOError:
            return True

    def close(self) -> None:
        """Let go of the lock's other end."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @dbus_method_async_override()
    async def list_sessions(self) -> list[tuple[str, int, str, str, str]]:
        """As logind lists them."""
        return [
            (name, 1000, session.user, session.seat, f"{PATH}/session/{name}")
            for name, session in self.sessions.items()
        ]


@asynccontextmanager
async def running_logind(*sessions: Session) -> AsyncIterator[Logind]:
    """Serve it on the bus that ``DBUS_SYSTEM_BUS_ADDRESS`` names."""
    bus = sd_bus_open_system()
    logind = Logind()
    handles = [logind.export_to_dbus(PATH, bus)]
    for number, session in enumerate(sessions):
        logind.sessions[f"s{number}"] = session
        handles.append(session.export_to_dbus(f"{PATH}/session/s{number}", bus))
    await bus.request_name_async("org.freedesktop.login1", 0)
    try:
        yield logind
    finally:
        for handle in handles:
            handle.stop()
        logind.close()
        bus.close()

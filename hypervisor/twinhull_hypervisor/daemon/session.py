"""Whether the owner's screen is locked and whether the computer goes to sleep, from logind.

https://www.freedesktop.org/software/systemd/man/org.freedesktop.login1.html. A computer without logind, or an
owner without a session on its screen, has no screen that could be locked.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Protocol

from sdbus import DbusInterfaceCommonAsync, SdBus, dbus_method_async, dbus_property_async, dbus_signal_async
from sdbus.exceptions import SdBusBaseError

logger = logging.getLogger(__name__)

NAME = "org.freedesktop.login1"
ANSWER_SECONDS = 2.0
"""logind answers from memory; what takes longer does not answer."""


class Screen(Protocol):
    """What the devices need to know of the person's session."""

    async def locked(self) -> bool:
        """Whether the owner's screen is locked now."""

    def sleeps(self) -> AsyncIterator[bool]:
        """True right before the computer sleeps, False after it woke up."""


class Sleep(Protocol):
    """The computer's sleep, for who has something to do before it."""

    def phases(self) -> AsyncIterator[bool]:
        """True before the computer sleeps, which waits until the next one is asked for; False after that."""


class LogindManager(DbusInterfaceCommonAsync, interface_name="org.freedesktop.login1.Manager"):
    """The part of logind's manager that is used."""

    @dbus_method_async(result_signature="a(susso)")
    async def list_sessions(self) -> list[tuple[str, int, str, str, str]]:
        raise NotImplementedError

    @dbus_method_async("ssss", "h")
    async def inhibit(self, what: str, who: str, why: str, mode: str) -> int:
        raise NotImplementedError

    @dbus_signal_async("b")
    def prepare_for_sleep(self) -> bool:
        raise NotImplementedError


class LogindSession(DbusInterfaceCommonAsync, interface_name="org.freedesktop.login1.Session"):
    """The part of a session that is used."""

    @dbus_property_async("b")
    def locked_hint(self) -> bool:
        raise NotImplementedError


class LogindScreen:
    """:class:`Screen` of the sessions that ``owner`` (everybody, if empty) has on a seat."""

    def __init__(self, bus: SdBus, owner: str) -> None:
        self._bus = bus
        self._owner = owner
        self._manager = LogindManager.new_proxy(NAME, "/org/freedesktop/login1", bus)
        self._last = False

    async def locked(self) -> bool:
        """Whether every such session is locked; the last answer while logind gives none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                sessions = await self._manager.list_sessions()
                hints = [
                    await LogindSession.new_proxy(NAME, path, self._bus).locked_hint.get_async()
                    for _, _, user, seat, path in sessions
                    if seat and (user == self._owner or not self._owner)
                ]
        except (SdBusBaseError, TimeoutError) as error:
            logger.debug("logind: %s", error)
            return self._last
        self._last = bool(hints) and all(hints)
        return self._last

    async def sleeps(self) -> AsyncIterator[bool]:
        """logind's PrepareForSleep."""
        async for sleeping in self._manager.prepare_for_sleep:
            yield sleeping


class LogindSleep:
    """:class:`Sleep` by a delay lock (https://systemd.io/INHIBITOR_LOCKS/): logind waits for it to be closed,
    for InhibitDelayMaxSec at most, which is 5 s unless it was set to something else.
    """

    def __init__(self, bus: SdBus) -> None:
        self._manager = LogindManager.new_proxy(NAME, "/org/freedesktop/login1", bus)
        self._lock: int | None = None

    async def phases(self) -> AsyncIterator[bool]:
        """Holds the lock but while the computer is on its way to sleep; without logind nothing ever comes."""
        await self._take()
        try:
            async for sleeping in self._manager.prepare_for_sleep:
                if not sleeping:
                    await self._take()
                yield sleeping
                if sleeping:
                    self._release()
        finally:
            self._release()

    async def _take(self) -> None:
        if self._lock is not None:
            return
        why = "The corporate partition stops before its lease could end unseen."
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._lock = await self._manager.inhibit("sleep", "Twinhull", why, "delay")
        except (SdBusBaseError, TimeoutError) as error:
            logger.warning("no delay lock from logind: %s", error)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

"""Whether the owner's screen is locked and whether the computer goes to sleep, from logind.

https://www.freedesktop.org/software/systemd/man/org.freedesktop.login1.html. A computer without logind, or an
owner without a session on its screen, has no screen that could be locked.
"""

from __future__ import annotations

import asyncio
import logging
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


class LogindManager(DbusInterfaceCommonAsync, interface_name="org.freedesktop.login1.Manager"):
    """The part of logind's manager that is used."""

    @dbus_method_async(result_signature="a(susso)")
    async def list_sessions(self) -> list[tuple[str, int, str, str, str]]:
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

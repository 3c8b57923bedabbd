"""A desktop that shows notifications, on a test's own bus: it remembers them, and a test clicks them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sdbus import SdBus, dbus_method_async_override, sd_bus_open_user
from twinhull_client.gui.notifier import NAME, PATH, Notifications

START_SECONDS = 60.0


@dataclass(frozen=True)
class Shown:
    """One notification as it arrived."""

    number: int
    replaces: int
    summary: str
    body: str
    actions: list[str]
    hints: dict[str, tuple[str, object]]


class Desktop(Notifications):
    """Shows nothing and remembers all.

    Attributes:
        shown: in the order they came.
        can: its capabilities.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Shown] = []
        self.can = ["body", "actions", "body-markup"]
        self.loop: asyncio.AbstractEventLoop | None = None

    @dbus_method_async_override()
    async def capabilities(self) -> list[str]:
        return self.can

    @dbus_method_async_override()
    async def notify(
        self,
        application: str,
        replaces: int,
        icon: str,
        summary: str,
        body: str,
        actions: list[str],
        hints: dict[str, tuple[str, object]],
        expire_timeout: int,
    ) -> int:
        number = replaces or 100 + len(self.shown)
        self.shown.append(Shown(number, replaces, summary, body, actions, hints))
        return number

    def click(self, number: int) -> None:
        """Click a notification."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.action_invoked.emit, (number, "default"))


@contextmanager
def desktop() -> Iterator[Desktop]:
    """The desktop, on the session bus that the environment names."""
    made, ready, loop = Desktop(), threading.Event(), asyncio.new_event_loop()
    made.loop = loop

    async def serve() -> SdBus:
        bus = sd_bus_open_user()
        made.export_to_dbus(PATH, bus)
        await bus.request_name_async(NAME, 0)
        return bus

    def run() -> None:
        asyncio.set_event_loop(loop)
        bus = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        bus.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(START_SECONDS)
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""Shows notices as the desktop's own notifications (Desktop Notifications Specification 1.2).

Where nothing shows notifications there are none, and nothing else is different: a notice only points at what
a page of the window says.
"""

from __future__ import annotations

import asyncio
import html
import threading
from contextlib import suppress

from PySide6.QtCore import QObject, Signal
from sdbus import (
    DbusInterfaceCommonAsync,
    SdBus,
    SdBusBaseError,
    dbus_method_async,
    dbus_signal_async,
    sd_bus_open_user,
)

from twinhull_client.gui.notices import Notice

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
DESKTOP_ENTRY = "org.twinhull.Twinhull"
ANSWER_SECONDS = 5.0
"""How long whoever shows notifications may take to say that it does."""
DEFAULT_TIMEOUT = -1
"""Lets the desktop choose how long a notification stays (specification, "Protocol")."""
NORMAL, CRITICAL = 1, 2
"""Urgency levels (specification, "Urgency Levels")."""
WAITING = 16
"""Most notices that wait to be shown; the oldest goes first."""


class Notifications(DbusInterfaceCommonAsync, interface_name=NAME):
    """The part of the specification's interface that is used."""

    @dbus_method_async("", "as", method_name="GetCapabilities")
    async def capabilities(self) -> list[str]:
        """What this desktop does with notifications."""
        raise NotImplementedError

    @dbus_method_async("susssasa{sv}i", "u", method_name="Notify")
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
        """Show one; returns its number."""
        raise NotImplementedError

    @dbus_signal_async("us", signal_name="ActionInvoked")
    def action_invoked(self) -> tuple[int, str]:
        """Somebody clicked one."""
        raise NotImplementedError


class Notifier(QObject):
    """Sends notices from a thread of its own.

    Signals:
        opened: somebody clicked a notification; names the view of the window to show.
    """

    opened = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[Notice | None] | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._shown: dict[int, Notice] = {}

    def show(self, notice: Notice) -> None:
        """Show a notice, in place of an earlier one of the same subject."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)
            self._thread.start()
        self._put(notice)

    def close(self) -> None:
        """Stop; waits for the thread. What is shown stays, and clicking it does nothing any more."""
        if self._thread is not None:
            self._put(None)
            self._thread.join()
            self._thread = None

    def _put(self, item: Notice | None) -> None:
        self._ready.wait()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: there is nobody to show it
                self._loop.call_soon_threadsafe(self._enqueue, item)

    def _enqueue(self, item: Notice | None) -> None:
        if self._queue is None:
            return
        while self._queue.qsize() >= WAITING:
            self._queue.get_nowait()
        self._queue.put_nowait(item)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._queue = asyncio.get_running_loop(), asyncio.Queue()
        self._ready.set()
        try:
            bus = sd_bus_open_user()
        except SdBusBaseError:  # no session bus: nothing is shown
            while await self._queue.get() is not None:
                continue
            return
        try:
            await self._serve(bus, self._queue)
        finally:
            bus.close()

    async def _serve(self, bus: SdBus, queue: asyncio.Queue[Notice | None]) -> None:
        proxy = Notifications.new_proxy(NAME, PATH, bus)
        clicks = asyncio.create_task(self._follow(proxy))
        try:
            while (notice := await queue.get()) is not None:
                with suppress(SdBusBaseError, TimeoutError):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await self._notify(proxy, notice)
        finally:
            clicks.cancel()
            await asyncio.wait({clicks})

    async def _notify(self, proxy: Notifications, notice: Notice) -> None:
        markup = "body-markup" in await proxy.capabilities()
        earlier = next((n for n, one in self._shown.items() if one.subject == notice.subject), 0)
        number = await proxy.notify(
            "Twinhull",
            earlier,
            DESKTOP_ENTRY,
            notice.title,
            html.escape(notice.body, quote=False) if markup else notice.body,
            ["default", self.tr("Show")],
            {
                "desktop-entry": ("s", DESKTOP_ENTRY),
                "urgency": ("y", CRITICAL if notice.urgent else NORMAL),
            },
            DEFAULT_TIMEOUT,
        )
        self._shown.pop(earlier, None)
        self._shown[number] = notice

    async def _follow(self, proxy: Notifications) -> None:
        async for number, action in proxy.action_invoked.catch():
            notice = self._shown.get(number)
            if notice is not None and action == "default":
                self.opened.emit(notice.view)

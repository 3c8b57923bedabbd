"""The daemon for the GUI thread: calls run in one asyncio thread, answers come back as Qt signals."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from twinhull_policy.errors import TwinhullError

from twinhull_client.bus import Daemon, Line
from twinhull_client.errors import DaemonUnreachable

RETRY_SECONDS = 2.0
REFRESH_SECONDS = 10.0
"""Longest a view is stale should an announcement be lost."""

Operation = Callable[[Daemon], Awaitable[Any]]
Done = Callable[[Any], None]
Failed = Callable[[TwinhullError], None]


class DaemonClient(QObject):
    """Keeps the status fresh and runs operations; nothing in here ever blocks the GUI thread.

    Signals:
        status: a fresh Status.
        devices: the list of DeviceInfo, right after the status.
        devices_unknown: the TwinhullError that says why there is no such list.
        unreachable: the TwinhullError that says why there is no status.
    """

    status = Signal(object)
    devices = Signal(object)
    devices_unknown = Signal(object)
    unreachable = Signal(object)
    _answered = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line = Line()
        self._daemon: Daemon | None = None
        self._stop: asyncio.Event | None = None
        self._wake: asyncio.Event | None = None
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered.connect(lambda deliver: deliver(), Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)

    def start(self) -> None:
        """Begin to talk to the daemon."""
        self._thread.start()

    def close(self) -> None:
        """Stop talking; waits for the thread."""
        if self._thread.is_alive():
            self._ready.wait()
            if self._loop is not None and self._stop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def refresh(self) -> None:
        """Ask for the status now."""
        if self._loop is not None and self._wake is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def run(self, operation: Operation, done: Done, failed: Failed) -> None:
        """Run ``operation`` in the bus thread; ``done`` or ``failed`` is called here."""
        if self._loop is None or not self._thread.is_alive():
            failed(DaemonUnreachable(reason="there is no connection yet"))
            return
        self._loop.call_soon_threadsafe(self._spawn, operation, done, failed)

    def _spawn(self, operation: Operation, done: Done, failed: Failed) -> None:
        task = asyncio.get_running_loop().create_task(self._perform(operation, done, failed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, operation: Operation, done: Done, failed: Failed) -> None:
        try:
            if self._daemon is None:
                raise DaemonUnreachable(reason="there is no connection yet")
            result = await operation(self._daemon)
        except TwinhullError as error:
            problem = error
            self._answered.emit(lambda: failed(problem))
        else:
            self._answered.emit(lambda: done(result))
        self.refresh()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._wake = asyncio.Event(), asyncio.Event()
        self._ready.set()
        stopped = asyncio.create_task(self._stop.wait())
        while not self._stop.is_set():
            session = asyncio.create_task(self._session())
            await asyncio.wait({session, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if session.done():
                self.unreachable.emit(session.result())
                await asyncio.wait({stopped}, timeout=RETRY_SECONDS)
            else:
                await _cancel(session)
        for task in list(self._tasks):
            await _cancel(task)
        self._line.close()

    async def _session(self) -> TwinhullError:
        """Follow the daemon until it cannot be reached; returns why."""
        try:
            daemon = self._line.daemon()
            follower = asyncio.create_task(self._follow(daemon))
            try:
                await self._poll(daemon)
            finally:
                self._daemon = None
                await _cancel(follower)
        except TwinhullError as error:
            self._line.learn(error)
            return error
        raise AssertionError  # _poll only ends by an exception

    async def _poll(self, daemon: Daemon) -> None:
        if self._wake is None:
            raise AssertionError
        while True:
            self._wake.clear()
            self.status.emit(await daemon.status())
            self._daemon = daemon
            await self._list_devices(daemon)
            try:
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _list_devices(self, daemon: Daemon) -> None:
        try:
            self.devices.emit(await daemon.devices())
        except TwinhullError as error:
            self.devices_unknown.emit(error)

    async def _follow(self, daemon: Daemon) -> None:
        async for _subject in daemon.changes():
            self.refresh()


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})

"""The real core on a private bus, in a thread with its own loop, for windows in the main thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.core_laptop import CoreLaptop, core_laptop

SOON = 60.0
T = TypeVar("T")


class RunningCore:
    """The laptop, and how to have something done in its loop."""

    def __init__(self, laptop: CoreLaptop, loop: asyncio.AbstractEventLoop) -> None:
        self.laptop, self._loop = laptop, loop

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        """Wait for something to be done in the core's own loop."""
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(SOON)


@contextmanager
def running_core(
    directory: Path, prepare: Callable[[CoreLaptop], None] = lambda _laptop: None
) -> Iterator[RunningCore]:
    """Start it after ``prepare``; it is gone in the end."""
    ready, stop = threading.Event(), asyncio.Event()
    made: list[RunningCore] = []
    problems: list[BaseException] = []

    async def serve() -> None:
        async with core_laptop(directory, start=False) as laptop:
            prepare(laptop)
            await laptop.start_core()
            made.append(RunningCore(laptop, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as problem:
            problems.append(problem)
            ready.set()

    thread = threading.Thread(target=run, name="core")
    thread.start()
    try:
        if not ready.wait(SOON) or problems:
            raise RuntimeError(f"the core did not start: {problems}")
        yield made[0]
    finally:
        if made:
            made[0]._loop.call_soon_threadsafe(stop.set)
        thread.join(SOON)

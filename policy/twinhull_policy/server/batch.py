"""Many writers, one commit: what is to be durable is gathered while the commit before it runs.

A durable commit costs a wait for the disk however much is in it. Every caller still returns only once its
own row is on the disk; a lone caller waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batch(Generic[T]):
    """Gathers items and hands them to ``commit`` in one go, in a worker thread.

    Args:
        commit: writes a list of items in one transaction, or raises.
        most: items of one commit.
    """

    def __init__(self, commit: Callable[[list[T]], None], most: int) -> None:
        self._commit = commit
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def add(self, item: T) -> None:
        """Return once ``item`` is durable. Raises what ``commit`` raised for the items it went with."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await done

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await asyncio.to_thread(self._commit, [item for item, _ in batch])
            except Exception as error:  # whatever it is, it is for those who wait
                _settle(batch, error)
            else:
                _settle(batch, None)


def _settle(batch: list[tuple[T, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

"""Waiting for the fetch service: by its own events, never by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.fleet_processes import PATIENCE, FetchService


async def until(fetch: FetchService, reached: Callable[[], bool]) -> None:
    """Follow fetch's events until something holds."""
    async with asyncio.timeout(PATIENCE):
        async for _ in fetch.client.watch():
            if reached():
                return

"""Whether the owner's screen is locked, over a real bus with a stand-in for logind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sdbus import sd_bus_open_system
from twinhull_hypervisor.daemon.session import LogindScreen

from tests.support.logind import Session, running_logind
from tests.support.private_bus import private_bus


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    with private_bus(tmp_path) as address:
        yield address


# Whose laptop, its sessions as (user, seat, locked) -> locked.
TABLE: list[tuple[str, list[tuple[str, str, bool]], bool]] = [
    ("owner", [], False),
    ("owner", [("owner", "seat0", False)], False),
    ("owner", [("owner", "seat0", True)], True),
    ("owner", [("owner", "seat0", True), ("owner", "seat0", False)], False),
    ("owner", [("owner", "seat0", True), ("owner", "", False)], True),
    ("owner", [("owner", "seat0", True), ("guest", "seat0", False)], True),
    ("owner", [("guest", "seat0", True)], False),
    ("owner", [("owner", "", True)], False),
    ("", [("anybody", "seat0", True)], True),
]


@pytest.mark.parametrize(("owner", "sessions", "locked"), TABLE)
async def test_locked(bus: str, owner: str, sessions: list[tuple[str, str, bool]], locked: bool) -> None:
    made = [Session(user, seat, locked=hint) for user, seat, hint in sessions]
    async with running_logind(*made):
        client = sd_bus_open_system()
        assert await LogindScreen(client, owner).locked() is locked
        client.close()


async def test_without_logind_the_last_answer_stays(bus: str) -> None:
    client = sd_bus_open_system()
    screen = LogindScreen(client, "owner")
    assert not await screen.locked()
    async with running_logind(Session("owner", "seat0", locked=True)):
        assert await screen.locked()
    assert await screen.locked()
    client.close()


async def test_sleep_and_wake_are_heard(bus: str) -> None:
    async with running_logind() as logind:
        client = sd_bus_open_system()
        heard: asyncio.Queue[bool] = asyncio.Queue()

        async def listen() -> None:
            async for sleeping in LogindScreen(client, "owner").sleeps():
                heard.put_nowait(sleeping)

        task = asyncio.create_task(listen())
        for expected in (True, False):
            async with asyncio.timeout(10):
                while heard.empty():
                    logind.prepare_for_sleep.emit(expected)
                    await asyncio.sleep(0.05)
            assert heard.get_nowait() is expected
            while not heard.empty():
                heard.get_nowait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        client.close()

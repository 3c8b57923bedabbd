"""The app hears the service again each time that it, or the whole bus, went away and came back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot
from twinhull_client.bus import Line
from twinhull_client.errors import DaemonUnreachable
from twinhull_client.gui import client as bus_client
from twinhull_client.gui.client import DaemonClient

from tests.support.private_bus import private_bus
from tests.support.standin_daemon import StandInDaemon, standin_daemon, standin_service

PATIENCE = 60000
NEVER = 3600.0
ROUNDS = 4


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonClient]:
    """One that asks only when it heard that something changed."""
    monkeypatch.setattr(bus_client, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(bus_client, "REFRESH_SECONDS", NEVER)
    made = DaemonClient()
    yield made
    made.close()


def hears(client: DaemonClient, standin: StandInDaemon, qtbot: QtBot, name: str) -> None:
    """Wait for a status that this service has only now, and which nothing but its announcement brings."""
    enrolment = msgspec.structs.replace(standin.status.enrolment, device_id=name)

    def is_new(status: object) -> bool:
        return getattr(status, "enrolment", None) == enrolment

    with qtbot.waitSignal(client.status, timeout=PATIENCE, check_params_cb=is_new):
        standin.status = msgspec.structs.replace(standin.status, enrolment=enrolment)
        standin.announce("everything")


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_service_that_comes_and_goes_is_heard_at_once_each_time(
    client: DaemonClient, tmp_path: Path, qtbot: QtBot
) -> None:
    with private_bus(tmp_path):
        client.start()
        open_now = []
        for n in range(ROUNDS):
            with standin_service() as standin:
                with qtbot.waitSignal(client.devices, timeout=PATIENCE):
                    pass
                gc.collect()  # what the app let go of goes now
                hears(client, standin, qtbot, f"laptop-{n}")
                open_now.append(descriptors())
            with qtbot.waitSignal(client.unreachable, timeout=PATIENCE):
                client.refresh()
        assert open_now == open_now[:1] * ROUNDS


def test_a_bus_that_comes_and_goes_is_connected_to_anew(
    client: DaemonClient, tmp_path: Path, qtbot: QtBot
) -> None:
    for n in range(ROUNDS):
        folder = tmp_path / str(n)
        folder.mkdir()
        with standin_daemon(folder) as standin:
            with qtbot.waitSignal(client.devices, timeout=PATIENCE):
                client.start() if n == 0 else None
            gc.collect()
            hears(client, standin, qtbot, f"laptop-{n}")
        with qtbot.waitSignal(client.unreachable, timeout=PATIENCE):
            client.refresh()


def test_a_connection_that_broke_takes_nothing_from_the_next(tmp_path: Path) -> None:
    """Also where somebody still held it when the next one was made, and let it go after that."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()

    async def scenario() -> None:
        line = Line()
        with standin_daemon(folders[0]):
            held = [line.daemon()]
            await held[0].status()
        with pytest.raises(DaemonUnreachable) as broke:
            await held[0].status()
        with standin_daemon(folders[1]):
            line.learn(broke.value)
            next_one = line.daemon()  # its descriptor has the number of the one that was just closed
            await next_one.status()
            held.clear()
            del broke
            gc.collect()
            async with asyncio.timeout(PATIENCE / 1000):
                await next_one.status()
        line.close()

    asyncio.run(scenario())

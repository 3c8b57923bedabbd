"""Core's manager and the real twinhull-devd together, on a bus that umockdev makes up."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from twinhull_policy.names import Partition

from tests.api.test_devd_socket import ENTER, UP, digits
from tests.support.devd import Bus, running_devd, usb_bus
from tests.support.device_laptop import DeviceLaptop
from tests.support.usb_kinds import KEYBOARD, STICK

pytestmark = pytest.mark.skipif(shutil.which("umockdev-wrapper") is None, reason="umockdev is not installed")


class Joined(DeviceLaptop):
    """A laptop whose devd is the real one."""

    def __init__(self, directory: Path, bus: Bus) -> None:
        self.bus = bus
        super().__init__(directory)

    def start_devd(self) -> None:
        """It runs already."""

    def authorised(self, port: str) -> bool:
        """What the made-up sysfs says."""
        return bool(self.bus.do("read", name=port, attribute="authorized") == "1")


@pytest_asyncio.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[Joined]:
    with usb_bus() as bus, running_devd(tmp_path, bus):
        laptop = Joined(tmp_path, bus)
        laptop.machines.start(*Partition)
        laptop.machines.trusting = True
        try:
            await laptop.start_core()
            yield laptop
        finally:
            await laptop.stop_core()
            laptop.close()


async def test_a_stick_goes_where_it_is_answered_and_comes_back(laptop: Joined) -> None:
    laptop.bus.plug("1-2", STICK, manufacturer="Acme", product="Stick", serial="7", removable="removable")
    laptop.bus.do("configure", port="1-2", triples=["08:06:50"])
    info = await laptop.becomes("1-2", "asking")
    assert info.name == "Acme Stick (storage), port 1-2"
    assert not laptop.authorised("1-2")
    await laptop.commands.answer("1-2", "personal", remember=True)
    await laptop.becomes("1-2", "attached", "personal")
    assert laptop.bus.do("read", name="1-2", attribute="1-2:1.0/authorized") == "1"
    assert laptop.bus.do("seen")["probed"] == ""
    laptop.set_owner("deny")
    await laptop.becomes("1-2", "blocked")
    assert laptop.machines.held(Partition.PERSONAL) == []
    assert not laptop.authorised("1-2")
    laptop.bus.do("pull", port="1-2")
    await laptop.until(lambda: laptop.info("1-2") is None)


async def test_a_keyboard_proves_itself_with_the_code_that_is_shown(laptop: Joined) -> None:
    await laptop.stop_core()
    laptop.bus.plug("1-4", KEYBOARD, devnum=9)
    laptop.bus.do("configure", port="1-4", triples=["03:01:01"])
    laptop.bus.do("keyboard", port="1-4")
    laptop.new_core()
    await laptop.start_core()
    info = await laptop.becomes("1-4", "admission")
    await asyncio.to_thread(laptop.bus.do, "type", reports=[*digits(info.code), ENTER, UP])
    await laptop.becomes("1-4", "host")
    assert laptop.bus.do("seen")["probed"] != ""

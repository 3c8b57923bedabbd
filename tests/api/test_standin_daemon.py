"""The stand-in daemon serves the whole interface, so that what is tested against it means something."""

from __future__ import annotations

import os
import socket

from sdbus import sd_bus_open_system
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH, RULES, DaemonInterface

from tests.support.standin_daemon import StandInDaemon


def test_it_implements_every_method() -> None:
    missing = [name for name in RULES if getattr(StandInDaemon, name) is getattr(DaemonInterface, name)]
    assert missing == []


async def test_secrets_and_displays_cross_as_descriptors(standin: StandInDaemon) -> None:
    bus = sd_bus_open_system()
    try:
        proxy = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, bus)
        read_end, write_end = os.pipe()
        os.write(write_end, b"correct horse")
        os.close(write_end)
        await proxy.start_partition("corporate", read_end)
        os.close(read_end)
        assert standin.calls == [("start_partition", ("corporate", "correct horse"))]
        descriptor = await proxy.open_display("corporate")
        with socket.socket(fileno=descriptor) as near:
            near.sendall(b"REDQ")
            assert standin.display_peers[0].recv(4) == b"REDQ"
    finally:
        bus.close()

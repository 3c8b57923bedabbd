"""Devices in a laptop with systemd, polkit, a real kernel and both partitions: ``device_table``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet

from .desk import Desk
from .device_events import SETTLED, Row, answers_again
from .device_table import SHORT, TABLE, UNPROVEN, name, play
from .machine import Machine
from .sockets import LaptopDesk
from .usb_peer.malformed import MALFORMED

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def the_desk(light_machine: Machine) -> Iterator[Desk]:
    with LaptopDesk(light_machine) as desk:
        answers_again(desk)
        yield desk


@pytest.fixture
def desk(the_desk: Desk) -> Iterator[Desk]:
    """The desk, as empty after a test as before."""
    yield the_desk
    the_desk.clear()


ROWS = TABLE + (UNPROVEN if os.environ.get("TWINHULL_LAB_UNPROVEN") else [])


def _parameter(row: Row) -> ParameterSet:
    marks = [pytest.mark.short] if (row.kind, row.event) in SHORT else []
    return pytest.param(row, marks=marks, id=name(row))


@pytest.mark.parametrize("row", [_parameter(row) for row in ROWS])
def test_where_it_goes(desk: Desk, row: Row) -> None:
    play(desk, row)


def test_a_device_that_the_kernel_gives_up_on_is_nowhere(desk: Desk) -> None:
    plugged = desk.plug(MALFORMED["second-configuration-missing"](), 1)
    assert plugged.peer.wait(lambda record: len(record.requests) > 4)
    time.sleep(SETTLED)
    usb = desk.usb().get(plugged.port)
    assert usb is None or usb["authorized"] == "0"
    desk.never_used(plugged)


@pytest.mark.short
def test_the_host_never_had_a_disk(desk: Desk) -> None:
    """After everything above: no disk of USB was ever there, nor the driver for one."""
    assert "usb-storage" not in desk.root("dmesg")
    assert "usb_storage" not in desk.root("lsmod")

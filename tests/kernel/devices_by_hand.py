"""The table of devices on a laptop with systemd, libvirt, both QEMUs and a kernel that is a process.

By hand: ``pytest tests/kernel/devices_by_hand.py``, as root. Making the laptop takes minutes, a row up
to half a minute. Rows with a hub need a controller that takes one: in ``tests/lab``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.disk.settings import DIRECTORY

from tests.lab.device_events import Row
from tests.lab.device_table import TABLE, UNPROVEN, name
from tests.leaks.inside import Played

from .devices_inside import MOUNTS
from .laptop import laptop

pytestmark = pytest.mark.timeout(1800)
WITH_A_HUB = ("behind_a_hub", "hub_pulled_in_use")
ROWS = [row for row in (*TABLE, *UNPROVEN) if row.event not in WITH_A_HUB]


@pytest.fixture(scope="module")
def installed(kernel_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with laptop(kernel_program, tmp_path_factory.mktemp("images")) as played:
        yield played


def test_both_partitions_run_in_volumes_on_dm_crypt(installed: Played) -> None:
    mounted = {line.split()[1]: line.split()[0] for line in installed.play_named(MOUNTS).splitlines()}
    for partition in ("corporate", "personal"):
        assert mounted[str(DIRECTORY / partition)].startswith("/dev/mapper/")


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_it_goes_where_policy_says(installed: Played, row: Row) -> None:
    installed.play_named(name(row))

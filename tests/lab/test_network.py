"""The leak table once more in the virtual laptop, whose kernel has a WireGuard of its own.

Without ``--long`` one row of each event on each underlay that it has.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from tests.leaks.scenario import Scenario
from tests.leaks.table import ROWS
from tests.support.source import ROOT

from .conftest import say
from .image import base_image
from .installed import laptop
from .machine import Disks, LaptopFailed, Machine

PLACE = "/usr/src/leaks"
NEEDED = (
    "tests/__init__.py",
    "tests/leaks",
    "tests/support",
    "tests/lab",
    "policy",
    "hypervisor",
    "installer",
)
LIBRARIES = "/opt/twinhull/venvs/*/bin/python"
"""The locked libraries, as the laptop's disk has them before Twinhull is installed."""
OF_THE_KERNEL = [row for row in ROWS if "wireguard-go" not in row.id]
"""All but those that end or stop the process which the kernel's tunnel does not have."""

pytestmark = pytest.mark.timeout(1800)


def chosen(*, every: bool) -> list[Scenario]:
    """The rows to play, in the table's order."""
    if every:
        return OF_THE_KERNEL
    ordered = sorted(OF_THE_KERNEL, key=lambda row: (row.event, row.underlay))
    firsts = [next(rows) for _, rows in groupby(ordered, key=lambda row: (row.event, row.underlay))]
    return sorted(firsts, key=OF_THE_KERNEL.index)


class Played:
    """The table's stage, in the laptop.

    Attributes:
        kind: of the tunnel it has, as netd calls it.
    """

    def __init__(self, machine: Machine) -> None:
        packed = subprocess.run(
            ["tar", "-C", str(ROOT), "-cz", "--exclude=__pycache__", *NEEDED], capture_output=True, check=True
        ).stdout
        machine.ssh("mkdir", "-p", PLACE)
        subprocess.run([*machine.ssh_command(), "tar", "-C", PLACE, "-xz"], input=packed, check=True)
        path = ":".join(f"{PLACE}/{part}" for part in ("", "policy", "hypervisor", "installer"))
        command = f"exec env PYTHONPATH={path} {LIBRARIES} -m tests.lab.network_inside"
        self._process = subprocess.Popen(
            [*machine.ssh_command(), "--", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.kind = self._answer()

    def play(self, row: Scenario) -> None:
        """Play one row. Raises LaptopFailed with what that one says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{row.id}\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LaptopFailed("the stage in the laptop ended")
        said = json.loads(line)
        if "error" in said:
            raise LaptopFailed(said["error"])
        return said["answer"]

    def close(self) -> None:
        """End it: its input ends."""
        self._process.communicate(timeout=300)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The stage in a laptop that was just switched on, without Twinhull's services."""
    with laptop(tmp_path_factory.mktemp("laptop"), Disks(base_image(say))) as machine:
        stage = Played(machine)
        yield stage
        stage.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row."""
    if "row" in metafunc.fixturenames:
        rows = chosen(every=bool(metafunc.config.getoption("--long")))
        metafunc.parametrize("row", rows, ids=[row.id for row in rows])


def test_the_tunnel_is_the_kernels(played: Played) -> None:
    assert played.kind == "wireguard-kernel"


def test_nothing_leaks(played: Played, row: Scenario) -> None:
    played.play(row)

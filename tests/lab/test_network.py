"""The leak table once more in the virtual laptop, whose kernel has a WireGuard of its own.

Without ``--long`` one row of each event.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.leaks.inside import MODULE, Played, chosen
from tests.leaks.scenario import Scenario
from tests.support.source import ROOT

from .conftest import say
from .image import base_image
from .installed import laptop
from .machine import Disks, Machine

PLACE = "/usr/src/leaks"
NEEDED = (
    "tests/__init__.py",
    "tests/leaks",
    "tests/support",
    "policy",
    "hypervisor",
    "installer",
)
LIBRARIES = "/opt/twinhull/venvs/*/bin/python"
"""The locked libraries, as the laptop's disk has them before Twinhull is installed."""

pytestmark = pytest.mark.timeout(1800)


@contextmanager
def stage_in(machine: Machine) -> Iterator[Played]:
    """The table's stage in a laptop that is on."""
    packed = subprocess.run(
        ["tar", "-C", str(ROOT), "-cz", "--exclude=__pycache__", *NEEDED], capture_output=True, check=True
    ).stdout
    machine.ssh("mkdir", "-p", PLACE)
    subprocess.run([*machine.ssh_command(), "tar", "-C", PLACE, "-xz"], input=packed, check=True)
    path = ":".join(f"{PLACE}/{part}" for part in ("", "policy", "hypervisor", "installer"))
    command = f"exec env PYTHONPATH={path} {LIBRARIES} -m {MODULE}"
    with subprocess.Popen(
        [*machine.ssh_command(), "--", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        stage = Played(process.stdin.write, process.stdout.readline)
        yield stage
        stage.end()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The stage in a laptop that was just switched on, without Twinhull's services."""
    disks = Disks(base_image(say))
    with laptop(tmp_path_factory.mktemp("laptop"), disks) as machine, stage_in(machine) as stage:
        yield stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row."""
    if "row" in metafunc.fixturenames:
        rows = chosen(every=bool(metafunc.config.getoption("--long")), own_kernel=False)
        metafunc.parametrize("row", rows, ids=[row.id for row in rows])


def test_the_tunnel_is_the_kernels(played: Played) -> None:
    assert played.kind == "wireguard-kernel"


def test_nothing_leaks(played: Played, row: Scenario) -> None:
    played.play(row)

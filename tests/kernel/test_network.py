"""The leak table once more on the kernel's own WireGuard, and what only a kernel of one's own can go through.

Without ``--long`` one row of each event.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.leaks.inside import MODULE, OF_THE_KERNEL, Played, chosen
from tests.leaks.mutations import MUTATIONS
from tests.leaks.scenario import Scenario
from tests.support.source import ROOT

from .machine import booted

SLEEPLESS = [
    row for row in OF_THE_KERNEL if row.own_kernel and row.family == 4 and row.underlay == "ethernet"
]
"""Of each line that only a kernel of its own plays, one row."""

pytestmark = pytest.mark.timeout(1800)


@contextmanager
def stage_in(kernel_program: Path, *mutation: str) -> Iterator[Played]:
    """The table's stage in a kernel that just booted."""
    parts = (ROOT, *(ROOT / part for part in ("policy", "hypervisor", "installer")))
    environment = {"PYTHONPATH": ":".join(map(str, parts)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", MODULE, *mutation]
    with booted(kernel_program, command, environment=environment) as machine:
        stage = Played(
            lambda text: machine.stdin.write(text.encode()), lambda: machine.read_line() + "\n", machine.wake
        )
        yield stage
        stage.end()
        assert machine.wait() == 0


@pytest.fixture(scope="module")
def played(kernel_program: Path) -> Iterator[Played]:
    with stage_in(kernel_program) as stage:
        yield stage


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row."""
    if "row" in metafunc.fixturenames:
        rows = chosen(every=bool(metafunc.config.getoption("--long")), own_kernel=True)
        metafunc.parametrize("row", rows, ids=[row.id for row in rows])


def test_the_tunnel_is_the_kernels(played: Played) -> None:
    assert played.kind == "wireguard-kernel"


def test_nothing_leaks(played: Played, row: Scenario) -> None:
    played.play(row)


def test_a_hole_is_seen_in_what_only_plays_here(kernel_program: Path) -> None:
    (copied_out,) = [mutation for mutation in MUTATIONS if mutation.name == "copied out"]
    assert {(row.event, row.name) for row in SLEEPLESS} == {
        (row.event, row.name) for row in OF_THE_KERNEL if row.own_kernel
    }
    with stage_in(kernel_program, copied_out.name) as broken:
        for row in SLEEPLESS:
            with pytest.raises(AssertionError, match=copied_out.complaint):
                broken.play(row)

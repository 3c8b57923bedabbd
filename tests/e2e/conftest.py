"""One installed laptop for all end-to-end tests: made by the quickstart, removed by it afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.laptop import REPOSITORY, Laptop
from tests.support.quickstart import claim


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that install the laptop themselves come before those that find it installed."""
    items.sort(key=lambda item: item.path.name != "test_interrupted.py")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What makes the random choices of a test, printed with its failure."""
    chosen = int(request.config.getoption("--seed"))
    sys.stdout.write(f"--seed={chosen}\n")
    return chosen


@pytest.fixture(scope="session")
def laptop(request: pytest.FixtureRequest) -> Iterator[Laptop]:
    """The quickstart's small laptop with both partitions up, taken down at the end.

    A quickstart that fails fails every test with what it printed.
    """
    claim()
    installed = subprocess.run(
        [REPOSITORY / "installer/quickstart", "--small", "--headless", "--yes"],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert installed.returncode == 0, installed.stdout[-4000:] + installed.stderr[-4000:]
    yield Laptop(installed.stdout)
    if request.config.getoption("--keep-laptop"):
        return
    removed = subprocess.run(
        [REPOSITORY / "installer/quickstart", "--down"], capture_output=True, text=True, timeout=300
    )
    assert removed.returncode == 0, removed.stdout[-4000:] + removed.stderr[-4000:]


@pytest.fixture
def both_running(laptop: Laptop) -> Laptop:
    """The laptop with both partitions running and their guests up."""
    for partition in ("corporate", "personal"):
        laptop.ensure_running(partition)
    return laptop

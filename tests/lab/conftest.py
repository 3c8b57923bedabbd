"""Virtual laptops for tests: one saved state, and a laptop of its own from it for each module or test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installed import installed, laptop, light, light_is_there, renew
from .machine import Disks, Machine


def say(sentence: str) -> None:
    """Progress past pytest's capture: making a laptop takes minutes."""
    print(sentence, file=sys.__stderr__, flush=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--short`` only what is marked so."""
    if config.getoption("--short"):
        here = Path(__file__).parent
        left_out = [i for i in items if here in i.path.parents and not i.get_closest_marker("short")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def disks(pytestconfig: pytest.Config) -> Disks:
    """A laptop with Twinhull installed, to start from; its guests are real ones and run under KVM."""
    if not pytestconfig.getoption("--kvm-inside"):
        pytest.skip("KVM inside the virtual laptop is not sound (docs/known-issues.md)")
    return installed(say)


@pytest.fixture(scope="module")
def light_machine(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One laptop whose guests do nothing, for the tests of a module."""
    short = bool(pytestconfig.getoption("--short"))
    if short and not light_is_there():
        pytest.skip("the virtual laptop was not made yet (installer/test --lab makes it)")
    disks = light(say)
    with laptop(tmp_path_factory.mktemp("laptop"), disks) as started:
        renew(started, disks, short=short)
        yield started


@pytest.fixture(scope="module")
def machine(disks: Disks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One laptop for the tests of a module, in seconds from the saved state."""
    with laptop(tmp_path_factory.mktemp("laptop"), disks) as started:
        yield started


@pytest.fixture
def own_machine(disks: Disks, tmp_path: Path) -> Iterator[Machine]:
    """A laptop that a test may ruin."""
    with laptop(tmp_path / "laptop", disks) as started:
        yield started

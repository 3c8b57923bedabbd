"""Virtual laptops for tests: one saved state, and a laptop of its own from it for each module or test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installed import installed, laptop
from .machine import Disks, Machine


def say(sentence: str) -> None:
    """Progress past pytest's capture: making a laptop takes minutes."""
    print(sentence, file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def disks() -> Disks:
    """A laptop with Twinhull installed, to start from."""
    return installed(say)


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

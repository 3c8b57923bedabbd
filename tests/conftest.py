"""Options and fixtures that several kinds of test share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.standin_daemon import StandInDaemon, standin_daemon

# A loaded machine is slow, and that is no finding.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Flags: golden files that are rewritten are then reviewed like code."""
    parser.addoption("--rewrite-golden", action="store_true", help="write golden files instead of comparing")
    parser.addoption("--seed", type=int, default=2, help="of the e2e tests' random choices")
    parser.addoption("--short", action="store_true", help="the most telling of the virtual laptop's tests")
    parser.addoption("--kvm-inside", action="store_true", help="also those whose guests need KVM in it (lab)")
    parser.addoption("--long", action="store_true", help="try everywhere what is else tried at some places")
    parser.addoption("--keep-laptop", action="store_true", help="leave the e2e laptop installed")


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written."""
    return bool(request.config.getoption("--rewrite-golden"))


@pytest.fixture
def passable() -> Iterator[Path]:
    """A directory that other users may pass through.

    Not below pytest's own: each pytest that starts on the machine closes that to other users anew.
    """
    with tempfile.TemporaryDirectory(prefix="th-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandInDaemon]:
    """The stand-in daemon on a private bus, which takes the place of the system bus."""
    with standin_daemon(tmp_path) as daemon:
        yield daemon

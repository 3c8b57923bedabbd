"""Fixtures that several kinds of test share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.standin_daemon import StandInDaemon, standin_daemon


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandInDaemon]:
    """The stand-in daemon on a private bus, which takes the place of the system bus."""
    with standin_daemon(tmp_path) as daemon:
        yield daemon

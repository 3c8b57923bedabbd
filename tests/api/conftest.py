"""A fleet server and a laptop's fetch service, as real processes. Modules may have others of these names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet_processes import FetchService, FleetServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FleetServer]:
    """A server that was just initialised, with no administrators' address."""
    fleet = FleetServer(tmp_path / "server")
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[FetchService]:
    """A laptop that is not enrolled yet."""
    (tmp_path / "laptop").mkdir()
    service = FetchService(tmp_path / "laptop")
    service.start()
    try:
        yield service
    finally:
        service.stop()

"""The leak table, played: each row on real namespaces, tap, WireGuard and netd, with captures around it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .scenario import Scenario
from .stage import Stage, stage
from .table import ANYWHERE


@pytest.fixture(scope="module")
def playing() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.mark.parametrize("row", ANYWHERE, ids=lambda row: row.id)
def test_nothing_leaks(playing: Stage, row: Scenario) -> None:
    playing.play(row)

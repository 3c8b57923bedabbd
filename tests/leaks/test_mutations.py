"""Each line of the table fails once the confinement is broken on purpose (tests/leaks/mutations.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .mutations import MUTATIONS, Mutation, broken
from .scenario import Scenario
from .stage import Stage
from .table import ROWS

CASES = [(mutation, row) for mutation in MUTATIONS for row in mutation.rows()]


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with broken(request.param) as made:
        yield made


@pytest.mark.parametrize(
    ("playing", "row"),
    [
        pytest.param(mutation, (mutation, row), id=f"{mutation.name}: {row.event}: {row.name}")
        for mutation, row in CASES
    ],
    indirect=["playing"],
)
def test_a_broken_confinement_is_seen(playing: Stage, row: tuple[Mutation, Scenario]) -> None:
    mutation, scenario = row
    with pytest.raises(AssertionError, match=mutation.complaint):
        playing.play(scenario)


def test_every_line_is_made_fail_by_one() -> None:
    made = {(row.event, row.name) for _, row in CASES}
    assert {(row.event, row.name) for row in ROWS} - made == set()

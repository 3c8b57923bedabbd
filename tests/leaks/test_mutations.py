"""Each line of the table fails once the confinement is broken on purpose (tests/leaks/mutations.py).

Without ``--long`` one line of each event does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .mutations import MUTATIONS, Mutation, broken
from .scenario import Scenario
from .stage import Stage
from .table import ROWS

CASES = [(mutation, row) for mutation in MUTATIONS for row in mutation.rows()]
HERE = [(mutation, row) for mutation, row in CASES if not row.own_kernel]
"""The others are played by tests/kernel/test_network.py."""


def chosen(*, every: bool) -> list[tuple[Mutation, Scenario]]:
    """Every line, or of each event one, by each mutation at least once."""
    seen: set[str] = set()
    found = []
    for mutation, row in HERE:
        if every or not {mutation.name, row.event} <= seen:
            found.append((mutation, row))
            seen |= {mutation.name, row.event}
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each line; with ``--long`` for all of them."""
    if "playing" in metafunc.fixturenames:
        parameters = [
            pytest.param(mutation, (mutation, row), id=f"{mutation.name}: {row.event}: {row.name}")
            for mutation, row in chosen(every=bool(metafunc.config.getoption("--long")))
        ]
        metafunc.parametrize(("playing", "row"), parameters, indirect=["playing"])


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with broken(request.param) as made:
        yield made


def test_a_broken_confinement_is_seen(playing: Stage, row: tuple[Mutation, Scenario]) -> None:
    mutation, scenario = row
    with pytest.raises(AssertionError, match=mutation.complaint):
        playing.play(scenario)


def test_every_line_is_made_fail_by_one() -> None:
    made = {(row.event, row.name) for _, row in CASES}
    assert {(row.event, row.name) for row in ROWS} - made == set()

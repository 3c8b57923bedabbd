"""The state table of the corporate tunnel: total, and fail-closed."""

from __future__ import annotations

from dataclasses import fields
from itertools import product

import pytest
from twinhull_hypervisor.network.states import TABLE, Facts, as_markdown, decide

from tests.support.source import ROOT

ALL_FACTS = [Facts(*values) for values in product((False, True), repeat=len(fields(Facts)))]

EXPECTED = [
    (Facts(False, False, False, False, False, False), "down", False),
    (Facts(True, False, True, True, True, True), "error", False),
    (Facts(True, True, False, True, True, True), "error", False),
    (Facts(True, True, True, False, True, True), "blocked", False),
    (Facts(True, True, True, True, False, False), "blocked", False),
    (Facts(True, True, True, True, True, False), "connecting", True),
    (Facts(True, True, True, True, True, True), "up", True),
]


@pytest.mark.parametrize(("facts", "state", "guest_link"), EXPECTED)
def test_each_row(facts: Facts, state: str, guest_link: bool) -> None:
    row = decide(facts)
    assert (row.state, row.guest_link) == (state, guest_link)


@pytest.mark.parametrize("facts", ALL_FACTS, ids=str)
def test_every_combination_has_a_row_and_fails_closed(facts: Facts) -> None:
    row = decide(facts)
    assert bool(row.reason) is (row.state != "up")
    if row.guest_link:
        assert facts.built
        assert facts.confined
        assert facts.firewall
        assert facts.proven
        assert facts.tunnel


def test_every_row_is_reached() -> None:
    assert {id(decide(facts)) for facts in ALL_FACTS} == {id(row) for row in TABLE}


def test_the_documentation_shows_this_table() -> None:
    assert as_markdown() in (ROOT / "docs" / "network.md").read_text()

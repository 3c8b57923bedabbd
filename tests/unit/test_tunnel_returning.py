"""Going back to a gateway that the policy prefers: the table is total, documented, and slow to be fooled."""

from __future__ import annotations

from dataclasses import fields
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.network.returning import (
    APART_SECONDS,
    ASK_SECONDS,
    FIRST_SECONDS,
    LONGEST_SECONDS,
    STEADY_SECONDS,
    TABLE,
    Facts,
    Move,
    Return,
    as_markdown,
    decide,
)

from tests.support.source import ROOT

ALL_FACTS = [Facts(*values) for values in product((False, True), repeat=len(fields(Facts)))]
FIRST, NOBODY = frozenset({0}), frozenset[int]()
N, A, O, L, S, B = Move.NOTHING, Move.ASK, Move.ONCE_MORE, Move.LESS_OFTEN, Move.STOP, Move.GO_BACK  # noqa: E741
Look = tuple[float, int, frozenset[int], frozenset[int], Move]
"""When, the gateway in use, who may be asked, who has answered, and what is done."""

T0 = FIRST_SECONDS
T1 = T0 + 1 + APART_SECONDS
CASES: dict[str, list[Look]] = {
    "the first is in use": [(0, 0, NOBODY, NOBODY, N), (1e6, 0, NOBODY, NOBODY, N)],
    "the first comes back": [
        (0, 1, FIRST, NOBODY, N),
        (T0 - 1, 1, FIRST, NOBODY, N),
        (T0, 1, FIRST, NOBODY, A),
        (T0 + 0.5, 1, FIRST, NOBODY, N),
        (T0 + 1, 1, FIRST, FIRST, O),
        (T0 + 2, 1, FIRST, NOBODY, N),
        (T1, 1, FIRST, NOBODY, A),
        (T1 + 1, 1, FIRST, FIRST, B),
        (T1 + 9999, 0, NOBODY, NOBODY, N),
    ],
    "it stays dead, and is asked half as often": [
        (0, 1, FIRST, NOBODY, N),
        (T0, 1, FIRST, NOBODY, A),
        (T0 + ASK_SECONDS, 1, FIRST, NOBODY, L),
        (T0 + ASK_SECONDS + 2 * FIRST_SECONDS - 1, 1, FIRST, NOBODY, N),
        (T0 + ASK_SECONDS + 2 * FIRST_SECONDS, 1, FIRST, NOBODY, A),
    ],
    "it answers once and then no more": [
        (0, 1, FIRST, NOBODY, N),
        (T0, 1, FIRST, NOBODY, A),
        (T0 + 1, 1, FIRST, FIRST, O),
        (T1, 1, FIRST, NOBODY, A),
        (T1 + ASK_SECONDS, 1, FIRST, NOBODY, L),
        (T1 + ASK_SECONDS + 2 * FIRST_SECONDS, 1, FIRST, NOBODY, A),
        (T1 + ASK_SECONDS + 2 * FIRST_SECONDS + 1, 1, FIRST, FIRST, O),
    ],
    "the one in use falls silent while it is asked": [
        (0, 1, FIRST, NOBODY, N),
        (T0, 1, FIRST, NOBODY, A),
        (T0 + 1, 1, NOBODY, NOBODY, S),
        (T0 + 2, 1, NOBODY, NOBODY, N),
    ],
    "the second answers, and later the first": [
        (0, 2, frozenset({0, 1}), NOBODY, N),
        (T0, 2, frozenset({0, 1}), NOBODY, A),
        (T0 + 1, 2, frozenset({0, 1}), frozenset({1}), O),
        (T1, 2, frozenset({0, 1}), NOBODY, A),
        (T1 + 1, 2, frozenset({0, 1}), frozenset({1}), B),
        (T1 + 1 + FIRST_SECONDS, 1, FIRST, NOBODY, A),
        (T1 + 2 + FIRST_SECONDS, 1, FIRST, FIRST, O),
    ],
    "another answers the second time": [
        (0, 2, frozenset({0, 1}), NOBODY, N),
        (T0, 2, frozenset({0, 1}), NOBODY, A),
        (T0 + 1, 2, frozenset({0, 1}), frozenset({1}), O),
        (T1, 2, frozenset({0, 1}), NOBODY, A),
        (T1 + 1, 2, frozenset({0, 1}), FIRST, O),
    ],
    "it fails soon after the return, and is left alone for longer": [
        (0, 1, FIRST, NOBODY, N),
        (T0, 1, FIRST, NOBODY, A),
        (T0 + 1, 1, FIRST, FIRST, O),
        (T1, 1, FIRST, NOBODY, A),
        (T1 + 1, 1, FIRST, FIRST, B),
        (T1 + 10, 1, FIRST, NOBODY, N),
        (T1 + 10 + FIRST_SECONDS, 1, FIRST, NOBODY, N),
        (T1 + 10 + 2 * FIRST_SECONDS, 1, FIRST, NOBODY, A),
    ],
    "it fails long after the return": [
        (0, 1, FIRST, NOBODY, N),
        (T0, 1, FIRST, NOBODY, A),
        (T0 + 1, 1, FIRST, FIRST, O),
        (T1, 1, FIRST, NOBODY, A),
        (T1 + 1, 1, FIRST, FIRST, B),
        (T1 + 2 + STEADY_SECONDS, 1, FIRST, NOBODY, N),
        (T1 + 2 + STEADY_SECONDS + FIRST_SECONDS, 1, FIRST, NOBODY, A),
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_done(name: str) -> None:
    judge = Return()
    moves = [
        judge.judge(now, chosen, may_ask, answered)[0] for now, chosen, may_ask, answered, _ in CASES[name]
    ]
    assert moves == [expected for *_, expected in CASES[name]]


def test_a_tunnel_that_was_started_over_asks_nobody_and_looks_around_again() -> None:
    judge = Return()
    judge.judge(0, 1, FIRST, NOBODY)
    assert judge.judge(T0, 1, FIRST, NOBODY)[0] is Move.ASK
    judge.started_over(T0 + 1)
    assert not judge.asking
    assert judge.judge(T0 + 2, 1, FIRST, FIRST)[0] is Move.NOTHING
    assert judge.judge(T0 + 1 + FIRST_SECONDS, 1, FIRST, NOBODY)[0] is Move.ASK


@pytest.mark.parametrize("facts", ALL_FACTS, ids=str)
def test_every_combination_has_a_row_and_only_two_answers_move_the_tunnel(facts: Facts) -> None:
    if decide(facts) is Move.GO_BACK:
        assert facts.candidates
        assert facts.asking
        assert facts.answered
        assert facts.before


def test_every_row_is_reached() -> None:
    reached = set()
    for facts in ALL_FACTS:
        for row in TABLE:
            if all(getattr(row, f.name) in (None, getattr(facts, f.name)) for f in fields(Facts)):
                reached.add(id(row))
                break
    assert reached == {id(row) for row in TABLE}


def test_the_documentation_shows_this_table() -> None:
    assert as_markdown() in (ROOT / "docs" / "network.md").read_text()


@given(st.lists(st.tuples(st.floats(0.1, 120), st.booleans()), min_size=1, max_size=80))
def test_a_gateway_that_comes_and_goes_is_asked_ever_less_often(looks: list[tuple[float, bool]]) -> None:
    judge = Return()
    now, chosen, asked_at, answers_in_a_row = 0.0, 1, None, 0
    for step, answers in looks:
        now += step
        answered = FIRST if answers and judge.asking else NOBODY
        before_asking = judge.asking
        move, chosen, seconds = judge.judge(now, chosen, FIRST if chosen else NOBODY, answered)
        assert 0 <= seconds <= LONGEST_SECONDS
        if move is Move.ASK:
            assert not before_asking
            assert asked_at is None or now - asked_at >= APART_SECONDS
            asked_at = now
        answers_in_a_row = (
            answers_in_a_row + 1
            if move in (Move.ONCE_MORE, Move.GO_BACK)
            else (0 if move is Move.LESS_OFTEN else answers_in_a_row)
        )
        if move is Move.GO_BACK:
            assert answers_in_a_row >= 2
            assert chosen == 0
            answers_in_a_row, chosen = 0, 1  # and fails at once

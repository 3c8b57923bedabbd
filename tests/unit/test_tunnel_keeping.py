"""When the tunnel is started over, and with whom: a table of what happens to a laptop."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.network.keeping import (
    FIRST_SECONDS,
    LONGEST_SECONDS,
    PATIENCE_SECONDS,
    SILENT_SECONDS,
    Pulse,
    Seen,
    Step,
)
from twinhull_hypervisor.network.underlay import Path

HOME = Path("wlan0", IPv4Address("192.0.2.7"), IPv4Address("192.0.2.1"), 1500)
CAFE = Path("wlan0", IPv4Address("198.51.100.7"), IPv4Address("198.51.100.1"), 1500)
CABLE = Path("eth0", IPv4Address("192.0.2.8"), IPv4Address("192.0.2.1"), 1500)
CALM = Seen(now=0.0, asleep=0.0, path=HOME, answer_age=5.0, received=1000, sent=1000, gateways=1)
UNANSWERED = replace(CALM, answer_age=None, received=0, sent=148)


def steps(first: Seen, *changes: dict[str, object]) -> list[Step]:
    """What is done at each of several looks, each changed from the one before."""
    pulse = Pulse()
    looks = [first]
    for change in changes:
        looks.append(replace(looks[-1], **change))  # type: ignore[arg-type]  # the fields of Seen, by name
    return [pulse.judge(look)[0] for look in looks]


N, R, X = Step.NOTHING, Step.RENEW, Step.NEXT
CASES: dict[str, tuple[Seen, list[dict[str, object]], list[Step]]] = {
    "nothing happens": (CALM, [{"now": 60.0, "answer_age": 65.0}], [N, N]),
    "only keepalives are sent for two minutes": (CALM, [{"now": 120.0, "sent": 1160}], [N, N]),
    "it slept": (CALM, [{"now": 1.0, "asleep": 3600.0}], [N, R]),
    "the clocks differ a little": (CALM, [{"now": 1.0, "asleep": 0.5}], [N, N]),
    "another network": (CALM, [{"now": 1.0, "path": CAFE}], [N, R]),
    "from wireless to cable": (CALM, [{"now": 1.0, "path": CABLE}], [N, R]),
    "less fits through": (CALM, [{"now": 1.0, "path": replace(HOME, mtu=1280)}], [N, N]),
    "no network, and the same again": (CALM, [{"now": 1.0, "path": None}, {"path": HOME}], [N, N, R]),
    "no network for long": (CALM, [{"now": 9.0, "path": None, "gateways": 2}, {"now": 99.0}], [N, N, N]),
    "a session ends": (
        CALM,
        [{"now": 1.0, "answer_age": 200.0}, {"now": 2.0, "answer_age": None}],
        [N, R, N],
    ),
    "data goes unanswered": (
        CALM,
        [{"now": 5.0, "sent": 9000}, {"now": SILENT_SECONDS + 1, "sent": 10_000}],
        [N, N, R],
    ),
    "data is answered late": (
        CALM,
        [{"now": 11.0, "sent": 9000}, {"now": 11.5, "received": 1032}, {"now": 23.0, "sent": 9100}],
        [N, N, N, N],
    ),
    "unanswered while the key is rotated": (
        replace(CALM, rotating=True),
        [{"now": 1.0, "sent": 9000}, {"now": 3.5, "sent": 10_000}],
        [N, N, R],
    ),
    "no answer at the start": (
        UNANSWERED,
        [{"now": 1.0}, {"now": FIRST_SECONDS}, {"now": 2.0}],
        [N, N, R, N],
    ),
    "no answer, and another gateway": (
        replace(UNANSWERED, gateways=2),
        [{"now": 2.0}, {"now": PATIENCE_SECONDS}, {"now": PATIENCE_SECONDS + 1}],
        [N, R, X, N],
    ),
    "no answer by any gateway": (
        replace(UNANSWERED, gateways=2),
        [{"now": 8.0}, {"now": 15.0}, {"now": 16.0}, {"now": 24.0}],
        [N, X, R, X, X],
    ),
    "it answers in time": (
        replace(UNANSWERED, gateways=2),
        [{"now": 7.5}, {"now": 8.0, "answer_age": 0.1, "received": 92}, {"now": 13.0, "answer_age": 5.1}],
        [N, R, N, N],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_happens_to_a_laptop(name: str) -> None:
    first, changes, expected = CASES[name]
    assert steps(first, *changes) == expected


def test_a_slow_link_gets_through() -> None:
    """Each wait is longer than the one before, up to WireGuard's own."""
    pulse = Pulse()
    asked = []
    now = 0.0
    while now < 60:
        step, seconds = pulse.judge(replace(UNANSWERED, now=now))
        assert seconds <= FIRST_SECONDS
        if step is Step.RENEW:
            asked.append(now)
        now += 0.25
    waits = [b - a for a, b in pairwise(asked)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_SECONDS


LOOKS = st.builds(
    Seen,
    now=st.floats(0, 1e6),
    asleep=st.floats(0, 1e6),
    path=st.sampled_from([None, HOME, CAFE, CABLE]),
    answer_age=st.none() | st.floats(0, 1000),
    received=st.integers(0, 2**40),
    sent=st.integers(0, 2**40),
    gateways=st.integers(1, 16),
)


@given(st.lists(LOOKS, max_size=30))
def test_it_never_asks_too_often_and_never_of_nobody(looks: list[Seen]) -> None:
    pulse = Pulse()
    for look in looks:
        step, seconds = pulse.judge(look)
        assert 0 < seconds <= 60
        if look.path is None:
            assert step is Step.NOTHING
        if look.gateways == 1:
            assert step is not Step.NEXT

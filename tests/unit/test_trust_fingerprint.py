"""What a person compares: one value for both pins, in one form, and nothing that only looks like it."""

from __future__ import annotations

import pytest
from twinhull_policy.trust.fingerprint import normal_fingerprint, server_fingerprint

ROOT, CA = "1" * 64, "2" * 64
SHOWN = server_fingerprint(ROOT, CA)


def test_another_root_or_another_ca_is_another_fingerprint() -> None:
    others = {
        server_fingerprint("3" * 64, CA),
        server_fingerprint(ROOT, "3" * 64),
        server_fingerprint(CA, ROOT),
    }
    assert len(others | {SHOWN}) == 4


def test_eight_groups_of_four_digits() -> None:
    groups = SHOWN.split(" ")
    assert [len(group) for group in groups] == [4] * 8
    assert set("".join(groups)) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "typed", [SHOWN, SHOWN.upper(), SHOWN.replace(" ", ""), SHOWN.replace(" ", ":"), f"  {SHOWN}\n"]
)
def test_however_it_was_typed(typed: str) -> None:
    assert normal_fingerprint(typed) == SHOWN


@pytest.mark.parametrize(
    "typed", ["", SHOWN[:-1], SHOWN + "0", SHOWN.replace(SHOWN[0], "g"), "٣" * 32, "0" * 10**6]
)
def test_what_is_none(typed: str) -> None:
    assert normal_fingerprint(typed) == ""

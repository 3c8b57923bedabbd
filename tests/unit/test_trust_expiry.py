"""What a laptop says of trust that runs out: in time, once for each part, and not before."""

from __future__ import annotations

import pytest
from twinhull_policy.trust.expiry import DAY, ROOT_DAYS, TARGETS_DAYS, expiry_warnings

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("root_left", "targets_left", "said"),
    [
        (None, None, []),
        (ROOT_DAYS * DAY + 1, TARGETS_DAYS * DAY + 1, []),
        (ROOT_DAYS * DAY, TARGETS_DAYS * DAY + 1, ["root of trust expires in 30 days"]),
        (ROOT_DAYS * DAY + 1, TARGETS_DAYS * DAY, ["list of images expires in 14 days"]),
        (1, None, ["root of trust expires in 0 days"]),
        (0, -5 * DAY, ["root of trust has expired", "list of images has expired"]),
    ],
)
def test_what_ends_soon_is_said(root_left: int | None, targets_left: int | None, said: list[str]) -> None:
    warnings = expiry_warnings(
        0 if root_left is None else NOW + root_left, 0 if targets_left is None else NOW + targets_left, NOW
    )
    assert len(warnings) == len(said)
    for warning, part in zip(warnings, said, strict=True):
        assert warning.startswith(f"The company's {part}: ")
        assert warning.endswith("Tell your administrator.")

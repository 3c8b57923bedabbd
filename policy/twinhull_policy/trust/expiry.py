"""What of the trust a laptop holds runs out soon: its owner can tell the administrator in time. Pure."""

from __future__ import annotations

DAY = 86_400
ROOT_DAYS = 30
TARGETS_DAYS = 14
"""From so many days before the end on it is told; the server's own warnings come earlier."""


def expiry_warnings(root_expires_at: int, targets_expires_at: int, now: int) -> list[str]:
    """A sentence for each of the root of trust and the list of images that ends soon or has ended.

    Times are seconds since the epoch; 0 stands for one that the laptop does not have.
    """
    found = []
    for what, ends, days in (
        ("root of trust", root_expires_at, ROOT_DAYS),
        ("list of images", targets_expires_at, TARGETS_DAYS),
    ):
        left = ends - now
        if not ends or left > days * DAY:
            continue
        when = "has expired" if left <= 0 else f"expires in {left // DAY} days"
        found.append(
            f"The company's {what} {when}: without a new one no new policy is accepted. "
            "Tell your administrator."
        )
    return found

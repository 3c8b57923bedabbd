"""The closed sets of names that cross process boundaries (design.md section 2)."""

from __future__ import annotations

import re
from enum import StrEnum

NAME_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,31}")


class Partition(StrEnum):
    """The partitions that exist. Clients send these names and nothing else."""

    CORPORATE = "corporate"
    PERSONAL = "personal"


def is_name(untrusted_name: str) -> bool:
    """Whether a string has the shape of a Twinhull name."""
    return NAME_PATTERN.fullmatch(untrusted_name) is not None

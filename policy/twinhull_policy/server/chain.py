"""The audit log's hash chain: each line's hash covers the one before it, so that no line can be changed,
left out or put in between without every later hash being wrong. Pure.

What a chain cannot show by itself is that its *end* was cut off: compare the newest hash with one noted
elsewhere (``twinhull-server audit verify --head``).
"""

from __future__ import annotations

import hashlib
import json


def link(before: str, number: int, at: float, actor: str, action: str, detail: str) -> str:
    """The hash of one line: SHA-256 (hex) over the hash before it (empty for the first) and the line itself.

    Times count in whole microseconds, so that no database's idea of a float matters.
    """
    line = json.dumps([before, number, round(at * 1e6), actor, action, detail], separators=(",", ":"))
    return hashlib.sha256(line.encode()).hexdigest()

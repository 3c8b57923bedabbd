"""Bounded reading of files a person names."""

from __future__ import annotations

import sys
from pathlib import Path

from twinhull_policy.errors import printable

from twinhull_client.errors import FileNotReadable


def read_bytes(path: Path, limit: int) -> bytes:
    """At most ``limit`` + 1 bytes of a file, so that the reader of them can tell that it is too long.

    ``-`` is standard input. Raises FileNotReadable.
    """
    try:
        if str(path) == "-":
            return sys.stdin.buffer.read(limit + 1)
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise FileNotReadable(path=printable(str(path), 120), reason=error.strerror or "unknown") from error

"""What may have become of a state database, whoever or whatever did it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

PAGE = 4096
"""SQLite's, in bytes, unless it is told otherwise (PRAGMA page_size)."""


def _truncate(share: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


def _flip(path: Path) -> None:
    """One bit of the position's sequence number, which SQLite takes for as good as any."""
    content = bytearray(path.read_bytes())
    content[content.index(b'"seq":1') + 6] ^= 2
    path.write_bytes(content)


def _page(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:PAGE] + b"\xff" * PAGE + content[2 * PAGE :])


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.commit()
    connection.close()


def empty(path: Path) -> None:
    """Nothing is left in the file."""
    path.write_bytes(b"")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("else")


def _gone(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated to nothing but a page": lambda path: os.truncate(path, PAGE),
    "truncated to half": _truncate(0.5),
    "truncated within a page": _truncate(0.7),
    "a page overwritten": _page,
    "a bit flipped": _flip,
    "a newer schema": _newer,
    "empty": empty,
    "a directory": _directory,
    "gone": _gone,
}
"""By what happened: each does it to the file of that path."""

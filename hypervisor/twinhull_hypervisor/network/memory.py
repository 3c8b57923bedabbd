"""Small files in netd's state directory, replaced atomically."""

from __future__ import annotations

import os
from pathlib import Path


def remember(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new (P9)."""
    temporary = path.with_suffix(".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def recall(path: Path) -> bytes | None:
    """The content, or None."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def forget(path: Path) -> None:
    """Remove it unless it is gone."""
    path.unlink(missing_ok=True)

"""Files a person names: bounded reading, and making new ones that are theirs alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from twinhull_policy.errors import printable

from twinhull_client.errors import FileNotReadable, FileNotWritable


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


@contextmanager
def created(path: Path) -> Iterator[IO[str]]:
    """A new file, readable by its owner alone; gone again if what is done with it fails.

    Raises:
        FileNotWritable: there is such a file already, or it cannot be made.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FileNotWritable(path=printable(str(path), 120), reason=error.strerror) from error
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise

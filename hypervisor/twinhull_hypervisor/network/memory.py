"""What netd remembers of a namespace: small files in its state directory, replaced atomically.

A memory counts only for the very namespace it was made of. After a reboot, or once the namespace was deleted
and made again, there is nothing to recall, so the files may outlive what they tell of and never lie.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from . import namespaces

T = TypeVar("T", bound=msgspec.Struct)


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: which namespace, by :func:`.namespaces.identity`, and what is remembered of it."""

    namespace: str
    content: msgspec.Raw


class Memory(Generic[T]):
    """One thing remembered of one namespace.

    Args:
        path: the file.
        shape: what it holds.
        namespace: the name of the namespace it is about.
    """

    def __init__(self, path: Path, shape: type[T], namespace: str) -> None:
        self._path = path
        self._shape = shape
        self._namespace = namespace

    def remember(self, content: T) -> None:
        """Write it so that a crash leaves the old content or the new (P9)."""
        kept = _Kept(namespaces.identity(self._namespace), msgspec.Raw(msgspec.json.encode(content)))
        temporary = self._path.with_suffix(".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def recall(self) -> T | None:
        """What is remembered of the namespace that is there now; None if nothing is.

        A file of another version of netd, which has another form, tells nothing either.
        """
        if not namespaces.exists(self._namespace):
            return None
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
            if kept.namespace != namespaces.identity(self._namespace):
                return None
            return msgspec.json.decode(kept.content, type=self._shape)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def forget(self) -> None:
        """Remove it unless it is gone."""
        self._path.unlink(missing_ok=True)

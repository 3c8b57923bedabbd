"""From rows to structs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what the store returns: one row, named and typed."""


def record(kind: type[T], row: Any) -> T:
    """One row as a struct; columns the struct does not name are left out."""
    # A column may be named by a quoted_name, which is no plain str to msgspec.
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, kind)


def records(kind: type[T], rows: Iterable[Any]) -> list[T]:
    """Rows as structs."""
    return [record(kind, row) for row in rows]

"""Small changes to a source tree of somebody else's, which fail once they no longer fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SourceChanged(AssertionError):
    """The source is not what the edits were written for: see whether it is right by now."""


@dataclass(frozen=True)
class Edit:
    """One place in the source, and what it becomes."""

    file: str
    old: str
    new: str


def apply(edit: Edit, tree: Path) -> None:
    """Make one edit in a source tree.

    Raises:
        SourceChanged: the place is not there exactly once.
    """
    path = tree / edit.file
    text = path.read_text() if path.exists() else ""
    if text.count(edit.old) != 1:
        raise SourceChanged(f"{edit.file} has {text.count(edit.old)} times {edit.old.strip()!r}, not once")
    path.write_text(text.replace(edit.old, edit.new))

"""Power cuts: what the one durable-write module did to the disk is noted, and played back up to any moment.

Between two syncs a file system may have written all, nothing, or parts of what was asked for (ALICE, OSDI
2014). Three of these are played for each moment: everything that was asked for; only what was synced; and
everything, but of files that were not synced half the content.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from twinhull_hypervisor.fetch import durable

Way = Literal["all", "synced", "torn"]
WAYS: tuple[Way, ...] = ("all", "synced", "torn")
Operation = tuple[Literal["create", "sync", "rename", "remove"], Path, Path | bytes | None]


class Recorder(durable.Disk):
    """Does it, and notes it."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def create(self, path: Path, content: bytes, mode: int) -> None:
        super().create(path, content, mode)
        self.operations.append(("create", path, content))

    def sync(self, path: Path, flags: int = 0) -> None:
        super().sync(path, flags)
        self.operations.append(("sync", path, None))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.operations.append(("rename", old, new))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.operations.append(("remove", path, None))


@contextmanager
def recorded(keep: Path) -> Iterator[Recorder]:
    """Note what is done; only what is below ``keep`` counts."""
    recorder, before = Recorder(), durable.disk
    durable.disk = recorder
    modules = [m for m in (durable, *_users()) if getattr(m, "disk", None) is before]
    for module in modules:
        module.disk = recorder  # type: ignore[attr-defined]
    try:
        yield recorder
    finally:
        durable.disk = before
        for module in modules:
            module.disk = before  # type: ignore[attr-defined]
        recorder.operations = [op for op in recorder.operations if op[1].is_relative_to(keep)]


def _users() -> list[object]:
    from twinhull_hypervisor.fetch import inbox

    return [inbox]


def play(before: Path, base: Path, operations: list[Operation], way: Way, into: Path) -> None:
    """Make ``into`` what a disk that was ``before`` holds after ``operations`` and a power cut.

    ``base`` is where the operations happened; files outside what they touched are as before.
    """
    shutil.copytree(before, into, symlinks=True)
    start = {path.relative_to(before): path.read_bytes() for path in before.rglob("*") if path.is_file()}
    now, synced, on_disk = dict(start), dict(start), dict(start)
    for kind, path, more in operations:
        name = path.relative_to(base)
        if kind == "create" and isinstance(more, bytes):
            now[name] = more
            synced[name] = b""
        elif kind == "rename" and isinstance(more, Path):
            other = more.relative_to(base)
            now[other], synced[other] = now.pop(name), synced.pop(name)
        elif kind == "remove":
            now.pop(name, None)
            synced.pop(name, None)
        elif kind == "sync" and path.is_dir():
            inside = {entry for entry in now if entry.parent == name}
            for entry in [entry for entry in on_disk if entry.parent == name and entry not in inside]:
                del on_disk[entry]
            on_disk |= {entry: synced[entry] for entry in inside}
        elif kind == "sync":
            synced[name] = now.get(name, b"")
    result = {
        "all": now,
        "synced": on_disk,
        "torn": {n: c if synced.get(n) == c else c[: len(c) // 2] for n, c in now.items()},
    }[way]
    for path in [path for path in into.rglob("*") if path.is_file()]:
        if path.relative_to(into) not in result:
            path.unlink()
    for name, content in result.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        if not (into / name).exists() or (into / name).read_bytes() != content:
            (into / name).write_bytes(content)

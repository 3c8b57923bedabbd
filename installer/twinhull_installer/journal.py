"""What the quickstart made, written down before it is made, so that ``--down`` removes just that."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from twinhull_installer import paths
from twinhull_installer.errors import AlreadyRunning, NotOurs

Kind = Literal["file", "link", "tree", "user", "group", "daemon", "network"]
KINDS = frozenset(get_args(Kind))
ORPHAN_SECONDS = 300.0
"""How long a run waits for the commands of a killed one: an image build takes a minute or two to unwind."""

OUR_PATHS = (
    paths.PREFIX, paths.STATE, paths.SERVICE_LOGS, paths.SERVICE_RUN, paths.DAEMON_RUN, paths.CACHE,
    paths.HOST_SETTINGS.parent, paths.BUS_POLICY, paths.POLKIT_ACTIONS, paths.POLKIT_OWNER_RULE,
    paths.SYSUSERS, paths.TMPFILES, paths.LOCK, Path("/run/twinhull"), Path("/run/twinhull-devd"),
    Path("/run/twinhull-blockd"),
    paths.MODPROBE_USB, paths.MODULES_USB, paths.UDEV_USB,
    Path("/var/lib/twinhull"), Path("/var/lib/twinhull-netd"), Path("/var/lib/twinhull-diskd"),
    Path("/var/lib/twinhull-fetch"), Path("/var/lib/twinhull-server"), Path("/home") / paths.OWNER,
)  # fmt: skip
"""Everything the journal may name for removal, besides links in COMMANDS and units called twinhull*."""


@dataclass(frozen=True)
class Made:
    """One thing the quickstart made. ``name`` is a path, an account or a daemon."""

    kind: Kind
    name: str


class Journal:
    """The list of things made, oldest first, in one JSON file replaced whole at each change."""

    def __init__(self, path: Path = paths.JOURNAL) -> None:
        self.path = path

    def entries(self) -> list[Made]:
        """Everything recorded; empty when there is no file."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return []
        return [
            Made(item["kind"], item["name"]) for item in json.loads(text)["made"] if item["kind"] in KINDS
        ]

    def add(self, kind: Kind, name: str | Path) -> None:
        """Record that something is about to be made. Recording it again changes nothing."""
        made = Made(kind, str(name))
        entries = self.entries()
        if made not in entries:
            self._write([*entries, made])

    def remove(self, made: Made) -> None:
        """Strike something out that is gone now."""
        self._write([entry for entry in self.entries() if entry != made])

    def has(self, kind: Kind, name: str | Path) -> bool:
        """Whether we made it."""
        return Made(kind, str(name)) in self.entries()

    def file(self, path: Path, content: str, mode: int = 0o644) -> bool:
        """Write a file whole, recording it if it was not there; returns whether anything changed."""
        if path.is_file() and path.read_text("utf-8") == content:
            return False
        self.directory(path.parent)
        if not path.exists():
            self.add("file", path)
        write_whole(path, content, mode)
        return True

    def directory(self, path: Path, mode: int = 0o755) -> None:
        """Make a directory; recorded only if it is one of ours and was not there."""
        if path.is_dir():
            return
        if is_ours(path):
            self.add("tree", path)
        path.mkdir(mode=mode, parents=True)
        path.chmod(mode)

    def link(self, path: Path, target: Path) -> None:
        """Point a symbolic link somewhere, in one step; a file already there that is not ours is left alone.

        Raises:
            NotOurs: something else has that name.
        """
        if path.is_symlink() and path.readlink() == target:
            return
        if path.exists() and not self.has("link", path):
            raise NotOurs(path=path)
        self.add("link", path)
        temporary = _unfinished(path)
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.rename(path)

    def _write(self, entries: list[Made]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        items = [{"kind": entry.kind, "name": entry.name} for entry in entries]
        write_whole(self.path, json.dumps({"made": items}, indent=1) + "\n", 0o600)


def write_whole(path: Path, content: str, mode: int) -> None:
    """Replace a file so that a crash leaves the old one or the new one."""
    temporary = _unfinished(path)
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    temporary.rename(path)


def _unfinished(path: Path) -> Path:
    """What a file or link is called until it is whole."""
    return path.with_name(f".{path.name}.new")


def is_ours(path: Path) -> bool:
    """Whether a path is one the quickstart makes, so that a tampered journal removes no other."""
    if ".." in path.parts or not path.is_absolute():
        return False
    if path.parent in (paths.COMMANDS, paths.SYSTEMD_UNITS):
        return path.name.startswith("twinhull")
    return any(path == ours or ours in path.parents for ours in OUR_PATHS)


def remove_path(path: Path) -> None:
    """Remove a file, a link (never what it points to) or a directory of ours.

    Raises:
        NotOurs: it is not one the quickstart makes.
    """
    if not is_ours(path):
        raise NotOurs(path=path)
    if path.is_symlink() or path.is_file() or path.is_socket():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    _unfinished(path).unlink(missing_ok=True)


@contextmanager
def exclusive(state: Path = paths.STATE, lock: Path = paths.LOCK) -> Iterator[int]:
    """Let only one installer run at a time, and only once the commands of one that was killed have ended.

    Args:
        state: the state directory, made where it is missing; locked by the run itself.
        lock: a file locked by the run and by each of its commands, which inherit the descriptor.

    Yields:
        That descriptor, for :attr:`.run.Runner.held`.

    Raises:
        AlreadyRunning: another one does, or what it left running does not end within ORPHAN_SECONDS.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    shared = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _lock(own, 0.0)
        _lock(shared, ORPHAN_SECONDS)
        yield shared
    finally:
        os.close(shared)
        os.close(own)


def _lock(descriptor: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise AlreadyRunning from error
            time.sleep(0.1)
        else:
            return

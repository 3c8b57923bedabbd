"""Telling processes apart by more than their pid, so that nothing but our own is ever stopped."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A process: its pid and when it started, in clock ticks since boot (proc(5), field 22 of stat)."""

    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"


def identify(pid: int) -> Identity | None:
    """The process that has this pid now, None if there is none (a zombie counts as none)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else Identity(pid, int(fields[19]))


def parse(text: str) -> Identity | None:
    """The identity in a pid file, None if it is not one."""
    words = text.split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    return Identity(int(words[0]), int(words[1]))


def alive(identity: Identity) -> bool:
    """Whether this very process still runs."""
    return identify(identity.pid) == identity


def stop(identity: Identity, timeout: float) -> bool:
    """End this very process: SIGTERM, SIGKILL after ``timeout`` seconds. False if it had gone already."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        # The descriptor pins the process, so a check made now holds when the signal is sent.
        if not alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not _ended(descriptor, timeout):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            _ended(descriptor, 10.0)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _ended(descriptor: int, timeout: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(timeout * 1000))


def of_this_system(pid: int) -> bool:
    """Whether a process is of this system, and not of a container on it whose processes are seen, too."""
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def find(program: str) -> Identity | None:
    """A running process whose executable or first argument is ``program``, full path; the oldest one."""
    for entry in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            executable = str(Path(f"/proc/{entry}/exe").readlink()).removesuffix(" (deleted)")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if executable == os.path.realpath(program) and of_this_system(entry):
            return identify(entry)
    return None


def with_arguments() -> list[tuple[Identity, list[str]]]:
    """Every process and its argument list."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            identity = identify(int(entry.name))
            if identity is not None and of_this_system(identity.pid):
                found.append((identity, [os.fsdecode(word) for word in words]))
    return found


def of_user(uid: int) -> list[Identity]:
    """The processes that run as a user."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                identity = identify(int(entry.name)) if entry.stat().st_uid == uid else None
            except FileNotFoundError:
                continue
            if identity is not None and of_this_system(identity.pid):
                found.append(identity)
    return found

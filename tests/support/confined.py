"""Run a program under the system call filter of a unit file, as systemd would: for machines without systemd.

``/usr/bin/python3 confined.py UNIT PROGRAM ARGUMENT…`` applies ``SystemCallFilter``,
``MemoryDenyWriteExecute`` and ``NoNewPrivileges`` and becomes the program. What is in a set like
``@system-service`` is asked of ``systemd-analyze``, and the rules on memory are those of systemd's
``seccomp_memory_deny_write_execute`` (src/shared/seccomp-util.c). It needs python3-seccomp, which the
system's Python has.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

PROT_WRITE, PROT_EXEC = 2, 4
SHM_EXEC = 0o100000


def members(name: str) -> set[str]:
    """The system calls of a set, and of the sets in it (systemd.exec(5))."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(
        ["/usr/bin/systemd-analyze", "syscall-filter", name],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    words = [line.strip() for line in shown.stdout.splitlines()[1:] if line.startswith("    ")]
    return {call for word in words if word and word[0] != "#" for call in members(word)}


def allowed(unit: str) -> set[str]:
    """What the lines ``SystemCallFilter=`` leave, in their order."""
    calls: set[str] = set()
    for line in unit.splitlines():
        if line.startswith("SystemCallFilter="):
            value = line.partition("=")[2]
            named = {call for word in value.lstrip("~").split() for call in members(word)}
            calls = calls - named if value.startswith("~") else calls | named
    return calls


def confine(unit: str) -> None:
    """Apply it to this process, for good."""
    import seccomp  # type: ignore[import-not-found]

    # What systemd lets through whatever the filter says: it has to start the program.
    calls = allowed(unit) | members("@default")
    rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    guarded = set()
    if "MemoryDenyWriteExecute=yes" in unit.splitlines():
        guarded = {"mmap", "mprotect", "pkey_mprotect", "shmat"}
        both = PROT_WRITE | PROT_EXEC
        for bits in (0, PROT_WRITE, PROT_EXEC):
            rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, both, bits))
        for call in ("mprotect", "pkey_mprotect"):
            rules.add_rule(seccomp.ALLOW, call, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
        rules.add_rule(seccomp.ALLOW, "shmat", seccomp.Arg(2, seccomp.MASKED_EQ, SHM_EXEC, 0))
    for call in sorted(calls - guarded):
        try:
            rules.add_rule(seccomp.ALLOW, call)
        except (RuntimeError, ValueError):  # a call that this architecture or libseccomp does not have
            continue
    rules.load()


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text()
    confine(text)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - it becomes the program that it confines

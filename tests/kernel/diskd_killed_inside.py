"""Runs in a kernel of its own: diskd is killed before each transition of what it does, and the core goes on.

A transition is what changes a file, a device or the kernel: a program that is run, an ioctl, a file that is
opened for writing, gets another name or goes. Prints one JSON object: by change, what it was killed before.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from twinhull_hypervisor.storage import slots
from twinhull_policy.errors import TwinhullError

from .volumes_inside import LAPTOP, SOCKET, Inside

PASSPHRASE, TEXT = "correct horse battery", "from before"
TOLD = Path("/run/killed-before")
MOST = 80
SOME: Mapping[str, Iterable[int]] = {"unlock": (8,)}
"""The container is mapped, and not mounted yet."""
KILLED_DISKD = """
import os, signal, sys
from pathlib import Path
from twinhull_hypervisor.disk import main, service

STEPS = {{"subprocess.Popen", "fcntl.ioctl", "os.rename", "os.remove", "os.mkdir", "open"}}
left = {number}
begun = False

def step(event, arguments):
    global left, begun
    if not begun or event not in STEPS:
        return
    if event == "open" and not int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
        return
    if arguments[0] == os.devnull:
        return
    if left == 0:
        begun = False
        what = arguments[0]
        where = Path({told!r})
        where.write_text(f"{{event}} {{what if isinstance(what, (str, bytes)) else ''}}")
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

def at_work(self, *arguments, done=service.Diskd._done):
    global begun
    begun = True
    try:
        return done(self, *arguments)
    finally:
        begun = False

service.Diskd._done = at_work
sys.addaudithook(step)
main.main()
"""


class Doomed(Inside):
    """A laptop whose diskd ends when it is told to."""

    def killed(self, number: int, change: str) -> str:
        """Do something that diskd is killed in, and start it anew; before which transition, or nothing."""
        self._anew(KILLED_DISKD.format(number=number, told=str(TOLD)))
        TOLD.unlink(missing_ok=True)
        try:
            CHANGES[change](self)
        except TwinhullError:
            if not TOLD.exists():
                raise
        if TOLD.exists():
            self._process.wait()
        self._anew()
        return TOLD.read_text() if TOLD.exists() else ""

    def _anew(self, *code: str) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        SOCKET.unlink(missing_ok=True)
        self._start_diskd(*code)

    def make(self) -> None:
        """A volume that was used, and is open."""
        if self.state() == "absent":
            self.create(PASSPHRASE)
            self.write(TEXT)
        self.unlock(PASSPHRASE)

    def judge(self, change: str) -> None:
        """It can be done to its end, nothing was lost, and nothing is left over."""
        if change == "wipe":
            assert self.wipe() == []
            left = sorted(path.suffix for path in (LAPTOP / "containers").iterdir())
            assert (left, self.state()) == ([""], "absent"), left
            return
        if change == "create" and self.state() == "absent":
            self.create(PASSPHRASE)
        if change == "unlock":
            self.unlock(PASSPHRASE)
        self.lock()
        assert self.state() == "locked"
        devices = self.ran("losetup", "--list", "--noheadings")
        assert (devices, Path("/dev/mapper/twinhull-personal").exists()) == ("", False), devices
        self.unlock(PASSPHRASE)
        if change == "create":
            self.write(TEXT)
        assert self.holds(TEXT)
        header = self.header()
        assert header.count("PBKDF:") == 1 and header.count("Area offset:") == 1, "no key is left over"


CHANGES = {
    "create": lambda inside: inside.create(PASSPHRASE),
    "unlock": lambda inside: inside.unlock(PASSPHRASE),
    "lock": lambda inside: inside.lock(),
    "rotate": lambda inside: inside.rotate(PASSPHRASE),
    "wipe": lambda inside: inside.wipe(),
}


def tried(inside: Doomed, change: str, numbers: Iterable[int]) -> list[str]:
    """Kill it before the transitions of a change that have these numbers, or as many as there are; those."""
    found: list[str] = []
    for number in numbers:
        if change == "create":
            if inside.state() != "absent":
                inside.unlock(PASSPHRASE)
                inside.wipe()
        else:
            inside.make()
        if change == "unlock":
            inside.lock()
        before = inside.killed(number, change)
        try:
            inside.judge(change)
        except Exception as error:
            said = getattr(error, "stderr", "")
            raise AssertionError(f"{change}, killed before {number}: {before!r}: {error} {said}") from error
        if not before:
            return found
        found.append(before)
    return found


def main(which: str) -> None:
    """Each transition of each change, or those of SOME."""
    # Its work is seconds here, and is tried where there is a process for each part.
    vars(slots)["derive"] = lambda secret, salt, _: hashlib.sha256(salt + secret).digest()
    inside = Doomed({"gib": 3}, None)
    numbers: Mapping[str, Iterable[int]] = (
        {change: range(MOST) for change in CHANGES} if which == "every" else SOME
    )
    result = {change: tried(inside, change, some) for change, some in numbers.items()}
    inside._process.terminate()
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

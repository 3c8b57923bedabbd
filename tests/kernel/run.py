"""Run a command in a kernel of its own: ``python -m tests.kernel.run [--share DIR]... COMMAND...``.

It runs as root over this machine's files; what it changes there is forgotten afterwards, but below the shared
directories. Whatever the command prints is printed, and its exit status is this one's.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import build
from .machine import booted

MEMORY = 2048
"""MiB; pages that are never touched cost this machine nothing."""
KEPT = ("PYTHONPATH", "QT_QPA_PLATFORM", "CI")


def main(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tests.kernel.run", description=(__doc__ or "").partition(":")[0])
    parser.add_argument(
        "--share", action="append", default=[], type=Path, help="a directory that is the real one"
    )
    parser.add_argument(
        "--disk", action="append", default=[], type=Path, help="a file that is /dev/ubda, ubdb..."
    )
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    program = build.kernel()
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    with booted(
        program,
        options.command,
        environment={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        directory=Path.cwd(),
        shared=[path.resolve() for path in options.share],
        disks=[path.resolve() for path in options.disk],
        memory=MEMORY,
    ) as kernel:
        for line in kernel.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.flush()
        return kernel.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

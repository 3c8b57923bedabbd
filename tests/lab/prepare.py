"""Makes what virtual laptops are started from, while other tests run: ``python -m tests.lab.prepare``."""

from __future__ import annotations

import signal
import sys

from .emulator import emulator
from .image import base_image
from .payload import payload


def main() -> int:
    """Build what is not there yet (minutes); a line for each part that is."""
    # An exit and no sudden end: programs under way are stopped, and half-built parts removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    emulator(_say)
    base_image(_say)
    payload(_say)
    return 0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Runs inside the virtual laptop: the quickstart for guests with neither agent nor screen (``tiny``).

Everything but what only a guest could do is as for everybody.
"""

from __future__ import annotations

import sys
from pathlib import Path

SOURCE = Path("/usr/src/twinhull")
sys.path.insert(0, str(SOURCE / "installer"))

from twinhull_installer import laptop  # noqa: E402 - found there
from twinhull_installer.main import main  # noqa: E402 - found there

if __name__ == "__main__":
    laptop.guest_answers = lambda context, partition: True
    laptop.picture_done = lambda context: True
    sys.exit(main(["--small", "--headless", "--yes"], SOURCE))

"""Entry point of ``twinhull-blockd``."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from .. import ipc
from .client import SOCKET_PATH
from .service import CONNECTIONS, Blockd

DIRECTORY = Path("/run/twinhull-blockd")
"""RuntimeDirectory= of its unit, and what QEMU's AppArmor profile lets it connect to."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="twinhull-blockd", description="Twinhull's read-only storage.")
    parser.add_argument("--socket", type=Path, default=SOCKET_PATH, metavar="PATH")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, metavar="DIR")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    blockd = Blockd(options.directory)
    with ipc.listening_socket(options.socket, 0o600) as listener:
        logging.getLogger(__name__).info("serving on %s", options.socket)
        # devd asks, which is root.
        ipc.serve(listener, blockd.handlers, frozenset({0}), connections=CONNECTIONS)
    return 0

"""Entry point of ``twinhull-tpmd``."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from .. import ipc
from .chip import DEVICE, Chip
from .client import SOCKET_PATH
from .service import CONNECTIONS, Tpmd


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="twinhull-tpmd", description="Twinhull's keeper of the TPM.")
    parser.add_argument("--socket", type=Path, default=SOCKET_PATH, metavar="PATH")
    parser.add_argument("--tcti", default=DEVICE, help="how the chip is reached, as libtss2-tctildr has it")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    # The stack would write each refusal of the chip to standard error; they are told as errors.
    os.environ.setdefault("TSS2_LOG", "all+none")
    tpmd = Tpmd(Chip(options.tcti))
    with ipc.listening_socket(options.socket) as listener:
        ipc.give_to_core(options.socket)
        logging.getLogger(__name__).info("serving on %s", options.socket)
        ipc.serve(listener, tpmd.handlers, ipc.core_uids(), connections=CONNECTIONS)
    return 0

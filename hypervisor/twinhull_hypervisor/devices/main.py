"""Entry point of ``twinhull-devd``: the service, or with ``--early`` or ``--release`` one errand."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..block.client import SOCKET_PATH as BLOCKD
from ..ipc import Watchers, core_uids, give_to_core, listening_socket, serve
from .client import SOCKET_PATH
from .devd import MAX_CONNECTIONS, Devd
from .early import Early
from .record import RECORD, Record
from .results import Event
from .tree import UsbTree
from .udev import keep_drivers_out, let_drivers_in
from .uevents import Uevents

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is ended. ``--release`` gives the controllers back what they had before."""
    parser = argparse.ArgumentParser(prog="twinhull-devd", description="Twinhull's device helper.")
    parser.add_argument("--socket", type=Path, default=SOCKET_PATH, metavar="PATH")
    parser.add_argument("--blockd", type=Path, default=BLOCKD, metavar="PATH")
    parser.add_argument("--record", type=Path, default=RECORD, metavar="FILE")
    parser.add_argument("--sysfs", type=Path, default=Path("/sys"), metavar="DIR")
    errand = parser.add_mutually_exclusive_group()
    errand.add_argument("--early", action="store_true", help="block all but input and hubs at boot, and end")
    errand.add_argument("--release", action="store_true", help="undo the restriction of this boot and end")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    tree, record = UsbTree(options.sysfs), Record(options.record)
    if options.early:
        Early(tree, record, options.sysfs).run()
        return 0
    if options.release:
        let_drivers_in()
        tree.release(record.forget())
        return 0
    keep_drivers_out()
    watchers = Watchers(lost=Event(event="lost"))
    devd = Devd(tree, options.sysfs, record, watchers, blockd=options.blockd)
    Uevents(watchers.tell, devd.restrict_controller, devd.bound).start()
    # Once more: a controller that came between the first look and the first uevent.
    devd.restrict()
    with listening_socket(options.socket) as listener:
        give_to_core(options.socket)
        logger.info("serving on %s", options.socket)
        serve(listener, devd.handlers, core_uids(), connections=MAX_CONNECTIONS)
    return 0

"""Entry point of ``twinhull-devd``: the service, or with ``--early`` or ``--release`` one errand."""

from __future__ import annotations

import argparse
import grp
import logging
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from ..ipc import listening_socket
from .client import SOCKET_PATH
from .devd import Devd, serve
from .early import Early
from .record import RECORD, Record
from .tree import UsbTree
from .udev import keep_drivers_out, let_drivers_in
from .uevents import Uevents
from .watchers import Watchers

logger = logging.getLogger(__name__)

CORE_USER = "twinhull"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is ended. ``--release`` gives the controllers back what they had before."""
    parser = argparse.ArgumentParser(prog="twinhull-devd", description="Twinhull's device helper.")
    parser.add_argument("--socket", type=Path, default=SOCKET_PATH, metavar="PATH")
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
    watchers = Watchers()
    devd = Devd(tree, options.sysfs, record, watchers)
    Uevents(watchers.tell, devd.restrict_controller).start()
    # Once more: a controller that came between the first look and the first uevent.
    devd.restrict()
    with listening_socket(options.socket) as listener:
        _give_to_core(options.socket)
        logger.info("serving on %s", options.socket)
        serve(listener, devd, frozenset({0}) | _core_uid())
    return 0


def _core_uid() -> frozenset[int]:
    try:
        return frozenset({pwd.getpwnam(CORE_USER).pw_uid})
    except KeyError:
        logger.warning("there is no user %s; only root is answered", CORE_USER)
        return frozenset()


def _give_to_core(path: Path) -> None:
    """Let the core's group connect; SO_PEERCRED still decides who is answered."""
    try:
        gid = grp.getgrnam(CORE_USER).gr_gid
    except KeyError:
        return
    if path.is_socket() and path.stat().st_uid == os.getuid() and path.stat().st_gid != gid:
        try:
            os.chown(path, -1, gid)
        except PermissionError:
            logger.warning("%s stays root's alone: devd was not started in group %s", path, CORE_USER)

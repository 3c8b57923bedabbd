"""Entry point of ``twinhull-diskd``."""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from .. import ipc
from .client import SOCKET_PATH
from .container import Container
from .probe import probe
from .service import CONNECTIONS, Diskd
from .settings import DIRECTORY, SETTINGS_PATH, load


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="twinhull-diskd", description="Twinhull's keeper of volumes.")
    parser.add_argument("--socket", type=Path, default=SOCKET_PATH, metavar="PATH")
    parser.add_argument("--settings", type=Path, default=SETTINGS_PATH, metavar="PATH")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="only say whether the settings can be used")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    try:
        settings = load(options.settings)
    except TwinhullError as error:
        sys.stderr.write(f"{error.message}\n{error.code}. {error.next_step}\n")
        return error.blame.exit_status
    if options.check:
        return 0
    try:
        account = pwd.getpwnam(ipc.CORE_USER)
        owner = account.pw_uid, account.pw_gid
    except KeyError:  # the core runs as whoever runs this
        owner = os.getuid(), os.getgid()
    containers = {name: Container(name, settings.of(name), options.directory, *owner) for name in Partition}
    diskd = Diskd(containers, probe)
    with ipc.listening_socket(options.socket) as listener:
        ipc.give_to_core(options.socket)
        logging.getLogger(__name__).info("serving on %s", options.socket)
        ipc.serve(listener, diskd.handlers, ipc.core_uids(), connections=CONNECTIONS)
    return 0

"""``twinhull-fetch``: a TUF client for one directory, and the service that talks to the fleet server."""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.trust.limits import LIMITS as TRUST_LIMITS

from .download import download
from .errors import BadArguments, LocalFailure, TrustedRootUnusable
from .http import PoolFetcher
from .repository import Repository


def parser() -> argparse.ArgumentParser:
    """The command line of design.md section 9, and ``serve``."""
    top = argparse.ArgumentParser(prog="twinhull-fetch", description=__doc__)
    top.add_argument("--metadata-dir", type=Path, help="directory of the trusted metadata")
    top.add_argument("--metadata-url", help="where the repository's metadata is")
    top.add_argument("--target-name", help="target to download")
    top.add_argument("--target-base-url", help="where the repository's targets are")
    top.add_argument("--target-dir", type=Path, help="directory to download into")
    commands = top.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="trust a root from now on")
    init.add_argument("trusted_root", type=Path)
    commands.add_parser("refresh", help="bring the metadata up to date")
    commands.add_parser("download", help="bring one target")
    serve = commands.add_parser("serve", help="follow the fleet server, for the core daemon")
    serve.add_argument("--dir", type=Path, default=Path("/var/lib/twinhull-fetch"))
    serve.add_argument("--socket", type=Path, default=Path("/run/twinhull/fetch.sock"))
    return top


def main() -> None:
    """Run; every failure leaves as one sentence with a code, never as a traceback."""
    arguments = parser().parse_args()
    run: dict[str, Callable[[argparse.Namespace], None]] = {
        "init": _init,
        "refresh": _refresh,
        "download": _download,
        "serve": _serve,
    }
    try:
        run[arguments.command](arguments)
    except TwinhullError as error:
        # What a repository sends is refused or not: 1 (design.md section 9). 4 is for what policy denies.
        status = error.blame.exit_status
        sys.exit(_fail(error, Blame.FAILED.exit_status if error.blame is Blame.DENIED else status))
    except OSError as error:
        detail = f"{error.filename or ''} {error.strerror or error}".strip()
        sys.exit(_fail(LocalFailure(detail=detail), Blame.FAILED.exit_status))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: TwinhullError, status: int) -> int:
    sys.stderr.write(f"twinhull-fetch: {error.code}: {error.message}\n{error.next_step}\n")
    return status


def _init(arguments: argparse.Namespace) -> None:
    _need(arguments, "metadata_dir")
    try:
        with arguments.trusted_root.open("rb") as stream:
            trusted_root = stream.read(TRUST_LIMITS.root_bytes + 1)
    except OSError as error:
        raise TrustedRootUnusable(detail=error.strerror) from error
    if len(trusted_root) > TRUST_LIMITS.root_bytes:
        raise TrustedRootUnusable(detail=f"more than {TRUST_LIMITS.root_bytes} bytes")
    Repository(arguments.metadata_dir, PoolFetcher()).initialise(trusted_root)


def _refresh(arguments: argparse.Namespace) -> None:
    _need(arguments, "metadata_dir", "metadata_url")
    Repository(arguments.metadata_dir, PoolFetcher()).refresh(arguments.metadata_url)


def _download(arguments: argparse.Namespace) -> None:
    _need(arguments, "metadata_dir", "metadata_url", "target_name", "target_base_url", "target_dir")
    fetcher = PoolFetcher()
    name: str = arguments.target_name
    listed = Repository(arguments.metadata_dir, fetcher).find(arguments.metadata_url, name)
    url = f"{arguments.target_base_url.rstrip('/')}/{quote(listed.path)}"
    destination = arguments.target_dir / quote(name, "")
    download(fetcher, url, listed.info, destination, _meter(name, listed.info.length))


def _meter(name: str, length: int) -> Callable[[int], None]:
    """Progress on stderr: a line that rewrites itself on a terminal, nothing where there is none."""
    last = 0.0

    def show(received: int) -> None:
        nonlocal last
        now = time.monotonic()
        if sys.stderr.isatty() and (now - last > 0.2 or received == length):
            last = now
            percent = 100 * received // max(length, 1)
            end = "\n" if received == length else ""
            sys.stderr.write(f"\r{name}: {received / 1e6:.1f} of {length / 1e6:.1f} MB, {percent} %{end}")
            sys.stderr.flush()

    return show


def _serve(arguments: argparse.Namespace) -> None:
    # Imported here: the commands above need nothing of the service's event loop.
    from .service import run_service

    logging.basicConfig(level=logging.INFO, format="ts=%(asctime)s level=%(levelname)s %(name)s %(message)s")
    # It tells of every key that did not sign, which a root signed by two of three always has.
    logging.getLogger("tuf").setLevel(logging.WARNING)
    allowed = {0, os.getuid()}
    try:
        allowed.add(pwd.getpwnam("twinhull").pw_uid)
    except KeyError:
        logging.getLogger("twinhull.fetch").info("there is no user twinhull; only root may connect")
    run_service(arguments.dir, arguments.socket, frozenset(allowed))


def _need(arguments: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) is None:
            raise BadArguments(detail=f"{arguments.command} needs --{name.replace('_', '-')}")

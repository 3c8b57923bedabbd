"""twinhull-netd: the verbs on the two network namespaces, behind one socket.

Root with CAP_NET_ADMIN and CAP_SYS_ADMIN. It keeps nothing running that confinement depends on: if it dies
the namespaces stay as they are, and when it starts again it finds them as they are.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..ipc import Handler, core_uids, give_to_core, listening_socket, serve
from ..settings import SETTINGS_PATH, load_settings
from . import namespaces, taps
from .arguments import (
    CorporateArguments,
    IdentityArgument,
    NoArguments,
    PartitionArgument,
    PersonalArguments,
    parse,
)
from .client import SOCKET_PATH
from .corporate import CorporateSide
from .errors import NetworkChangeFailed, UnderlayMissing
from .personal import PersonalSide
from .plan import SIDES
from .priority import Speed
from .prove import HOLDS_ONLY, prove
from .results import Done, Identity, NetworkStatus, Proof, TapName

logger = logging.getLogger(__name__)

STATE_DIR = Path("/var/lib/twinhull-netd")
MAX_CONNECTIONS = 8

T = TypeVar("T")


class Netd:
    """The verbs; one at a time."""

    def __init__(self, underlay: str, state_dir: Path, speed: Speed) -> None:
        self._underlay = underlay
        self._lock = threading.RLock()
        self._corporate = CorporateSide(underlay, state_dir, self._lock)
        self._personal = PersonalSide(underlay, state_dir, self._lock, speed)
        self._corporate.resume()
        self._personal.resume()

    def handlers(self) -> dict[str, Handler]:
        """The closed set of verbs for :func:`twinhull_hypervisor.ipc.serve`."""
        return {
            "identity": self._verb(IdentityArgument, self._identity),
            "tap": self._verb(PartitionArgument, self._tap),
            "corporate_up": self._verb(CorporateArguments, self._corporate_up),
            "personal_up": self._verb(PersonalArguments, self._personal_up),
            "adopt": self._verb(PartitionArgument, self._adopt),
            "corporate_cut": self._verb(NoArguments, self._corporate_cut),
            "status": self._verb(NoArguments, self._status),
            "prove": self._verb(NoArguments, self._prove),
            "down": self._verb(PartitionArgument, self._down),
        }

    def _verb(self, shape: type[T], work: Callable[[T], Any]) -> Handler:
        def handle(untrusted_arguments: dict[str, Any], fds: list[int]) -> Any:
            for fd in fds:
                os.close(fd)  # no verb takes any
            arguments = parse(untrusted_arguments, shape)
            with self._lock:
                try:
                    return work(arguments)
                except TwinhullError:
                    raise
                except Exception as error:
                    logger.exception("a verb failed")
                    raise NetworkChangeFailed(reason=f"{type(error).__name__}, see the log") from error

        return handle

    def _identity(self, arguments: IdentityArgument) -> Identity:
        return Identity(public_key=self._corporate.tunnel.key.public(next=arguments.next))

    def _tap(self, arguments: PartitionArgument) -> TapName:
        return TapName(tap=taps.make(SIDES[arguments.partition]))

    def _corporate_up(self, arguments: CorporateArguments) -> Done:
        self._need_underlay()
        self._corporate.up(arguments)
        return Done()

    def _personal_up(self, arguments: PersonalArguments) -> Done:
        self._need_underlay()
        self._personal.up(arguments)
        return Done()

    def _corporate_cut(self, _: NoArguments) -> Done:
        self._corporate.cut()
        return Done()

    def _adopt(self, arguments: PartitionArgument) -> Done:
        self._side(arguments.partition).adopt()
        return Done()

    def _status(self, _: NoArguments) -> NetworkStatus:
        row, corporate, tunnel = self._corporate.status()
        reason = row.reason
        if row.state == "error" and corporate.why_not:
            reason = f"{row.reason.rstrip('.')}: {corporate.why_not}."
        return NetworkStatus(
            state=row.state,
            reason=reason,
            corporate=corporate,
            personal=self._personal.status(),
            tunnel=tunnel,
        )

    def _prove(self, _: NoArguments) -> Proof:
        self._need_underlay()
        proof = prove(self._corporate, self._personal)
        # What the namespace holds is looked at each time anyway; a leak that was seen is remembered.
        self._corporate.proved([c.name for c in proof.canaries if not c.passed and c.name != HOLDS_ONLY])
        return proof

    def _down(self, arguments: PartitionArgument) -> Done:
        self._side(arguments.partition).down()
        return Done()

    def _side(self, partition: Partition) -> CorporateSide | PersonalSide:
        return self._corporate if partition is Partition.CORPORATE else self._personal

    def _need_underlay(self) -> None:
        if not namespaces.exists(self._underlay):
            raise UnderlayMissing(namespace=self._underlay)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``twinhull-netd``."""
    parser = argparse.ArgumentParser(prog="twinhull-netd", description="Twinhull's network helper.")
    parser.add_argument("--socket", type=Path, default=SOCKET_PATH, metavar="PATH")
    parser.add_argument("--state-dir", type=Path, default=STATE_DIR, metavar="DIR")
    parser.add_argument("--settings", type=Path, default=SETTINGS_PATH, metavar="FILE")
    parser.add_argument(
        "--make-namespaces", action="store_true", help="make both partitions' network namespaces, and end"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    try:
        if options.make_namespaces:
            for side in SIDES.values():
                namespaces.create(side.namespace)
            return 0
        settings = load_settings(options.settings)
    except TwinhullError as error:
        logger.error("%s %s", error.code, error.message)
        return error.blame.exit_status
    options.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    netd = Netd(
        settings.underlay_namespace,
        options.state_dir,
        Speed(up_mbit=settings.uplink_mbit, down_mbit=settings.downlink_mbit),
    )
    with listening_socket(options.socket) as listener:
        give_to_core(options.socket)
        logger.info("serving on %s", options.socket)
        verbs = netd.handlers()
        serve(listener, lambda _: verbs, core_uids(), connections=MAX_CONNECTIONS)
    return 0

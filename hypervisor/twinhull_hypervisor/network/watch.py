"""Drift watch: pulls the guest's link when its namespace is not, or no longer, what it has to be.

A thread sits inside the namespace and waits for the kernel to say that anything changed there: a link, an
address, a route, a rule, a packet filter, the namespace's name. Then it looks for itself, with the very check
that raises the link. It acts without netd's lock, so a verb in progress never delays it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from twinhull_policy.errors import TwinhullError

from . import events, namespaces
from .errors import NetworkChangeFailed

logger = logging.getLogger(__name__)

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
_IFREQ = struct.Struct("16sh22x")
SWEEP_SECONDS = 10.0
"""Looked at this often as well: the kernel tells nobody of some settings (:mod:`.hardening`)."""


class DriftWatch:
    """Watches one namespace until stopped.

    Args:
        namespace: which.
        tap: the guest's link in it.
        why_not: why the link may not be up, in words; empty when it may.
        turn: held while it looks and pulls, and by whoever looks and raises: so what is pulled was raised
            before it was found wanting, never after.
    """

    def __init__(self, namespace: str, tap: str, why_not: Callable[[], str], turn: threading.RLock) -> None:
        self._namespace = namespace
        self._tap = tap
        self._why_not = why_not
        self._turn = turn
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"drift watch {namespace}", daemon=True)
        self._thread.start()
        self._ready.wait()

    def alive(self) -> bool:
        """Whether it still watches."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it and wait: no thread of ours stays in a namespace that is being emptied."""
        os.close(self._wake_write)
        self._thread.join()
        os.close(self._wake_read)

    def _work(self) -> None:
        try:
            with ExitStack() as stack:
                namespaces.enter(self._namespace)
                own = Path("/proc/thread-self/ns/net").stat().st_ino
                heard = [stack.enter_context(events.of_routes()), stack.enter_context(events.of_filters())]
                names = events.of_names()
                stack.callback(os.close, names)
                self._ready.set()
                self._watch([*(one.fileno() for one in heard), names], own)
        except NetworkChangeFailed:
            logger.warning("namespace %s is gone, nothing to watch", self._namespace)
        finally:
            self._ready.set()

    def _watch(self, heard: list[int], own: int) -> None:
        while True:
            if not self._still_named(own):
                self._pull("its namespace was removed")
                return
            self._look()
            readable, _, _ = select.select([*heard, self._wake_read], [], [], SWEEP_SECONDS)
            if self._wake_read in readable:
                return
            for fd in readable:
                events.discard(fd)

    def _look(self) -> None:
        with self._turn:
            try:
                why_not = self._why_not()
            except TwinhullError as error:
                why_not = error.message  # what cannot be looked at is not confined
            except Exception as error:
                logger.exception("a look failed")
                why_not = f"it could not be looked at: {type(error).__name__}"
            if why_not:
                self._pull(why_not)

    def _still_named(self, own: int) -> bool:
        try:
            return namespaces.path(self._namespace).stat().st_ino == own
        except FileNotFoundError:
            return False

    def _pull(self, why: str) -> None:
        """Take the guest's link down with ioctls (netdevice(7)): the fewest moving parts."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            name = self._tap.encode()
            try:
                _, flags = _IFREQ.unpack(fcntl.ioctl(control, SIOCGIFFLAGS, _IFREQ.pack(name, 0)))
                if not flags & IFF_UP:
                    return
                fcntl.ioctl(control, SIOCSIFFLAGS, _IFREQ.pack(name, flags & ~IFF_UP))
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                return
        logger.error("pulled the guest's link in %s: %s", self._namespace, why)

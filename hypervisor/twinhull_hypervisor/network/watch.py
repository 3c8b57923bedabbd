"""Drift watch: pulls the guest's link when its namespace holds anything it should not.

A thread sits inside the namespace and listens to rtnetlink's link events (rtnetlink(7), RTMGRP_LINK). On
each it lists the interfaces itself; no message is parsed. It acts alone, without netd's lock, so a verb in
progress never delays it.
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
from pathlib import Path

from . import namespaces
from .errors import NetworkChangeFailed

logger = logging.getLogger(__name__)

RTMGRP_LINK = 1
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
_IFREQ = struct.Struct("16sh22x")
CHECK_SECONDS = 0.5
"""Also looked at this often: a namespace removed behind our back sends no event."""


class DriftWatch:
    """Watches one namespace until stopped.

    Attributes:
        drift: what was found, in words, the last time the link was pulled; empty until then.
    """

    def __init__(self, namespace: str, tap: str, allowed: frozenset[str]) -> None:
        self.drift = ""
        self._namespace = namespace
        self._tap = tap
        self._allowed = allowed
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
            namespaces.enter(self._namespace)
            own = Path("/proc/thread-self/ns/net").stat().st_ino
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
                events.bind((0, RTMGRP_LINK))
                self._ready.set()
                self._watch(events, own)
        except NetworkChangeFailed:
            logger.warning("namespace %s is gone, nothing to watch", self._namespace)
        finally:
            self._ready.set()

    def _watch(self, events: socket.socket, own: int) -> None:
        while True:
            self._check()
            if not self._still_named(own):
                self._pull("its namespace was removed")
                return
            readable, _, _ = select.select([events.fileno(), self._wake_read], [], [], CHECK_SECONDS)
            if self._wake_read in readable:
                return
            if readable:
                try:
                    events.recv(65536)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:  # events were lost, but we look for ourselves anyway
                        raise

    def _check(self) -> None:
        foreign = sorted({name for _, name in socket.if_nameindex()} - self._allowed)
        if foreign:
            self._pull(f"it holds {', '.join(foreign)}")

    def _still_named(self, own: int) -> bool:
        try:
            return namespaces.path(self._namespace).stat().st_ino == own
        except FileNotFoundError:
            return False

    def _pull(self, drift: str) -> None:
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
        self.drift = drift
        logger.error("pulled the link of %s: %s", self._namespace, drift)

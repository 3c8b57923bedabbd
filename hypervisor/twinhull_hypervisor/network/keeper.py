"""The thread that keeps the tunnel going: it waits for the underlay's events and for a clock, and looks.

What it may do is start the tunnel over, with the same gateway or the next one, and fit the tunnel's MTU to
the path. It never touches the guest's link, and the confinement does not need it.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable

from twinhull_policy.errors import TwinhullError

from . import events, namespaces

logger = logging.getLogger(__name__)

IDLE_SECONDS = 60.0


class Keeper:
    """Calls ``look`` whenever it is time, until stopped.

    Args:
        underlay: the namespace whose links, addresses and routes matter.
        look: looks and acts; told whether anything of the underlay changed since it was last called (a way
            there and back can only be told by that); how many seconds to wait at most before the next.
    """

    def __init__(self, underlay: str, look: Callable[[bool], float]) -> None:
        self._look = look
        self._events = namespaces.inside(underlay, events.of_routes)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="tunnel keeper", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        os.write(self._wake_write, b".")

    def stop(self) -> None:
        """End it. Not to be waited for: it may be waiting for a lock that the caller holds."""
        self._stopping = True
        self.wake()

    def _work(self) -> None:
        changed = True
        try:
            while not self._stopping:
                try:
                    seconds = self._look(changed)
                except TwinhullError as error:
                    logger.warning("the tunnel could not be looked after: %s", error.message)
                    seconds = IDLE_SECONDS
                except Exception:  # whatever it was, the next look may succeed; without us there is none
                    logger.exception("the tunnel could not be looked after")
                    seconds = IDLE_SECONDS
                readable, _, _ = select.select([self._events.fileno(), self._wake_read], [], [], seconds)
                changed = self._events.fileno() in readable
                for fd in (self._events.fileno(), self._wake_read):
                    events.discard(fd)
        finally:
            self._events.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

"""Taking PCI functions from machines that run, when a document or a switch no longer lets them have these.

A guest has to let go of a function, which takes seconds and may never happen, so this goes on beside the loop
that looks after USB and holds nothing up. One that is not let go of is asked for again, and is not given to
the machine when it starts next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from twinhull_policy.api.types import KillSwitch
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..devices.results import PciFacts
from ..domain.hostdev import Guest
from .device_pci import pci_revoked
from .device_ports import Devd, Guests

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0
"""Wait before a guest that did not let go is asked again."""


class PciTaking:
    """What is being taken.

    Args:
        note: told in words of each function that was taken, and of each that was not: whether, and the words.
        again: called with seconds after which to look again.
    """

    def __init__(
        self,
        devd: Devd,
        guests: Guests,
        note: Callable[[bool, str], object],
        again: Callable[[float], object],
    ) -> None:
        self._devd = devd
        self._guests = guests
        self._note = note
        self._again = again
        self._facts: PciFacts | None = None
        self._tasks: dict[tuple[Partition, str], asyncio.Task[None]] = {}

    async def look(
        self, machines: Mapping[Partition, Guest], rules: CompiledPolicy, off: frozenset[KillSwitch]
    ) -> None:
        """Begin to take what no machine may have now. Without devd by what it said last of the functions."""
        if not any(guest.pci for guest in machines.values()):
            return
        try:
            self._facts = await asyncio.to_thread(self._devd.pci)
        except TwinhullError as error:
            logger.warning("PCI devices: %s", error.message)
        if self._facts is None:
            return
        for partition, guest in machines.items():
            # A paused guest answers nothing; it is asked once it runs.
            held = guest.pci if guest.running else ()
            for address, reason in pci_revoked(self._facts, rules, partition.value, held, off).items():
                key = (partition, address)
                if key not in self._tasks:
                    self._tasks[key] = asyncio.create_task(self._take(partition, address, reason))

    async def settle(self) -> None:
        """Wait for what is being taken; each ends within a bounded time."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _take(self, partition: Partition, address: str, reason: str) -> None:
        try:
            await asyncio.to_thread(self._guests.detach_pci, partition, address)
            self._note(True, f"The PCI device {address} was taken from the {partition} partition: {reason}")
        except TwinhullError as error:
            self._note(False, f"{error.message.rstrip('.')}: {reason}")
            self._again(AGAIN_SECONDS)
        finally:
            del self._tasks[partition, address]

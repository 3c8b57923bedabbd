"""Updating a partition to a newer golden image, and seeing whether that comes up.

What becomes of disks and records is ``bases``' part, and how a machine is started ``partitions``'. Here is
the time between: the new image has come up once a program in the guest opens its agent's channel. It has so
many seconds of running for it; one that does not, or that stops before, is given up, and the disk of before
is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..domain.machine import Machine, MachineState
from ..domain.spec import Accelerator
from ..storage.base import PartitionVolume
from ..storage.interface import VolumeState
from .bases import Bases
from .disks import offered_image
from .fleet import Fleet
from .partition_errors import UpToDate
from .partitions import Partitions
from .state import PartitionRecord

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
COMES_UP_SECONDS = {Accelerator.KVM: 300, Accelerator.EMULATION: 1800}
"""Of running. An emulated Debian with a desktop takes 92 s on two idle processors (design.md, section 10)."""


class Updates:
    """Both partitions' updates.

    Args:
        partitions: whose lock is held while something is done with one.
        on_change: told "partitions" whenever one is another.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        volumes: Mapping[Partition, PartitionVolume],
        machines: Mapping[Partition, Machine],
        partitions: Partitions,
        on_change: Callable[[str], object],
    ) -> None:
        self._fleet = fleet
        self._volumes = volumes
        self._machines = machines
        self._partitions = partitions
        self._bases: Bases = partitions.bases
        self._on_change = on_change
        self._ran: dict[Partition, tuple[float, float]] = {}
        """When each was last seen, by the loop's clock, and how long it has run by then."""
        self._due = asyncio.Event()

    async def update(self, name: Partition, passphrase: bytearray) -> None:
        """Start a stopped partition with an empty disk over the image that the server names.

        Args:
            passphrase: empty to use the key held since the last unlock.

        Raises:
            NoImageOffered, ImageNotHere, UpToDate, NotStopped, and whatever refuses a start: all is as it
            was, or will be once the volume is open.
        """
        record, image = self._partitions.existing(name), offered_image(name, self._fleet)
        if record.image_sha256 == image.sha256 and record.update is None:
            raise UpToDate(partition=name)
        self._ran.pop(name, None)
        try:
            await self._partitions.start(name, passphrase, partial(self._bases.renew, image=image))
        except TwinhullError:
            async with self._partitions.lock_of(name):
                if await self._partitions.machine_state(name) is MachineState.ABSENT:
                    await self._give_up(name)
            raise
        finally:
            self.poke()

    def poke(self) -> None:
        """Look now."""
        self._due.set()

    async def run(self) -> None:
        """See what comes of updates, also of those that an earlier core has begun, until cancelled."""
        while True:
            self._due.clear()
            pending = [await self.look(name) for name in Partition]
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if any(pending) else None):
                    await self._due.wait()

    async def look(self, name: Partition) -> bool:
        """See whether a new image has come up, and do what follows; whether that is not known yet."""
        record = self._partitions.record(name)
        if record is None or record.update is None:
            return False
        async with self._partitions.lock_of(name):
            try:
                pending = await self._look(name, self._partitions.existing(name))
            except TwinhullError as error:
                logger.warning("the update of %s: %s", name, error.message)
                return True
        left = self._partitions.record(name)
        if left is not None and left.update is None:
            self._ran.pop(name, None)
            self._on_change("partitions")
            await self._fleet.report_image()
        return pending

    async def _look(self, name: Partition, record: PartitionRecord) -> bool:
        if record.update is None:
            return False
        machine = await self._partitions.machine_state(name)
        if machine is MachineState.RUNNING:
            if await asyncio.to_thread(self._machines[name].agent_is_there):
                await asyncio.to_thread(self._bases.came_up, name)
                return False
            if self._has_run(name) < COMES_UP_SECONDS[Accelerator(record.accelerator)]:
                return True
            await self._partitions.end(name)
        elif machine is not MachineState.ABSENT:  # paused, by whoever; it goes on, or ends
            return True
        await self._give_up(name)
        return False

    def _has_run(self, name: Partition) -> float:
        """For how many seconds it was seen running; what went by unseen, in a sleep say, does not count."""
        now = asyncio.get_running_loop().time()
        last, ran = self._ran.get(name, (now, 0.0))
        self._ran[name] = (now, ran + min(now - last, 2 * LOOK_SECONDS))
        return self._ran[name][1]

    async def _give_up(self, name: Partition) -> None:
        """Have the disk of before back, now if the volume is open, else before its next start."""
        if await asyncio.to_thread(self._volumes[name].state) is VolumeState.UNLOCKED:
            await asyncio.to_thread(self._bases.settle, name)

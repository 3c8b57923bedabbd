"""Moves memory between the partitions: looks now and then while the personal one runs, and before a start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..domain.machine import Machine, MachineState
from ..domain.memory import RESERVE_MIB, target

logger = logging.getLogger(__name__)

MEMINFO = Path("/proc/meminfo")
LOOK_SECONDS = 20.0
"""Twice what a guest's driver takes between two words (STATISTICS_SECONDS of domain.builder)."""
ROOM_SECONDS = 20.0
"""How long a start waits for what the personal guest is asked to give up; then it goes on as it is."""
ROOM_LOOK_SECONDS = 0.25


def available(meminfo: Path = MEMINFO) -> int:
    """What the host could give without taking from anybody, in MiB (proc(5), MemAvailable)."""
    lines = meminfo.read_text("ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))


class MemoryKeeper:
    """Looks after the personal machine's balloon.

    Args:
        machine: the personal partition's.
        meminfo: the kernel's account of memory.
    """

    def __init__(self, machine: Machine, meminfo: Path = MEMINFO) -> None:
        self._machine = machine
        self._meminfo = meminfo
        self._changed = asyncio.Event()

    def poke(self) -> None:
        """A partition has begun or ended."""
        self._changed.set()

    async def run(self) -> None:
        """Look until cancelled; while the personal machine does not run, only after :meth:`poke`."""
        while True:
            self._changed.clear()
            looked = await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if looked else None):
                    await self._changed.wait()

    async def look(self, wanted: int = 0) -> bool:
        """Bring the balloon to where it belongs now; returns whether there is a machine that has one.

        Args:
            wanted: MiB that another machine is about to need.
        """
        try:
            return await asyncio.to_thread(self._move, wanted)
        except TwinhullError as error:
            logger.info("memory: %s", error.message)
            return False

    def _move(self, wanted: int) -> bool:
        if self._machine.state() is not MachineState.RUNNING:
            return False
        guest = self._machine.memory()
        goal = target(guest, available(self._meminfo), wanted)
        if goal != guest.now:
            logger.info("memory: the personal partition has %d MiB of %d from now on", goal, guest.most)
            self._machine.set_memory(goal)
        return True

    async def make_room(self, name: Partition, wanted: int) -> None:
        """Have the personal machine give up what another one is about to need, and wait for that a while.

        Args:
            name: who is about to start; nobody gives up anything for the personal partition.
            wanted: how much, in MiB.
        """
        if name is Partition.PERSONAL or not await self.look(wanted):
            return
        deadline = time.monotonic() + ROOM_SECONDS
        while available(self._meminfo) < RESERVE_MIB + wanted and time.monotonic() < deadline:
            if await asyncio.to_thread(self._settled):
                return
            await asyncio.sleep(ROOM_LOOK_SECONDS)

    def _settled(self) -> bool:
        """Whether the guest has given up what it will."""
        try:
            guest = self._machine.memory()
        except TwinhullError:
            return True
        return target(guest, 0, guest.most) >= guest.now

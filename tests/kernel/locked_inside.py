"""Runs in a kernel of its own: the core over its bus, the real diskd and dm-crypt, told what to do.

Each line of standard input is a JSON list, the name of a method of :class:`Inside` and its arguments; each
answer is a line. The company's commands are really signed; the machines are those of libvirt's test driver.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twinhull_hypervisor.storage.base import PartitionVolume
from twinhull_policy.api.interface import DaemonError
from twinhull_policy.names import Partition
from twinhull_policy.trust.command import sign_command
from twinhull_policy.trust.documents import Command

from tests.kernel.volumes_inside import DISKD, FOUND_SECONDS, KERNELS_KEY, LAPTOP, answer, hide
from tests.support.core_laptop import CoreLaptop, core_laptop
from tests.support.signing import DAY, DEVICE

CONTAINERS, SETTINGS = LAPTOP / "containers", Path("/run/diskd.json")
RUN = Path("/run/laptop")
MEDIUM = {"gib": 2}


def ran(*words: str) -> str:
    """What a program printed, which succeeds."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


class Inside:
    """What a test can ask for."""

    def __init__(self, laptop: CoreLaptop) -> None:
        self._laptop = laptop
        self._numbers = iter(range(1, 100))

    def _volume(self, name: str) -> PartitionVolume:
        return self._laptop.core.partitions._volumes[Partition(name)]

    async def create(self, name: str, passphrase: str) -> list[str]:
        """Make a volume and leave it open; the key of its slot and the kernel's, hidden."""
        volume, found = self._volume(name), []
        keep = volume.on_key

        def on_key(key: bytearray) -> None:
            found.append(hide(key))
            keep(key)

        volume.on_key = on_key
        base = LAPTOP / "base.qcow2"
        if not base.exists():
            ran("qemu-img", "create", "-q", "-f", "qcow2", str(base), "1G")
        await asyncio.to_thread(volume.create, base, 1, passphrase.encode())
        volume.on_key = keep
        script = KERNELS_KEY.replace("twinhull-personal", f"twinhull-{name}")
        return [*found, (await asyncio.to_thread(ran, sys.executable, "-c", script)).strip()]

    async def unlock(self, name: str, passphrase: str) -> None:
        """As a person does, over the bus."""
        reading, writing = os.pipe()
        os.write(writing, passphrase.encode())
        os.close(writing)
        try:
            await self._laptop.daemon.unlock_volume(name, "passphrase", reading)
        finally:
            os.close(reading)

    async def command(self, action: Any) -> None:
        """The company's next statement carries a command; return when it was carried out."""
        number, wall = next(self._numbers), self._laptop.clocks.wall
        made = Command(
            tenant=DEVICE.tenant,
            device_id=DEVICE.device_id,
            enrol_epoch=DEVICE.enrol_epoch,
            number=number,
            action=action,
            issued_at=wall,
            not_after=wall + DAY,
        )
        self._laptop.statement(commands=[sign_command(made, self._laptop.company.command_keys).decode()])
        await self._laptop.core.fleet.accept()
        book = self._laptop.core._commands.book
        await self._laptop.until(
            lambda: any(e.number == number and e.step == "ended" for e in book().entries)
        )

    async def passes(self, hours: float) -> None:
        """Time goes by."""
        await self._laptop.passes(hours)

    async def machine(self, name: str, state: str) -> None:
        """Put a machine there, or end it."""
        if state == "running":
            self._laptop.create(Partition(name))
        else:
            self._laptop.hypervisor.connection().lookupByName(f"twinhull-{name}").destroy()

    async def machines(self) -> list[str]:
        """What libvirt says of both."""
        return [self._laptop.machine(name) for name in Partition]

    async def states(self) -> list[str]:
        """What the core says of both volumes."""
        return [self._volume(name).state().value for name in Partition]

    async def mappings(self) -> list[str]:
        """What the kernel has of them."""
        return sorted(line.split()[0] for line in ran("dmsetup", "ls").splitlines() if "twinhull" in line)


def diskd(socket: Path) -> None:
    """Start it, and wait until it serves."""
    words = ["--socket", str(socket), "--settings", str(SETTINGS), "--directory", str(CONTAINERS)]
    process = subprocess.Popen([sys.executable, "-c", DISKD, *words])
    until = time.monotonic() + FOUND_SECONDS
    while not socket.exists():
        if time.monotonic() > until or process.poll() is not None:
            raise AssertionError("diskd does not serve")
        time.sleep(0.02)


def prepare() -> None:
    """Give the laptop its disk."""
    ran("mkfs.ext4", "-q", "-N", "4096", "-J", "size=16", "/dev/ubda")
    ran("mount", "/dev/ubda", str(LAPTOP))
    ran("mount", "--make-shared", str(LAPTOP))
    CONTAINERS.mkdir(mode=0o711)
    RUN.mkdir()
    SETTINGS.write_text(json.dumps(dict.fromkeys(Partition, MEDIUM)), "ascii")


async def serve() -> None:
    """Until standard input says that it is over."""
    async with core_laptop(RUN, start=False) as laptop:
        laptop.paths = dataclasses.replace(laptop.paths, containers=CONTAINERS)
        diskd(laptop.paths.diskd_socket)
        await laptop.start_core()
        inside = Inside(laptop)
        answer({"ready": True})
        while (line := await asyncio.to_thread(sys.stdin.readline)) != "":
            name, *arguments = json.loads(line)
            if name == "end":
                break
            try:
                answer({"done": await getattr(inside, name)(*arguments)})
            except DaemonError as error:
                answer({"refused": json.loads(str(error))["code"]})
            except Exception as error:  # whoever asked is told
                answer({"failed": f"{type(error).__name__}: {error} {getattr(error, 'stderr', '')}"})


if __name__ == "__main__":
    prepare()
    asyncio.run(serve())

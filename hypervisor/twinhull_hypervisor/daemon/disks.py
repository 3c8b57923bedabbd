"""What can be done with a partition's disk: made, reset, kept as a snapshot, gone back to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec
from twinhull_policy.api.types import SnapshotInfo
from twinhull_policy.names import Partition
from twinhull_policy.trust.documents import ImageReference

from ..domain.machine import MachineState
from ..storage.base import PartitionVolume
from ..storage.copies import Progress
from ..storage.interface import VolumeState
from ..storage.snapshots import Snapshot
from .fleet import Fleet
from .images import ImageStore
from .partition_errors import (
    AlreadyCreated,
    ImageNotHere,
    NeededForUpdate,
    NoImageOffered,
    NotStopped,
    PassphraseNeeded,
    PassphraseTooShort,
)
from .partitions import Partitions
from .specs import Specs
from .state import PartitionRecord, State

PASSPHRASE_BYTES = 8
"""Shortest passphrase accepted; Argon2id does the rest."""
TOLD_PERCENT = 5
"""How often a long copy is told of."""


class Disks:
    """Both partitions' disks.

    Args:
        partitions: whose lock is held while something is done with one.
        on_change: told "partitions" whenever one is another.
    """

    def __init__(
        self,
        *,
        state: State,
        fleet: Fleet,
        images: ImageStore,
        specs: Specs,
        volumes: Mapping[Partition, PartitionVolume],
        partitions: Partitions,
        on_change: Callable[[str], object],
    ) -> None:
        self._state = state
        self._fleet = fleet
        self._images = images
        self._specs = specs
        self._volumes = volumes
        self._partitions = partitions
        self._on_change = on_change

    async def create(self, name: Partition, passphrase: bytearray) -> None:
        """Make a partition's encrypted volume over the golden image the server names.

        Raises:
            AlreadyCreated, NoImageOffered, ImageNotHere, PassphraseTooShort, LeaseEnded, or the volume's own
            errors.
        """
        async with self._partitions.lock_of(name):
            self._partitions.require_allowed(name)
            record = self._partitions.record(name)
            if record is not None and record.created:
                raise AlreadyCreated(partition=name)
            if len(passphrase) < PASSPHRASE_BYTES:
                raise PassphraseTooShort(least=PASSPHRASE_BYTES)
            image = offered_image(name, self._fleet)
            volume = self._volumes[name]
            if record is not None:
                await asyncio.to_thread(volume.destroy)
            record = PartitionRecord(
                uuid=str(uuid4()),
                image=image.target,
                image_sha256=image.sha256,
                disk_gib=max(
                    self._specs.resources(name, self._fleet.inbox.in_force).disk_gib,
                    await asyncio.to_thread(self._images.least_disk_gib, image.sha256),
                ),
            )
            self._partitions.keep(name, record)
            base = self._images.path(image.sha256)
            await asyncio.to_thread(volume.create, base, record.disk_gib, bytes(passphrase))
            with self._state.transaction():
                self._partitions.keep(name, msgspec.structs.replace(record, created=True))
                self._state.log("done", f"The {name} partition was created from {image.target}")
        self._on_change("partitions")

    async def reset(self, name: Partition) -> None:
        """Throw away what a stopped partition wrote; snapshots stay. Raises NotStopped, PassphraseNeeded."""
        async with self._partitions.lock_of(name):
            await self._stopped(name)
            if self._volumes[name].state() is not VolumeState.UNLOCKED:
                raise PassphraseNeeded(partition=name)
            record = await asyncio.to_thread(self._partitions.bases.settle, name)
            base = self._images.path(record.image_sha256)
            await asyncio.to_thread(self._volumes[name].reset, base, record.disk_gib)
            self._state.log("done", f"The {name} partition was reset to {record.image}")
        self._on_change("partitions")

    async def lock(self, name: Partition) -> None:
        """Close a stopped partition's volume. Raises NotStopped, ContainerBusy."""
        async with self._partitions.lock_of(name):
            await self._stopped(name)
            await asyncio.to_thread(self._volumes[name].lock)
            self._state.log("done", f"The {name} volume was locked")
        self._on_change("partitions")

    async def grow(self, name: Partition) -> int:
        """Have an open volume take the room there is for it; its bytes. Raises VolumeLocked, NotGrown."""
        async with self._partitions.lock_of(name):
            self._partitions.existing(name)
            size = await asyncio.to_thread(self._volumes[name].grow)
            self._state.log("done", f"The {name} volume has {size} bytes now")
        return size

    async def snapshots(self, name: Partition) -> list[SnapshotInfo]:
        """The states that a partition can go back to, oldest first. Raises NotCreated."""
        self._partitions.existing(name)
        return [_info(one) for one in await asyncio.to_thread(self._volumes[name].snapshots.found)]

    async def snapshot(self, name: Partition, title: str) -> SnapshotInfo:
        """Keep a partition's disk as it is; a running one stands still meanwhile.

        Raises what ``PartitionVolume.snapshot`` raises, NotCreated, NotStopped.
        """
        async with self._partitions.lock_of(name):
            self._partitions.existing(name)
            async with self._told(name, "A snapshot is being made") as progress:
                async with self._partitions.standing_still(name):
                    made = await asyncio.to_thread(self._volumes[name].snapshot, title, progress)
                self._state.log("done", f"A snapshot of the {name} partition was made ({made.id})")
        return _info(made)

    async def roll_back(self, name: Partition, snapshot: str, passphrase: bytearray) -> SnapshotInfo:
        """Go back to a snapshot; what was there is a snapshot then, which is returned.

        Args:
            passphrase: empty to use the key held since the last unlock.

        Raises what ``PartitionVolume.roll_back`` and ``unlock`` raise, NotStopped, PassphraseNeeded,
        LeaseEnded.
        """
        async with self._partitions.lock_of(name):
            self._partitions.require_allowed(name)
            await self._stopped(name)
            volume = self._volumes[name]
            async with self._told(name, "It is going back to a snapshot") as progress:
                if volume.state() is not VolumeState.UNLOCKED:
                    if not passphrase:
                        raise PassphraseNeeded(partition=name)
                    await asyncio.to_thread(volume.unlock, bytes(passphrase))
                kept = await asyncio.to_thread(self._partitions.bases.roll_back, name, snapshot, progress)
                self._state.log(
                    "done", f"The {name} partition went back to {snapshot}; what was there is {kept}"
                )
            return _info(await asyncio.to_thread(volume.snapshots.get, kept))

    async def remove_snapshot(self, name: Partition, snapshot: str) -> None:
        """Remove a snapshot; may be done while the partition runs.

        Raises NotCreated, NoSnapshot, NeededForUpdate.
        """
        async with self._partitions.lock_of(name):
            record = self._partitions.existing(name)
            if record.update is not None and record.update.kept == snapshot:
                raise NeededForUpdate(partition=name)
            await asyncio.to_thread(self._volumes[name].snapshots.remove, snapshot)
            self._state.log("done", f"The snapshot {snapshot} of the {name} partition was removed")
        self._on_change("partitions")

    async def _stopped(self, name: Partition) -> None:
        self._partitions.existing(name)
        if await self._partitions.machine_state(name) is not MachineState.ABSENT:
            raise NotStopped(partition=name)

    @asynccontextmanager
    async def _told(self, name: Partition, doing: str) -> AsyncIterator[Progress]:
        """Show what is being done, and how far it is, for as long as it lasts."""
        loop = asyncio.get_running_loop()
        told = 0

        def progress(done: int, total: int) -> None:
            nonlocal told
            percent = done * 100 // max(total, 1)
            if percent >= told + TOLD_PERCENT:
                told = percent
                loop.call_soon_threadsafe(self._partitions.tell, name, f"{doing}: {percent} %.")

        self._partitions.tell(name, f"{doing}.")
        try:
            yield progress
        finally:
            self._partitions.tell(name, "")


def offered_image(name: Partition, fleet: Fleet) -> ImageReference:
    """The golden image that the server names, which is here. Raises NoImageOffered, ImageNotHere."""
    image = fleet.wanted_images().get(name)
    if image is None:
        raise NoImageOffered(partition=name)
    if fleet.image_here(name) is None:
        problem = fleet.image_problem(image.sha256)
        raise ImageNotHere(partition=name, detail=f" ({problem})" if problem else "")
    return image


def _info(snapshot: Snapshot) -> SnapshotInfo:
    return SnapshotInfo(
        id=snapshot.id, kind=snapshot.kind, name=snapshot.name, at=snapshot.at, bytes=snapshot.bytes
    )

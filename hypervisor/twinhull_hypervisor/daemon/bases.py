"""Which golden image a partition's disk stands on, and the change to another one.

An update puts an empty disk over the new image in the place of the present one, which is kept whole as a
snapshot (docs/adr/0021). One rename of the volume's is the moment at which it happens, so the disk's own
header says which image is in use, and the record follows it. The order of an update:

1. the record says what is about to be done, and under which name the present disk is kept;
2. the volume does it, whole or not at all;
3. the record follows the disk; the machine starts;
4. the guest came up: the record forgets the update. Else the disk of before goes back into its place, and
   then the record forgets it.

Whatever ends this process or the computer between 1 and 4, the next start goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec
from twinhull_policy.api.types import SNAPSHOT_NAME_LIMIT
from twinhull_policy.names import Partition
from twinhull_policy.trust.documents import ImageReference

from ..storage.base import PartitionVolume
from ..storage.copies import Progress
from ..storage.errors import VolumeFailed
from ..storage.snapshots import new_snapshot_id
from ..storage.standing import read_standing, unnamed
from .images import ImageStore
from .partition_errors import DidNotComeUp, NotCreated, StrangeDisk, UpToDate
from .state import PARTITION_DOCUMENTS, ImageUpdate, PartitionRecord, State


class Bases:
    """Both partitions' images. Calls block; the caller holds the lock, and no machine has the disk."""

    def __init__(
        self, state: State, images: ImageStore, volumes: Mapping[Partition, PartitionVolume]
    ) -> None:
        self._state = state
        self._images = images
        self._volumes = volumes

    def settle(self, name: Partition) -> PartitionRecord:
        """Give up an update that has not come up, and see what the disk stands on; the record of now.

        Raises:
            NotCreated, StrangeDisk, and what ``PartitionVolume.undo_update`` raises: nothing is lost.
        """
        record = self.follow(name)
        update = record.update
        if update is None:
            return record
        if record.image_sha256 != update.sha256:  # it had not begun, or was undone
            self._volumes[name].snapshots.settle()
            return self.keep(name, msgspec.structs.replace(record, update=None))
        self._volumes[name].undo_update(update.kept, record.images)
        before = self.follow(name)
        error = DidNotComeUp(partition=name, image=record.image, before=before.image)
        given_up = msgspec.structs.replace(before, update=None, given_up=update.sha256, failure=error.message)
        with self._state.transaction():
            self.keep(name, given_up)
            self._state.log("refused", f"{error.code}: {error.message}")
        return given_up

    def renew(self, name: Partition, image: ImageReference) -> PartitionRecord:
        """Steps 1 to 3, as far as the disk goes; the record of a partition that is to be started now.

        Args:
            image: in the store; it is verified before anything is changed.

        Raises:
            UpToDate, and what the store's ``verify`` and ``PartitionVolume.update`` raise: all is as it was.
        """
        record = self.settle(name)
        if record.image_sha256 == image.sha256:
            raise UpToDate(partition=name)
        disk_gib = max(record.disk_gib, self._images.least_disk_gib(image.sha256))
        update = ImageUpdate(sha256=image.sha256, kept=new_snapshot_id())
        images = {**record.images, record.image_sha256: record.image, image.sha256: image.target}
        self.keep(name, msgspec.structs.replace(record, images=images, update=update))
        called = image.target[:SNAPSHOT_NAME_LIMIT]
        self._volumes[name].update(self._images.path(image.sha256), disk_gib, update.kept, called)
        return self.follow(name)

    def came_up(self, name: Partition) -> None:
        """The new image is the one from now on; the disk of before stays a snapshot."""
        record = self.existing(name)
        with self._state.transaction():
            self.keep(name, msgspec.structs.replace(record, update=None, given_up=""))
            self._state.log("done", f"The {name} partition was updated to {record.image}, which came up")

    def roll_back(self, name: Partition, snapshot: str, progress: Progress) -> str:
        """Put a snapshot in the disk's place, whichever image it stands on; the id of what was there.

        Raises what ``PartitionVolume.roll_back`` raises, and as :meth:`settle` does.
        """
        record, volume = self.settle(name), self._volumes[name]
        with suppress(OSError):  # a snapshot that cannot be read is the volume's to refuse
            found = read_standing(volume.snapshots.get(snapshot).disk)
            if found and found.sha256 != record.image_sha256 and self._images.has(found.sha256):
                images = {found.sha256: unnamed(found.sha256), **record.images}
                images[record.image_sha256] = record.image
                record = self.keep(name, msgspec.structs.replace(record, images=images))
        kept = volume.roll_back(snapshot, progress, record.images)
        self.follow(name)
        return kept

    def follow(self, name: Partition) -> PartitionRecord:
        """Have the record say what the disk stands on. Raises NotCreated, StrangeDisk, VolumeFailed."""
        record = self.existing(name)
        if not record.images:  # it never stood on another one
            return record
        try:
            found = self._volumes[name].stands_on()
        except PermissionError:  # its machine's, as after a libvirtd that was killed; nothing changed it then
            return record
        except OSError as error:
            raise VolumeFailed(partition=name.value, reason=error.strerror or "") from error
        if found is None or found.sha256 not in record.images:
            raise StrangeDisk(partition=name)
        if (found.sha256, found.disk_gib) == (record.image_sha256, record.disk_gib):
            return record
        image = record.images[found.sha256]
        return self.keep(
            name,
            msgspec.structs.replace(record, image=image, image_sha256=found.sha256, disk_gib=found.disk_gib),
        )

    def existing(self, name: Partition) -> PartitionRecord:
        """The record of a partition that is whole. Raises NotCreated."""
        record = self._state.get(PARTITION_DOCUMENTS[name], PartitionRecord)
        if record is None or not record.created:
            raise NotCreated(partition=name)
        return record

    def keep(self, name: Partition, record: PartitionRecord) -> PartitionRecord:
        """Write it down."""
        self._state.put(PARTITION_DOCUMENTS[name], record)
        return record

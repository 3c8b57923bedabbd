"""Where each partition's container is, ``/etc/twinhull/diskd.json``: the owner's word, no caller's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from twinhull_policy.names import Partition

from ..settings import BadSettings, read_settings

SETTINGS_PATH = Path("/etc/twinhull/diskd.json")
DIRECTORY = Path("/var/lib/twinhull-diskd")
"""Of containers that are files, and of the places where they are mounted."""


class Medium(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one volume is on. By default a file, as large as a third of the room there is."""

    device: Annotated[str, msgspec.Meta(pattern=r"^(/dev/[A-Za-z0-9][A-Za-z0-9_+.:/-]{0,200})?$")] = ""
    """A disk, a partition of one or a logical volume, which becomes the volume; empty for a file."""
    gib: Annotated[int, msgspec.Meta(ge=0, le=16 * 1024)] = 0
    """Size of the file; 0 for a third of the room there is, up to LARGEST_BY_ITSELF."""
    discard: bool = False
    """Whether blocks the guest no longer uses are given back. From outside it shows which."""


class DiskdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    corporate: Medium = Medium()
    personal: Medium = Medium()

    def of(self, partition: Partition) -> Medium:
        """One partition's."""
        return self.corporate if partition is Partition.CORPORATE else self.personal


def load(path: Path = SETTINGS_PATH) -> DiskdSettings:
    """Read the settings; the defaults when there is no file. Raises BadSettings."""
    settings = read_settings(path, DiskdSettings)
    devices = [settings.of(name).device for name in Partition if settings.of(name).device]
    if len(set(devices)) != len(devices) or any(".." in device for device in devices):
        raise BadSettings(path=path, detail="each volume needs a device of its own, by its plain path")
    return settings

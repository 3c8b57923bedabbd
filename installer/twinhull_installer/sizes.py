"""How large things are: the machines of each kind of image, and the room an installation takes."""

from __future__ import annotations

MEMORY_MIB = {"small": 512, "desktop": 1536}
VCPUS = {"small": 1, "desktop": 2}
DISK_GIB = {"small": 8, "desktop": 16}
"""Of one machine, by kind of image. The disks are sparse: they take what is written to them."""

ROOM_GB = {"small": 5.0, "desktop": 12.0}
"""Free space an installation from nothing needs: packages, environment, images and their copies."""

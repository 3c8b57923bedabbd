"""Whether anything is left of a volume that was destroyed, seen through descriptors from before.

What a file system or an SSD set aside before is not seen this way (docs/security.md, P4).
"""

from __future__ import annotations

import hashlib
import os
from types import TracebackType

from twinhull_hypervisor.storage.paths import VolumePaths

LUKS_MAGIC = b"LUKS\xba\xbe"
"""LUKS on-disk format 1.2.3, "PHDR layout"; QEMU's header begins with it."""
LOOKED_AT = 4 * 2**20
"""Of each file: the qcow2 header and QEMU's LUKS header behind it are shorter (``header.LUKS_OFFSETS``)."""
MOST = 64
"""Files looked at: sixteen snapshots, the disk, the keys, the backups and leftovers are fewer."""


class Remains:
    """What holds a key or a header of a volume, kept open until it is compared.

    Made before the volume is destroyed and left afterwards, with ``with``.
    """

    def __init__(self, paths: VolumePaths) -> None:
        self._directory = paths.directory
        self._held: dict[str, tuple[int, bytes]] = {}
        for path in sorted(paths.directory.rglob("*"))[:MOST]:
            if path == paths.keys or path.suffix in (".qcow2", ".backup", ".new", ".discarded"):
                try:
                    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                except OSError:  # gone, or its machine's: the volume overwrites it or says that it cannot
                    continue
                self._held[str(path.relative_to(paths.directory))] = (fd, _told(fd))

    def __enter__(self) -> Remains:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for fd, _ in self._held.values():
            os.close(fd)

    def survivors(self) -> list[str]:
        """Files that are still there, unchanged, or still hold a LUKS header; none when all is destroyed."""
        found = [
            name
            for name, (fd, before) in self._held.items()
            if _told(fd) == before or LUKS_MAGIC in os.pread(fd, LOOKED_AT, 0)
        ]
        left = [str(path.relative_to(self._directory)) for path in self._directory.rglob("*")]
        return sorted({*found, *left})[:MOST]


def _told(fd: int) -> bytes:
    return hashlib.sha256(os.pread(fd, LOOKED_AT, 0)).digest()

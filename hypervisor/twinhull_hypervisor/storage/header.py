"""The header of a QEMU-LUKS overlay: backed up before there is data, and looked at before anybody is asked.

Two parts of an overlay cannot be made again from anything else: its qcow2 header, and the LUKS header that it
points to, which holds the disk's master key under ours. A backup is of no use to who has no key of ``keys``,
and is destroyed with them. It is named by its hash, so that which header it belongs to needs no record that a
crash could leave wrong.

Numbers are QEMU's own: docs/interop/qcow2.txt, "Header", "Header extensions", "Full disk encryption header
pointer". All of it is parsed as untrusted.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from twinhull_hypervisor.storage.files import overwrite_head, sync_directory, write_atomically

FIXED = struct.Struct(">4sIQIIQIIQQIIQ")
"""The part of the qcow2 header that does not change while the overlay keeps its size and has no snapshots."""
FEATURES_OFFSET = 72
UNDERSTOOD = 1 << 0 | 1 << 1 | 1 << 4
"""Incompatible features: dirty and corrupt, which QEMU sets, and extended level 2 entries, which are ours.
Any other one is not of our making: bit 2 has QEMU open a file that the header names."""
LENGTH_OFFSET = 100
END, ENCRYPTION = 0, 0x0537BE77
EXTENSIONS = 16
"""Most header extensions looked at; QEMU writes four."""
CLUSTER_BYTES = 128 * 1024
LUKS_BYTES = range(4096, 8 * 2**20)
"""QEMU's LUKS header is 2 MiB: eight slots of 4000 stripes (crypto/block-luks.c)."""
LUKS_OFFSETS = range(CLUSTER_BYTES, 64 * 2**20)
NAME = "header-{}.backup"
ANY = "header-*.backup"


class BadHeader(ValueError):
    """What is in the overlay's or the backup's place is not one of ours."""


@dataclass(frozen=True, slots=True)
class Header:
    """Both parts.

    Attributes:
        cluster: the overlay's first cluster.
        offset: where in the overlay the LUKS header is.
        luks: the LUKS header.
    """

    cluster: bytes
    offset: int
    luks: bytes

    @property
    def name(self) -> str:
        """What a backup of it is called."""
        told = hashlib.sha256(self._fixed() + self.offset.to_bytes(8) + self.luks)
        return NAME.format(told.hexdigest()[:32])

    def fits(self, other: Header) -> bool:
        """Whether its disk stands on the same base and has the same size."""
        return self._shape() == other._shape()

    def _shape(self) -> tuple[bytes, int]:
        base, length = struct.unpack_from(">QI", self.cluster, 8)
        return self.cluster[base : base + length], FIXED.unpack_from(self.cluster)[5]

    def _fixed(self) -> bytes:
        """The fixed fields, and the name of the base."""
        base, length = struct.unpack_from(">QI", self.cluster, 8)
        return self.cluster[: FIXED.size] + self.cluster[base : base + length]


def read_header(path: Path) -> Header:
    """The header of an overlay, or of a backup, which is laid out alike. Raises BadHeader, OSError."""
    with path.open("rb") as file:
        cluster = file.read(CLUSTER_BYTES)
        offset, length = _encryption(cluster)
        file.seek(offset)
        luks = file.read(length)
    if len(luks) != length:
        raise BadHeader("the file ends before its LUKS header does")
    return Header(cluster, offset, luks)


def _encryption(untrusted: bytes) -> tuple[int, int]:
    """Where the LUKS header is, and how long, by the qcow2 header."""
    if len(untrusted) != CLUSTER_BYTES:
        raise BadHeader("the file is shorter than a cluster")
    fields = FIXED.unpack_from(untrusted)
    magic, version, base, base_length, bits, _, method = fields[:7]
    if (magic, version, 1 << min(bits, 63), method, fields[11]) != (b"QFI\xfb", 3, CLUSTER_BYTES, 2, 0):
        raise BadHeader("it does not begin as our overlays do")
    if base + base_length > CLUSTER_BYTES:
        raise BadHeader("the name of its base is not in its header")
    if struct.unpack_from(">Q", untrusted, FEATURES_OFFSET)[0] & ~UNDERSTOOD:
        raise BadHeader("it uses what our overlays do not")
    (place,) = struct.unpack_from(">I", untrusted, LENGTH_OFFSET)
    for _ in range(EXTENSIONS):
        if place + 8 > CLUSTER_BYTES:
            break
        kind, length = struct.unpack_from(">II", untrusted, place)
        if kind == END:
            break
        if kind == ENCRYPTION and length == 16 and place + 24 <= CLUSTER_BYTES:
            offset, size = struct.unpack_from(">QQ", untrusted, place + 8)
            if offset in LUKS_OFFSETS and size in LUKS_BYTES:
                return offset, size
            break
        place += 8 + -(-length // 8) * 8
    raise BadHeader("it names no LUKS header")


def same(one: Path, other: Path) -> bool:
    """Whether two overlays have the same header. Raises BadHeader, OSError."""
    return read_header(one) == read_header(other)


def back_up(overlay: Path, directory: Path) -> Path:
    """Write a backup of an overlay's header and read it again. Raises BadHeader, DiskFull, OSError."""
    header = read_header(overlay)
    path = directory / header.name
    gap = bytes(header.offset - CLUSTER_BYTES)
    write_atomically(path, header.cluster + gap + header.luks)
    if read_header(path) != header:
        raise BadHeader("the backup reads back as something else")
    return path


def backups(directory: Path) -> list[Path]:
    """The backups there are, whole ones only: each is what its name says."""
    found = []
    for path in sorted(directory.glob(ANY)):
        try:
            if read_header(path).name == path.name:
                found.append(path)
        except (BadHeader, OSError):
            continue
    return found


def is_whole(overlay: Path, directory: Path) -> bool:
    """Whether the overlay's header is the one backed up; without a backup, whether it may be ours at all."""
    try:
        found = read_header(overlay)
    except BadHeader:
        return False
    return not any(directory.glob(ANY)) or (directory / found.name).exists()


def put_back(backup: Path, overlay: Path) -> None:
    """Write both parts of a backup into their places; may be done again after it was cut short.

    Raises:
        BadHeader: more than the header is gone, so that the disk would seem whole and hold nothing.
        OSError: the disk refuses.
    """
    header = read_header(backup)
    end = header.offset + len(header.luks)
    size = overlay.stat().st_size
    entries, table = FIXED.unpack_from(header.cluster)[7:9]
    if table >= 2**63:
        raise BadHeader("its first table is nowhere")
    with overlay.open("rb") as untrusted:
        untrusted.seek(table)
        mapped = any(untrusted.read(min(entries * 8, 2**20)))
    if size < end or (size - end > CLUSTER_BYTES and not mapped):
        raise BadHeader("more than its header was erased")
    with overlay.open("r+b", buffering=0) as file:
        for offset, content in ((header.offset, header.luks), (0, header.cluster)):
            if os.pwrite(file.fileno(), content, offset) != len(content):
                raise OSError("the disk took a part of it only")
            os.fsync(file.fileno())


def forget(directory: Path, keep: Path | None = None) -> None:
    """Overwrite and remove backups but one; for good once the directory is synced, which is done here."""
    for path in directory.glob(ANY):
        if path != keep:
            overwrite_head(path, path.stat().st_size)
            path.unlink()
    sync_directory(directory)

"""Overlays whose headers lie: what somebody makes of a laptop's disk while it is off. Named, one lie each.

Places are QEMU's own (docs/interop/qcow2.txt) and LUKS's (on-disk format 1.2.3), which QEMU's header follows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinhull_hypervisor.storage.header import read_header

DATA_FILE = 0x44415441
BACKING_FORMAT = 0xE2792ACA
SLOT_BYTES, FIRST_SLOT = 48, 208


@dataclass(frozen=True)
class Place:
    """An overlay to lie in, and a file that nobody has any business to open."""

    overlay: Path
    canary: Path

    def write(self, offset: int, content: bytes) -> None:
        """Over what is there."""
        with self.overlay.open("r+b") as file:
            file.seek(offset)
            file.write(content)

    def word(self, offset: int, value: int, length: int = 4) -> None:
        """A number, as both formats have it."""
        self.write(offset, value.to_bytes(length, "big"))

    def luks(self, offset: int, content: bytes) -> None:
        """In the LUKS header."""
        self.write(read_header(self.overlay).offset + offset, content)

    def luks_word(self, offset: int, value: int) -> None:
        """A number in the LUKS header."""
        self.luks(offset, value.to_bytes(4, "big"))


def backing(name: Callable[[Path], str]) -> Callable[[Place], None]:
    """Another base: its name goes where there is room behind the header's extensions."""

    def lie(place: Place) -> None:
        text = name(place.canary).encode()
        place.write(0x8000, text)
        place.word(8, 0x8000, 8)
        place.word(16, len(text))

    return lie


def data_file(place: Place) -> None:
    """The disk's contents are said to be in another file (incompatible bit 2, extension 0x44415441)."""
    text = str(place.canary).encode()
    with place.overlay.open("rb") as file:
        head = file.read(4096)
    (length,) = struct.unpack_from(">I", head, 100)
    base, base_length = struct.unpack_from(">QI", head, 8)
    backing(lambda _: head[base : base + base_length].decode())(place)  # out of the extensions' way
    extension = struct.pack(">II", DATA_FILE, len(text)) + text + bytes(-len(text) % 8)
    place.write(length, extension + head[length:base] + bytes(8))
    place.word(72, struct.unpack_from(">Q", head, 72)[0] | 1 << 2, 8)


def luks_iterations(place: Place) -> None:
    """Whoever opens it computes for a day."""
    place.luks_word(FIRST_SLOT + 4, 2**32 - 1)


def slots(change: Callable[[Place, int], None]) -> Callable[[Place], None]:
    """The same in all eight key slots."""

    def lie(place: Place) -> None:
        for slot in range(8):
            change(place, FIRST_SLOT + slot * SLOT_BYTES)

    return lie


LIES: dict[str, Callable[[Place], None]] = {
    "a base that is a file of the host": backing(str),
    "a base that is a format to be probed": backing(lambda path: f"file:{path}"),
    "a base in JSON": backing(lambda path: f'json:{{"driver":"raw","file.filename":"{path}"}}'),
    "a base over the network": backing(lambda _: "nbd://127.0.0.1:9/x"),
    "a base with a name that is too long": lambda place: place.word(16, 2**32 - 1),
    "a base whose name is nowhere": lambda place: place.word(8, 2**64 - 1, 8),
    "its contents in another file": data_file,
    "features of the future": lambda place: place.word(72, 2**63 | 1 << 4, 8),
    "snapshots inside": lambda place: place.word(60, 65535),
    "clusters of one byte": lambda place: place.word(20, 0),
    "clusters of 2^63 bytes": lambda place: place.word(20, 63),
    "a disk of 2^63 bytes": lambda place: place.word(24, 2**63, 8),
    "no encryption": lambda place: place.word(32, 0),
    "the encryption of old": lambda place: place.word(32, 1),
    "a first table of 2^32 entries": lambda place: place.word(36, 2**32 - 1),
    "a first table nowhere": lambda place: place.word(40, 2**64 - 2**17, 8),
    "reference counts nowhere": lambda place: place.word(48, 2**64 - 2**17, 8),
    "version 2": lambda place: place.word(4, 2),
    "version 4": lambda place: place.word(4, 4),
    "a header that never ends": lambda place: place.word(100, 2**32 - 8),
    "a LUKS header that is version 2": lambda place: place.luks(6, b"\0\2"),
    "a LUKS header without its magic": lambda place: place.luks(0, b"\0" * 6),
    "a cipher that is no word": lambda place: place.luks(8, b"\xff" * 32),
    "a hash that is a path": lambda place: place.luks(72, b"../../../../dev/zero".ljust(32, b"A")),
    "contents that begin nowhere": lambda place: place.luks_word(104, 2**32 - 1),
    "a master key of 2^32 bytes": lambda place: place.luks_word(108, 2**32 - 1),
    "a master key of no bytes": lambda place: place.luks_word(108, 0),
    "a master key that takes a day": lambda place: place.luks_word(164, 2**32 - 1),
    "a key that takes a day": luks_iterations,
    "keys in 2^32 stripes": slots(lambda place, at: place.luks_word(at + 44, 2**32 - 1)),
    "keys in no stripes": slots(lambda place, at: place.luks_word(at + 44, 0)),
    "keys that lie nowhere": slots(lambda place, at: place.luks_word(at + 40, 2**32 - 1)),
    "keys that lie over each other": slots(lambda place, at: place.luks_word(at + 40, 8)),
    "slots that are neither": slots(lambda place, at: place.luks_word(at, 0x12345678)),
    "no slot at all": slots(lambda place, at: place.luks_word(at, 0x0000DEAD)),
}
"""What each one says."""


def guests(canary: Path) -> dict[str, bytes]:
    """What a guest writes into its own disk, from its first byte: images that name a file of the host."""
    name = str(canary).encode()
    fields = (3, 512, len(name), 16, 2**40, 0, 1, 2**17, 2**16, 1, 0, 0, 0, 0, 0, 4, 104)
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", *fields)
    over = head + struct.pack(">II", BACKING_FORMAT, 3) + b"raw".ljust(8, b"\0") + bytes(8)
    held = head[:8] + bytes(12) + head[20:72] + struct.pack(">Q", 1 << 2) + head[80:]
    held += struct.pack(">II", DATA_FILE, len(name)) + name + bytes(-len(name) % 8 + 8)
    vmdk = (
        b'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    )
    vmdk += b'RW 2048 FLAT "' + name + b'" 0\n'
    return {
        "qcow2 over a base": over.ljust(512, b"\0") + name,
        "qcow2 with its contents elsewhere": held,
        "a VMDK descriptor": vmdk,
        "LUKS": b"LUKS\xba\xbe\0\1".ljust(592, b"\0"),
    }

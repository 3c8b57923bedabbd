"""A file as a block device, for as long as somebody has it open (linux/loop.h, loop(4))."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOP_CTL_GET_FREE, LOOP_CONFIGURE, LOOP_SET_CAPACITY = 0x4C82, 0x4C0A, 0x4C07
LO_FLAGS_AUTOCLEAR, LO_FLAGS_DIRECT_IO = 4, 16
CONTROL = Path("/dev/loop-control")
INFO_BYTES, FLAGS_OFFSET = 232, 52
"""struct loop_info64: five u64, then lo_number, lo_encrypt_type, lo_encrypt_key_size, lo_flags."""
CONFIG = struct.Struct(f"=II{INFO_BYTES}s8Q")
ATTEMPTS = 16
"""Somebody else may take the free device that we were just told."""


@contextmanager
def attached(file: int, sector_bytes: int) -> Iterator[Path]:
    """A loop device over an open file, direct where its file system can; it goes with its last user.

    What opened the device meanwhile (the device mapper) keeps it. Raises OSError.
    """
    info = bytearray(INFO_BYTES)
    struct.pack_into("=I", info, FLAGS_OFFSET, LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO)
    config = CONFIG.pack(file, sector_bytes, bytes(info), *[0] * 8)
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(ATTEMPTS):
            path = Path(f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}")
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno == errno.EBUSY:
                    continue
                raise
            try:
                yield path
            finally:
                os.close(device)
            return
        raise OSError(errno.EBUSY, "no loop device is free")
    finally:
        os.close(control)


def take_size(device: Path) -> None:
    """Have a loop device be as large as its file is now. Raises OSError."""
    opened = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(opened, LOOP_SET_CAPACITY, 0)
    finally:
        os.close(opened)

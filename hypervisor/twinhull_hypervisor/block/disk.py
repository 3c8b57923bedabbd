"""A stick's blocks as one run of bytes that can be read."""

from __future__ import annotations

import errno
import os
import time

from . import scsi
from .bulkonly import BulkOnly, CheckCondition, Pipes
from .scsi import BadAnswer, Capacity

READY_SECONDS = 10.0
"""How long a unit may take until it is ready; hard disks spin up in less."""
_PAUSE_SECONDS = 0.2
_UNIT_ATTENTIONS = 8
"""A device says once each what happened since it was asked last; more than this at a time it has not."""
READ_BYTES = 120 * 1024
"""Most of one command: what Linux asks of sticks, some of which fail with more (usb-storage, max_sectors)."""


class NotReadable(Exception):
    """It cannot be served as a disk; says why."""


class UsbDisk:
    """The first unit of a stick that is a disk with a medium.

    Args:
        pipes: the stick's interface, claimed.

    Raises:
        NotReadable: there is none.

    Attributes:
        size: bytes.
        block_bytes: of one block, 512 to 32768.
    """

    def __init__(self, pipes: Pipes) -> None:
        self._unit = BulkOnly(pipes)
        self._gone = False
        capacity = self._find()
        self.size = capacity.size
        self.block_bytes = capacity.block_bytes
        self._at_once = READ_BYTES // self.block_bytes

    def read(self, place: int, length: int) -> bytes:
        """The bytes at ``place``, which lie within ``size``.

        Raises:
            OSError: EIO where they cannot be read; ENODEV once the stick or its medium is gone.
        """
        if self._gone:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        first, end = place // self.block_bytes, -(-(place + length) // self.block_bytes)
        parts = []
        for block in range(first, end, self._at_once):
            parts.append(self._blocks(block, min(self._at_once, end - block)))
        skip = place - first * self.block_bytes
        return b"".join(parts)[skip : skip + length]

    def _blocks(self, block: int, blocks: int) -> bytes:
        length = blocks * self.block_bytes
        for _ in range(_UNIT_ATTENTIONS):
            try:
                untrusted_data = self._unit.command(scsi.read_command(block, blocks), length)
            except CheckCondition as error:
                if error.why.other_medium:
                    # What comes now is not what the guest was told the size of.
                    self._gone = True
                    raise OSError(errno.ENODEV, "the medium was changed") from error
                if error.why.key == 6:
                    continue
                raise OSError(errno.EIO, str(error)) from error
            except BadAnswer as error:
                raise OSError(errno.EIO, str(error)) from error
            if len(untrusted_data) != length:
                raise OSError(errno.EIO, "less came than was asked for")
            return untrusted_data
        raise OSError(errno.EIO, "it is never ready")

    def _find(self) -> Capacity:
        problem = "it holds no disk"
        try:
            for lun in range(self._unit.units()):
                self._unit.lun = lun
                if not scsi.is_disk(self._unit.command(scsi.INQUIRY, scsi.INQUIRY_BYTES)):
                    continue
                try:
                    self._wait_until_ready()
                    return self._capacity()
                except CheckCondition as error:
                    problem = "it has no medium" if error.why.other_medium else str(error)
        except (BadAnswer, CheckCondition) as error:
            problem = str(error)
        except OSError as error:
            problem = error.strerror or "it does not answer"
        raise NotReadable(problem)

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._unit.command(scsi.TEST_UNIT_READY)
                return
            except CheckCondition as error:
                if not error.why.becoming_ready or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE_SECONDS)

    def _capacity(self) -> Capacity:
        short = scsi.capacity_10(self._unit.command(scsi.READ_CAPACITY_10, scsi.CAPACITY_10_BYTES))
        if short is not None:
            return short
        return scsi.capacity_16(self._unit.command(scsi.READ_CAPACITY_16, scsi.CAPACITY_16_BYTES))

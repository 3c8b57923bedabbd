"""twinhull-diskd: the one process that maps encrypted volumes and mounts what is in them.

A caller names a partition, and never a path, a device, a size or an option. Keys pass through as descriptors.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from .. import ipc
from .client import Able, ContainerState, OfPartition, OfSlot
from .container import Container
from .errors import BadDiskArgument, ContainerFailed
from .header import HEADER_BYTES

T = TypeVar("T", OfPartition, OfSlot)
CONNECTIONS = 4


class Diskd:
    """The verbs.

    Args:
        containers: each partition's.
        probe: raises where this kernel cannot map encrypted volumes.
    """

    def __init__(self, containers: Mapping[Partition, Container], probe: Callable[[], object]) -> None:
        self._containers = containers
        self._probe = probe
        self._able: Able | None = None
        self._locks = {name: threading.Lock() for name in Partition}

    def handlers(self, _: socket.socket) -> dict[str, ipc.Handler]:
        """The closed set of verbs for :func:`twinhull_hypervisor.ipc.serve`."""
        return {
            "able": self._tell_able,
            "state": self._verb(0, lambda one, _: self._state(one)),
            "format": self._verb(1, lambda one, fds: one.format(fds[0])),
            "fill": self._verb(1, lambda one, fds: one.fill(fds[0])),
            "open": self._verb(1, lambda one, fds: one.open(fds[0])),
            "close": self._verb(0, lambda one, _: one.close()),
            "grow": self._verb(0, self._grow),
            "destroy": self._verb(0, lambda one, _: one.destroy()),
            "header": self._verb(1, lambda one, fds: _hand_over(fds[0], one.read_header())),
            "put_header": self._verb(1, lambda one, fds: one.put_header(_header(fds[0]))),
            "opens": self._verb(2, lambda one, fds: one.opens(_header(fds[0]), fds[0], fds[1])),
            "add_key": self._slot_verb(2, lambda one, fds, slot: one.add_key(fds[0], fds[1], slot)),
            "erase_key": self._slot_verb(0, lambda one, _, slot: one.erase_key(slot)),
        }

    def _tell_able(self, _: dict[str, Any], fds: list[int]) -> Able:
        with ipc.owned(fds, 0, BadDiskArgument):
            if self._able is None:
                try:
                    self._probe()
                    self._able = Able(able=True)
                except (TwinhullError, OSError) as error:
                    self._able = Able(able=False, reason=str(error))
            return self._able

    @staticmethod
    def _state(one: Container) -> ContainerState:
        exists = one.exists()
        return ContainerState(exists, one.is_open(), str(one.inside), one.size() if exists else 0)

    def _grow(self, one: Container, _: list[int]) -> ContainerState:
        one.grow()
        return self._state(one)

    def _verb(self, count: int, work: Callable[[Container, list[int]], Any]) -> ipc.Handler:
        def handle(untrusted: dict[str, Any], fds: list[int]) -> Any:
            with ipc.owned(fds, count, BadDiskArgument):
                return self._done(
                    ipc.converted(untrusted, OfPartition, BadDiskArgument).partition,
                    lambda one: work(one, fds),
                )

        return handle

    def _slot_verb(self, count: int, work: Callable[[Container, list[int], int], Any]) -> ipc.Handler:
        def handle(untrusted: dict[str, Any], fds: list[int]) -> Any:
            with ipc.owned(fds, count, BadDiskArgument):
                arguments = ipc.converted(untrusted, OfSlot, BadDiskArgument)
                return self._done(arguments.partition, lambda one: work(one, fds, arguments.slot))

        return handle

    def _done(self, partition: Partition, work: Callable[[Container], Any]) -> Any:
        with self._locks[partition]:
            try:
                return work(self._containers[partition])
            except OSError as error:
                reason = f"{error.strerror or 'the disk refuses'}."
                raise ContainerFailed(partition=partition.value, step="its medium", reason=reason) from error


def _header(fd: int) -> bytes:
    """A copy of a header, in anonymous memory."""
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 0 or about.st_size != HEADER_BYTES:
        raise BadDiskArgument(detail=f"a header is {HEADER_BYTES} bytes in anonymous memory")
    return os.pread(fd, HEADER_BYTES, 0)


def _hand_over(fd: int, content: bytes) -> None:
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 0:
        raise BadDiskArgument(detail="a header goes into anonymous memory")
    os.pwrite(fd, content, 0)

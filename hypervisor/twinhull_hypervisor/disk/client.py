"""Core's side of diskd's socket: verbs, and what they take and answer.

Keys and headers go through anonymous memory beside the packets (memfd_create(2)), and are in no packet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from twinhull_policy.names import Partition

from .. import ipc
from .header import HEADER_BYTES

T = TypeVar("T", bound=msgspec.Struct)
SOCKET_PATH = Path("/run/twinhull/diskd.sock")
SECONDS = 600.0


class ContainerState(msgspec.Struct, frozen=True):
    """What diskd says of a container.

    Attributes:
        exists: something is there that could be opened.
        open: its files are at ``inside``.
        bytes: it takes of its medium.
    """

    exists: bool
    open: bool
    inside: str
    bytes: int = 0


class Able(msgspec.Struct, frozen=True):
    """Whether this kernel maps encrypted volumes; else why not."""

    able: bool
    reason: str = ""


class OfPartition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of most verbs."""

    partition: Partition


class OfSlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``add_key`` and ``erase_key``: a key slot of the header."""

    partition: Partition
    slot: Annotated[int, msgspec.Meta(ge=0, le=7)]


class DiskdClient:
    """The containers behind diskd. Methods raise what ``container`` does, as RemoteError; HelperUnreachable.

    Args:
        path: diskd's socket.
    """

    def __init__(self, path: Path = SOCKET_PATH) -> None:
        self._path = path

    def able(self) -> Able:
        """Whether volumes can be on dm-crypt here; tried out once by diskd."""
        return self._answer("able", {}, Able)

    def state(self, partition: Partition) -> ContainerState:
        """What there is."""
        return self._answer("state", _of(partition), ContainerState)

    def format(self, partition: Partition, key: bytes | bytearray) -> None:
        """Make an empty container that ``key`` opens."""
        self._with_key("format", partition, key)

    def fill(self, partition: Partition, key: bytes | bytearray) -> None:
        """Make its file system and open it."""
        self._with_key("fill", partition, key)

    def open(self, partition: Partition, key: bytes | bytearray) -> None:
        """Open it."""
        self._with_key("open", partition, key)

    def close(self, partition: Partition) -> None:
        """Close it."""
        self._ask("close", _of(partition))

    def grow(self, partition: Partition) -> ContainerState:
        """Have an open one take what the settings, or its device, have for it."""
        return self._answer("grow", _of(partition), ContainerState)

    def destroy(self, partition: Partition) -> None:
        """End it for good."""
        self._ask("destroy", _of(partition))

    def header(self, partition: Partition) -> bytes:
        """The bytes in the header's place, untrusted."""
        with memory(b"") as fd:
            self._ask("header", _of(partition), [fd])
            return os.pread(fd, HEADER_BYTES + 1, 0)

    def put_header(self, partition: Partition, header: bytes) -> None:
        """Put a header into its place, while it is closed."""
        with memory(header) as fd:
            self._ask("put_header", _of(partition), [fd])

    def opens(self, partition: Partition, header: bytes, key: bytes | bytearray) -> None:
        """Raises unless a copy of the header opens by ``key``."""
        with memory(header) as copied, memory(key) as fd:
            self._ask("opens", _of(partition), [copied, fd])

    def add_key(
        self, partition: Partition, key: bytes | bytearray, new: bytes | bytearray, slot: int
    ) -> None:
        """Have ``new`` open it, too."""
        with memory(key) as old_fd, memory(new) as new_fd:
            self._ask("add_key", {"partition": partition.value, "slot": slot}, [old_fd, new_fd])

    def erase_key(self, partition: Partition, slot: int) -> None:
        """Have a key slot open nothing."""
        self._ask("erase_key", {"partition": partition.value, "slot": slot})

    def _with_key(self, verb: str, partition: Partition, key: bytes | bytearray) -> None:
        with memory(key) as fd:
            self._ask(verb, _of(partition), [fd])

    def _answer(self, verb: str, arguments: dict[str, Any], kind: type[T]) -> T:
        try:
            return msgspec.convert(self._ask(verb, arguments), kind)
        except msgspec.ValidationError as error:
            raise ipc.BadPacket(detail=str(error)) from error

    def _ask(self, verb: str, arguments: dict[str, Any], fds: list[int] | None = None) -> Any:
        return ipc.call(self._path, verb, arguments, fds=fds, timeout=SECONDS)


def _of(partition: Partition) -> dict[str, Any]:
    return {"partition": partition.value}


@contextmanager
def memory(content: bytes | bytearray) -> Iterator[int]:
    """Anonymous memory; overwritten and closed on leaving."""
    fd = os.memfd_create("twinhull", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, content, 0)
        yield fd
    finally:
        os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
        os.close(fd)

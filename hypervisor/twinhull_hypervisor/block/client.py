"""devd's side of blockd's socket: its one verb, and what that takes and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from twinhull_policy.names import Partition

from .. import ipc
from ..devices.usbfs import INTERFACES

SOCKET_PATH = Path("/run/twinhull/blockd.sock")


class ServeArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``serve``; the open node comes beside them.

    Attributes:
        partition: whose QEMU may read.
        interface: bInterfaceNumber.
        endpoint_in: bEndpointAddress of its bulk endpoint towards the computer.
        endpoint_out: of the other one.
    """

    partition: Partition
    interface: Annotated[int, Meta(ge=0, lt=INTERFACES)]
    endpoint_in: Annotated[int, Meta(ge=0x81, le=0x8F)]
    endpoint_out: Annotated[int, Meta(ge=0x01, le=0x0F)]


class Served(msgspec.Struct, frozen=True):
    """``serve``: the socket where it can be read; it is there for as long as it is served."""

    socket: str


def ask(path: Path, arguments: ServeArguments, fd: int, timeout: float) -> Served:
    """devd's side: have a stick served. Raises HelperUnreachable, RemoteError, BadPacket."""
    answer = ipc.call(path, "serve", msgspec.to_builtins(arguments), fds=[fd], timeout=timeout)
    try:
        return msgspec.convert(answer, Served)
    except msgspec.ValidationError as error:
        raise ipc.BadPacket(detail=str(error)) from error

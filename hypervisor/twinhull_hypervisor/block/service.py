"""twinhull-blockd: reads storage for partitions, and has nothing to lose.

It opens no device: devd hands it an open node that is good for one interface of one stick, and it serves the
blocks behind that on a socket to the one user as whom the partition's QEMU runs. It parses no partition table
and no file system, and knows no command that writes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from twinhull_policy.names import Partition

from .. import ipc
from ..domain.spec import QEMU_USERS
from . import nbd
from .bulkonly import Pipes
from .client import ServeArguments, Served
from .disk import NotReadable, UsbDisk
from .errors import BadBlockArgument, NotServed, TooManyServed
from .pipes import usb_pipes

logger = logging.getLogger(__name__)

MOST_SERVED = 16
"""Sticks at once."""
CONNECTIONS = 16
ACCEPT_SECONDS = 60.0
"""How long a partition's QEMU may take to connect; libvirt asks it to right away."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who is waited for: one connection of one user, for so many seconds."""

    name: str
    listener: socket.socket
    uid: int
    patience: float

    def accept(self) -> socket.socket | None:
        """The connection, after which nobody else is let in; None if it does not come."""
        until = time.monotonic() + self.patience
        while (left := until - time.monotonic()) > 0:
            self.listener.settimeout(left)
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                return None
            if ipc.peer_uid(connection) == self.uid:
                self.listener.close()
                connection.settimeout(None)
                return connection
            logger.warning("%s: another user wants to read it", self.name)
            connection.close()
        return None


class Blockd:
    """The verb.

    Args:
        directory: where sockets are made; others may pass through it and not list it.
        uid_of: the user whose QEMU a partition's is. Raises KeyError where there is none.
        pipes: an open node's pipes, claimed for as long as the context lasts. Raises OSError.
        patience: seconds until QEMU has to have come.
    """

    def __init__(
        self,
        directory: Path,
        *,
        uid_of: Callable[[Partition], int] = lambda partition: pwd.getpwnam(QEMU_USERS[partition]).pw_uid,
        pipes: Callable[[int, ServeArguments], AbstractContextManager[Pipes]] = usb_pipes,
        patience: float = ACCEPT_SECONDS,
    ) -> None:
        self._directory = directory
        self._uid_of = uid_of
        self._pipes = pipes
        self._patience = patience
        self._places = threading.BoundedSemaphore(MOST_SERVED)
        # What a process before this one served is served no more, and the core has to see that.
        for left in directory.glob("*.sock"):
            left.unlink()

    def handlers(self, _: socket.socket) -> dict[str, ipc.Handler]:
        """The closed set of verbs for :func:`twinhull_hypervisor.ipc.serve`."""
        return {"serve": self._serve}

    def _serve(self, untrusted: dict[str, Any], fds: list[int]) -> Served:
        with contextlib.ExitStack() as stack:
            for fd in fds:
                stack.callback(os.close, fd)
            arguments = _arguments(untrusted, fds)
            try:
                uid = self._uid_of(arguments.partition)
            except KeyError as error:
                raise NotServed(reason="the user that the partition runs as does not exist") from error
            if not self._places.acquire(blocking=False):
                raise TooManyServed(number=MOST_SERVED)
            stack.callback(self._places.release)
            try:
                pipes = stack.enter_context(self._pipes(fds[0], arguments))
            except OSError as error:
                raise NotServed(reason=error.strerror or "it cannot be claimed") from error
            try:
                disk = UsbDisk(pipes)
            except NotReadable as error:
                raise NotServed(reason=str(error)) from error
            path, listener = self._listen(stack)
            everything = stack.pop_all()
        client = Client(path.stem, listener, uid, self._patience)
        threading.Thread(target=_attend, args=(client, disk, everything), daemon=True).start()
        logger.info("%s: %d bytes for %s", path.stem, disk.size, arguments.partition)
        return Served(socket=str(path))

    def _listen(self, stack: contextlib.ExitStack) -> tuple[Path, socket.socket]:
        path = self._directory / f"{secrets.token_hex(16)}.sock"
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(path))
        stack.callback(path.unlink, missing_ok=True)
        # SO_PEERCRED decides who reads.
        path.chmod(0o666)
        listener.listen(1)
        return path, listener


def _attend(client: Client, disk: UsbDisk, everything: contextlib.ExitStack) -> None:
    """Serve the first client that is the right user, then let go of everything."""
    with everything:
        try:
            connection = client.accept()
            if connection is None:
                logger.info("%s: nobody came for it", client.name)
                return
            with connection:
                nbd.serve(connection, disk)
        except nbd.BadClient as error:
            logger.warning("%s: the partition's QEMU sends %s", client.name, error)
        except OSError as error:
            logger.info("%s: %s", client.name, error.strerror)
    logger.info("%s: served no more", client.name)


def _arguments(untrusted: dict[str, Any], fds: list[int]) -> ServeArguments:
    if len(fds) != 1:
        raise BadBlockArgument(detail=f"{len(fds)} descriptors came, not one")
    try:
        return msgspec.convert(untrusted, ServeArguments)
    except msgspec.ValidationError as error:
        raise BadBlockArgument(detail=str(error).rstrip(".")) from error

"""twinhull-tpmd: the one process that may open the security chip, and does two things with it.

It keeps nothing: what the chip gives out is the core's to store. It is no place to guess at: the chip counts.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from .. import ipc
from .chip import Tpm
from .client import SealArguments, UnsealArguments
from .errors import BadChipArgument
from .structures import Sealed

T = TypeVar("T", bound=msgspec.Struct)
CONNECTIONS = 4
AUTH_LIMIT = 32


class Tpmd:
    """The verbs."""

    def __init__(self, chip: Tpm) -> None:
        self._chip = chip

    def handlers(self, _: socket.socket) -> dict[str, ipc.Handler]:
        """The closed set of verbs for :func:`twinhull_hypervisor.ipc.serve`."""
        return {"seal": self._seal, "unseal": self._unseal}

    def _seal(self, untrusted: dict[str, Any], fds: list[int]) -> Sealed:
        with _owned(fds):
            arguments = _arguments(untrusted, SealArguments)
            sealed, secret = self._chip.seal(_auth(fds), arguments.pcrs)
            _hand_over(fds, secret)
            return sealed

    def _unseal(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        with _owned(fds):
            arguments = _arguments(untrusted, UnsealArguments)
            _hand_over(fds, self._chip.unseal(arguments.sealed, _auth(fds)))
            return {}


@contextlib.contextmanager
def _owned(fds: list[int]) -> Iterator[None]:
    """Close what came with a packet, and refuse anything but two descriptors."""
    try:
        if len(fds) != 2:
            raise BadChipArgument(detail="two descriptors come with it")
        yield
    finally:
        for fd in fds:
            os.close(fd)


def _arguments(untrusted: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(untrusted, kind)
    except msgspec.ValidationError as error:
        raise BadChipArgument(detail=error) from error


def _auth(fds: list[int]) -> bytes:
    """What stands for the PIN."""
    try:
        auth = os.pread(fds[0], AUTH_LIMIT + 1, 0)
    except OSError as error:
        raise BadChipArgument(detail="the first descriptor is not memory") from error
    if not 1 <= len(auth) <= AUTH_LIMIT or auth.endswith(b"\0"):
        raise BadChipArgument(detail=f"a PIN's stand-in has 1 to {AUTH_LIMIT} bytes and no zero at its end")
    return auth


def _hand_over(fds: list[int], secret: bytes) -> None:
    try:
        os.pwrite(fds[1], secret, 0)
    except OSError as error:
        raise BadChipArgument(detail="the second descriptor is not memory") from error

"""twinhull-tpmd: the one process that may open the security chip, and does two things with it.

It keeps nothing: what the chip gives out is the core's to store. It is no place to guess at: the chip counts.
"""

from __future__ import annotations

import os
import socket
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
        with ipc.owned(fds, 2, BadChipArgument):
            arguments = ipc.converted(untrusted, SealArguments, BadChipArgument)
            sealed, secret = self._chip.seal(_auth(fds), arguments.pcrs)
            _hand_over(fds, secret)
            return sealed

    def _unseal(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        with ipc.owned(fds, 2, BadChipArgument):
            arguments = ipc.converted(untrusted, UnsealArguments, BadChipArgument)
            _hand_over(fds, self._chip.unseal(arguments.sealed, _auth(fds)))
            return {}


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

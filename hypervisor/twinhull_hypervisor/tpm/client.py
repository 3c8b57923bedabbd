"""Core's side of tpmd's socket: its two verbs, and what they take and answer.

What is secret goes through anonymous memory beside the packets (memfd_create(2)), which neither side can be
made to wait at, and is in no packet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec

from .. import ipc
from .errors import ChipGone
from .structures import SECRET_BYTES, Pcr, Sealed

SOCKET_PATH = Path("/run/twinhull/tpmd.sock")
SECONDS = 60.0
"""A chip may take seconds for one command, and several for a key of its own."""


class SealArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``seal``; beside them the memory with what stands for the PIN, and that for the secret."""

    pcrs: Annotated[list[Pcr], msgspec.Meta(min_length=1, max_length=16)]


class UnsealArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``unseal``; beside them as for ``seal``."""

    sealed: Sealed


class TpmClient:
    """The security chip behind tpmd. Both methods raise what ``chip`` raises, as RemoteError; BadPacket.

    Args:
        path: tpmd's socket.
    """

    def __init__(self, path: Path = SOCKET_PATH) -> None:
        self._path = path

    def seal(self, auth: bytes, pcrs: Sequence[int]) -> tuple[Sealed, bytes]:
        """A new secret, and what opens it again with ``auth`` while those registers are as now."""
        answer, secret = self._ask("seal", SealArguments(list(pcrs)), auth)
        try:
            return msgspec.convert(answer, Sealed), secret
        except msgspec.ValidationError as error:
            raise ipc.BadPacket(detail=str(error)) from error

    def unseal(self, sealed: Sealed, auth: bytes) -> bytes:
        """The secret again."""
        return self._ask("unseal", UnsealArguments(sealed), auth)[1]

    def _ask(self, verb: str, arguments: msgspec.Struct, auth: bytes) -> tuple[Any, bytes]:
        with _memory(auth) as told, _memory(b"") as kept:
            try:
                plain = msgspec.to_builtins(arguments)
                answer = ipc.call(self._path, verb, plain, fds=[told, kept], timeout=SECONDS)
            except ipc.HelperUnreachable as error:
                raise ChipGone(detail="twinhull-tpmd, which asks it, cannot be reached") from error
            secret = os.pread(kept, SECRET_BYTES + 1, 0)
        if len(secret) != SECRET_BYTES:
            raise ipc.BadPacket(detail="no secret came")
        return answer, secret


@contextmanager
def _memory(content: bytes) -> Iterator[int]:
    """Anonymous memory; overwritten and closed on leaving."""
    fd = os.memfd_create("twinhull", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, content, 0)
        yield fd
    finally:
        os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
        os.close(fd)

"""The company's part of the corporate volume's key on this laptop: here while the lease lasts, and not after.

It comes from the server with the lease and is kept beside the state, so that the volume opens without the
server until the lease ends, also after a restart. Only the corporate key file is given this.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from twinhull_policy.errors import TwinhullError
from twinhull_policy.escrow import Generation

from ..fetch.client import FetchClient
from ..storage.files import overwrite_head, sync_directory, write_atomically
from ..storage.server_share import SHARE_BYTES
from .state import State

logger = logging.getLogger(__name__)

FILE_LIMIT = 4096
KEPT = 2
"""Generations whose shares are kept: while a key is being changed, the old one's and the new one's."""


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: shares by generation, the newest last."""

    shares: Annotated[dict[Generation, bytes], msgspec.Meta(max_length=KEPT)]


class ServerShares:
    """Implements :class:`twinhull_hypervisor.storage.server_share.Shares`, from any thread.

    Args:
        path: the file; its directory is ours.
        wanted: whether the policy in force wants one in a new key; asked from any thread.
    """

    def __init__(
        self,
        path: Path,
        client: FetchClient,
        state: State,
        wanted: Callable[[], bool],
    ) -> None:
        self._path = path
        self._client = client
        self._state = state
        self._wanted = wanted
        self._lock = threading.Lock()

    def held(self, generation: str) -> bytes | None:
        """The share of a generation, if it is here."""
        with self._lock:
            return self._read().get(generation)

    def ask(self, generation: str) -> bytes | None:
        """A share for a new key, or None where the policy wants none in it. Raises what fetch raises."""
        return self._bring(generation) if self._wanted() else None

    def renew(self, generation: str | None) -> None:
        """The lease lasts: have the share of the key in use, which is named, if it has one."""
        if generation is None or self.held(generation) is not None:
            return
        try:
            self._bring(generation)
        except (TwinhullError, OSError) as error:
            logger.info("the company's part of the corporate key is not here: %s", error)

    def forget(self) -> None:
        """The lease is over, or was never begun: nothing of it is here any more."""
        with self._lock:
            if not self._path.exists():
                return
            overwrite_head(self._path, FILE_LIMIT)
            self._path.unlink()
            sync_directory(self._path.parent)
        self._state.log("done", "The company's part of the corporate volume's key was removed")

    def _bring(self, generation: str) -> bytes:
        share = self._client.share(generation)
        if len(share) != SHARE_BYTES:
            raise ShareUnfit
        with self._lock:
            kept = {name: old for name, old in self._read().items() if name != generation}
            shares = dict([*kept.items(), (generation, share)][-KEPT:])
            write_atomically(self._path, msgspec.json.encode(_Kept(shares)))
        self._state.log("received", "The company's part of the corporate volume's key")
        return share

    def _read(self) -> dict[str, bytes]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            untrusted = file.read(FILE_LIMIT + 1)
        try:
            found = msgspec.json.decode(untrusted, type=_Kept).shares
        except (msgspec.DecodeError, RecursionError) as error:
            logger.warning("the company's part of the corporate key cannot be read: %s", error)
            return {}
        return {name: share for name, share in found.items() if len(share) == SHARE_BYTES}


class ShareUnfit(TwinhullError):
    """What the server gave as its part of the corporate volume's key is none."""

    code = "TH-DMN-043"
    next_step = "Tell your administrator; nothing was changed."

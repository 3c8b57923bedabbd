"""Reading a secret that a client sent as the read end of a pipe.

The descriptor is the client's choice, so it is untrusted: reads are bounded in bytes and in time, and a
descriptor that is not a pipe is refused (a file could block for ever or be someone else's).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import time
from collections.abc import AsyncIterator

from twinhull_policy.api.interface import SECRET_LIMIT
from twinhull_policy.errors import Blame, TwinhullError

SECRET_SECONDS = 10.0
"""How long a client may take to write its secret."""


class SecretUnreadable(TwinhullError):
    """The secret could not be read: {detail}."""

    code = "TH-DMN-005"
    blame = Blame.MALFORMED
    next_step = "Try again; a secret has at most 1024 bytes and is sent through a pipe."


def read_secret(untrusted_fd: int) -> bytearray:
    """Read a whole secret, up to SECRET_LIMIT bytes and SECRET_SECONDS, without its final newline.

    The descriptor stays open; the caller wipes the result with :func:`wipe`.

    Raises:
        SecretUnreadable: not a pipe, too long, or too slow.
    """
    if not stat.S_ISFIFO(os.fstat(untrusted_fd).st_mode):
        raise SecretUnreadable(detail="it did not come through a pipe")
    secret = bytearray()
    deadline = time.monotonic() + SECRET_SECONDS
    poller = select.poll()
    poller.register(untrusted_fd, select.POLLIN)
    while len(secret) <= SECRET_LIMIT:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poller.poll(remaining * 1000):
            wipe(secret)
            raise SecretUnreadable(detail="nothing came in time")
        chunk = os.read(untrusted_fd, SECRET_LIMIT + 1 - len(secret))
        if not chunk:
            if secret.endswith(b"\n"):
                del secret[-1:]
            return secret
        secret += chunk
    wipe(secret)
    raise SecretUnreadable(detail=f"longer than {SECRET_LIMIT} bytes")


@contextlib.asynccontextmanager
async def secrets(*untrusted_fds: int) -> AsyncIterator[tuple[bytearray, ...]]:
    """Several secrets, read one after the other and wiped on leaving. Raises SecretUnreadable."""
    read: list[bytearray] = []
    try:
        for untrusted_fd in untrusted_fds:
            read.append(await asyncio.to_thread(read_secret, untrusted_fd))
        yield tuple(read)
    finally:
        for secret in read:
            wipe(secret)


def wipe(secret: bytearray) -> None:
    """Overwrite a secret in place. Best effort: Python may have copied it before."""
    secret[:] = bytes(len(secret))

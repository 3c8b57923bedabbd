"""Whether this kernel maps encrypted volumes: tried out on a few blocks of memory, not guessed."""

from __future__ import annotations

import os
import secrets

from ..run import run
from . import loop
from .header import CIPHER, SECTOR_BYTES
from .luks import KEY_BYTES

PROBED_BYTES = 2**20
NAME = "twinhull-probe"
SECONDS = 60.0


def probe() -> None:
    """Map some blocks of memory and let them go. Raises OSError, or what ``run`` raises."""
    blocks = os.memfd_create("twinhull", os.MFD_CLOEXEC)
    key = os.memfd_create("twinhull", os.MFD_CLOEXEC)
    try:
        os.truncate(blocks, PROBED_BYTES)
        os.pwrite(key, secrets.token_bytes(2 * KEY_BYTES), 0)
        with loop.attached(blocks, SECTOR_BYTES) as device:
            options = ["--type", "plain", "--cipher", CIPHER, "--key-size", "512", "--disable-keyring"]
            options += ["--sector-size", str(SECTOR_BYTES), "--key-file", f"/proc/self/fd/{key}"]
            run(["cryptsetup", "open", "-q", *options, device, NAME], timeout=SECONDS, pass_fds=[key])
            run(["cryptsetup", "close", "-q", NAME], timeout=SECONDS)
    finally:
        os.close(key)
        os.close(blocks)

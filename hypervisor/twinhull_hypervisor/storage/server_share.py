"""The company's part of the corporate volume's key (docs/adr/0020). Pure.

A volume key that has one is the exclusive or of what the slots wrap and of a mask that is derived from the
server's share. Either alone says nothing of the key: both are random and as long as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHARE_BYTES = 32
NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class ServerPart:
    """What a share is worth for one generation of one volume.

    Attributes:
        name: tells it from another, and says nothing of it; hexadecimal.
        mask: as long as the volume key.
    """

    name: str
    mask: bytes = field(repr=False)

    @classmethod
    def of(cls, share: bytes, generation: str) -> ServerPart:
        """Of a server's share, 32 bytes."""

        def derived(length: int, what: bytes) -> bytes:
            info = b"twinhull server share 1\0" + what + b"\0" + generation.encode()
            return HKDF(SHA256(), length, None, info).derive(share)

        return cls(derived(NAME_BYTES, b"name").hex(), derived(SHARE_BYTES, b"mask"))

    def applied(self, key: bytes | bytearray) -> bytearray:
        """From what is wrapped to the volume key, and back."""
        return bytearray(a ^ b for a, b in zip(key, self.mask, strict=True))


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new volume key that is not in use yet.

    Attributes:
        luks_slot: the key slot of the disk's own header that is to hold it.
        generation: of the slots that will open it.
        server: the server's part of it, if it has one.
    """

    key: bytearray
    luks_slot: int
    generation: str
    server: ServerPart | None


class Shares(Protocol):
    """Where server shares come from. Calls block."""

    def held(self, generation: str) -> bytes | None:
        """The share of a generation, if it is here; it is for as long as the lease lasts."""

    def ask(self, generation: str) -> bytes | None:
        """A share for a new key; None when its company wants none in it.

        Raises:
            TwinhullError: it wants one, and it cannot be had now.
        """

    def forget(self) -> None:
        """The lease is over: none is here any more."""


class NoShares:
    """For keys that have no such part, as the personal volume's never has."""

    def held(self, generation: str) -> bytes | None:
        """None."""

    def ask(self, generation: str) -> bytes | None:
        """None."""

    def forget(self) -> None:
        """Nothing."""

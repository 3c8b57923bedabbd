"""What the daemon knows of a partition's encrypted store, whatever it is made of."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.slots import RecoveryCode, Secret


class VolumeState(StrEnum):
    """ABSENT also after an interrupted creation, which holds no data and is begun again.

    An overlay whose key file is missing counts as LOCKED: a backup of the key file may open it yet.
    """

    ABSENT = "absent"
    LOCKED = "locked"
    UNLOCKED = "unlocked"


class Volume(Protocol):
    """What every back end does. Calls block, seconds at most; none is for two threads at once."""

    @property
    def kind(self) -> Literal["luks2-dm-crypt", "qemu-luks"]:
        """How it is encrypted."""

    @property
    def paths(self) -> VolumePaths:
        """Where its files are."""

    def state(self) -> VolumeState:
        """Whether it exists and is open."""

    def create(self, base: Path, disk_gib: int, passphrase: bytes) -> None:
        """Make it, empty over ``base``, and leave it unlocked."""

    def unlock(self, passphrase: bytes) -> None:
        """Open it."""

    def unlock_with(self, secret: Secret) -> None:
        """Open it by any of its slots."""

    def lock(self) -> None:
        """Close it; the key is wiped from memory."""

    def check_header(self) -> None:
        """Before anybody is asked for a secret; raises HeaderDamaged."""

    def restore_header(self) -> None:
        """Put its verified backup back; raises HeaderLost."""

    def recover(self, code: RecoveryCode, new: bytes) -> RecoveryCode:
        """Open it by a recovery code and begin anew with a new passphrase; the next code."""

    def rotate(self, passphrase: bytes) -> RecoveryCode:
        """Give it a new volume key; the next recovery code. Its machine must have stopped."""

    def reset(self, base: Path, disk_gib: int) -> None:
        """Throw away what the guest wrote; passphrases stay. It must be unlocked and its machine stopped."""

    def destroy(self) -> None:
        """Remove it and its keys for good."""

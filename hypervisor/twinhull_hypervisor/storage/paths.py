"""Where a volume's files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class VolumePaths:
    """Where a volume's files are.

    Attributes:
        directory: what is there while it is closed, too: keys, backups of headers.
        inside: what can be reached only while it is open; None where that is no place of its own.
    """

    directory: Path
    inside: Path | None = None

    @property
    def contents(self) -> Path:
        """Where the guest's disk is, its variables, its snapshots."""
        return self.directory if self.inside is None else self.inside

    @property
    def head(self) -> Path:
        """The first bytes of the guest's disk, which tell its base and size while it cannot be reached."""
        return self.directory / "overlay.head"

    @property
    def overlay(self) -> Path:
        """The guest's disk."""
        return self.contents / "overlay.qcow2"

    @property
    def nvram(self) -> Path:
        """The guest's UEFI variables."""
        return self.contents / "nvram.fd"

    @property
    def keys(self) -> Path:
        """The wrapped volume key."""
        return self.directory / "keys.json"

    @property
    def new_overlay(self) -> Path:
        """Where a disk is made before it gets its name."""
        return self.contents / ".overlay.qcow2.new"

    @property
    def new_nvram(self) -> Path:
        """Where variables are made before they get their name."""
        return self.contents / ".nvram.fd.new"

    @property
    def snapshots(self) -> Path:
        """What is kept beside the present disk."""
        return self.contents / "snapshots"

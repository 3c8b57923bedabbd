"""Where a volume's files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class VolumePaths:
    """Where a volume's files are."""

    directory: Path

    @property
    def overlay(self) -> Path:
        """The guest's disk."""
        return self.directory / "overlay.qcow2"

    @property
    def nvram(self) -> Path:
        """The guest's UEFI variables."""
        return self.directory / "nvram.fd"

    @property
    def keys(self) -> Path:
        """The wrapped volume key."""
        return self.directory / "keys.json"

    @property
    def new_overlay(self) -> Path:
        """Where a disk is made before it gets its name."""
        return self.directory / ".overlay.qcow2.new"

    @property
    def new_nvram(self) -> Path:
        """Where variables are made before they get their name."""
        return self.directory / ".nvram.fd.new"

    @property
    def snapshots(self) -> Path:
        """What is kept beside the present disk."""
        return self.directory / "snapshots"

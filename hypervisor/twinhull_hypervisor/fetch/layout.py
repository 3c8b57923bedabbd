"""Where the service keeps what, below its directory (docs/architecture.md, "Files")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths below ``/var/lib/twinhull-fetch``."""

    directory: Path

    @property
    def identity(self) -> Path:
        """Device key, certificate, server address; nobody else may read it."""
        return self.directory / "identity"

    @property
    def inbox(self) -> Path:
        """``statement.dsse`` and ``bodies/``; core reads it and trusts none of it."""
        return self.directory / "inbox"

    @property
    def repository(self) -> Path:
        """Metadata and targets."""
        return self.directory / "repository"

    @property
    def metadata(self) -> Path:
        """TUF metadata."""
        return self.repository / "metadata"

    @property
    def targets(self) -> Path:
        """Downloaded images; the target ``images/x.qcow2`` is ``targets/images/x.qcow2``."""
        return self.repository / "targets"

    def prepare(self) -> None:
        """Make the directories, with the modes that let group ``twinhull`` read what it may."""
        self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        for path, mode in (
            (self.identity, 0o700),
            (self.inbox, 0o750),
            (self.inbox / "bodies", 0o750),
            (self.repository, 0o750),
            (self.metadata, 0o750),
            (self.targets, 0o750),
            (self.targets / "images", 0o750),
        ):
            path.mkdir(mode=mode, exist_ok=True)

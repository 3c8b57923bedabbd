"""Where the core keeps and finds things (docs/architecture.md, "Files"); tests pass their own root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinhull_policy.names import Partition


@dataclass(frozen=True)
class Paths:
    """Every path the core uses, from four roots."""

    state: Path = Path("/var/lib/twinhull")
    fetch: Path = Path("/var/lib/twinhull-fetch")
    run: Path = Path("/run/twinhull")
    containers: Path = Path("/var/lib/twinhull-diskd")

    @property
    def database(self) -> Path:
        """The state database."""
        return self.state / "state.sqlite"

    @property
    def images(self) -> Path:
        """Verified golden images, named by hash."""
        return self.state / "images"

    def volume(self, partition: Partition) -> Path:
        """The directory that is a partition's volume."""
        return self.state / "volumes" / partition

    @property
    def server_share(self) -> Path:
        """The server's part of the corporate volume's key, while the lease lasts."""
        return self.state / "server-share.json"

    @property
    def netd_socket(self) -> Path:
        """Where twinhull-netd listens."""
        return self.run / "netd.sock"

    @property
    def fetch_socket(self) -> Path:
        """Where twinhull-fetch listens."""
        return self.run / "fetch.sock"

    @property
    def devd_socket(self) -> Path:
        """Where twinhull-devd listens."""
        return self.run / "devd.sock"

    @property
    def tpmd_socket(self) -> Path:
        """Where twinhull-tpmd listens."""
        return self.run / "tpmd.sock"

    @property
    def diskd_socket(self) -> Path:
        """Where twinhull-diskd listens."""
        return self.run / "diskd.sock"

    @property
    def inbox(self) -> Path:
        """What fetch brought; nothing in it is trusted."""
        return self.fetch / "inbox"

    @property
    def metadata(self) -> Path:
        """The repository metadata fetch brought; nothing in it is trusted."""
        return self.fetch / "repository" / "metadata"

    @property
    def targets(self) -> Path:
        """The images fetch brought; nothing in it is trusted."""
        return self.fetch / "repository" / "targets"

"""A laptop's repository plane in a directory, and a repository behind a real HTTPS server process."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from twinhull_hypervisor.fetch.download import download
from twinhull_hypervisor.fetch.http import PoolFetcher
from twinhull_hypervisor.fetch.limits import LIMITS, FetchLimits
from twinhull_hypervisor.fetch.repository import Repository
from twinhull_policy.errors import TwinhullError

from tests.support.fleet_processes import ENVIRONMENT, fetch_command
from tests.support.tuf_repository import HttpsServer, TufRepository

QUICK = replace(
    LIMITS, metadata_seconds=1.0, silence_seconds=1.0, slow_window_seconds=0.5, slow_window_bytes=10_000
)
"""So slow data is told from slow tests within seconds."""


@dataclass
class World:
    """What refreshes, from where, and into what."""

    repository: TufRepository
    http: HttpsServer
    metadata: Path
    targets: Path
    limits: FetchLimits = LIMITS

    def fetcher(self) -> PoolFetcher:
        """A fetcher that trusts the server's CA and nothing else."""
        context = ssl.create_default_context(cafile=self.http.ca)
        return PoolFetcher(context, self.limits)

    def refresh(self) -> str:
        """The code a refresh is refused with; empty when it is not."""
        fetcher = self.fetcher()
        try:
            Repository(self.metadata, fetcher).refresh(f"{self.http.url}/metadata")
        except TwinhullError as error:
            return error.code
        finally:
            fetcher.close()
        return ""

    def bring(self, name: str = "image") -> str:
        """The code a download is refused with; empty when it is not."""
        fetcher = self.fetcher()
        try:
            listed = Repository(self.metadata, fetcher).find(f"{self.http.url}/metadata", name)
            url = f"{self.http.url}/targets/{listed.path}"
            download(fetcher, url, listed.info, self.targets / name, lambda _: None)
        except TwinhullError as error:
            return error.code
        finally:
            fetcher.close()
        return ""

    def command(self, command: str, *more: str | Path) -> tuple[int, str]:
        """The same as a process: exit status and stderr."""
        options: list[str | Path] = [
            "--metadata-dir",
            self.metadata,
            "--metadata-url",
            f"{self.http.url}/metadata",
        ]
        environment = ENVIRONMENT | {"SSL_CERT_FILE": str(self.http.ca)}
        done = fetch_command(*options, *more, command, environment=environment)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    def target_path(self) -> str:
        return next(path for path in self.repository.files if path.startswith("targets/"))

    def versioned(self, role: str) -> str:
        return f"metadata/{self.repository.version}.{role}.json"

    def holds(self) -> dict[str, bytes]:
        """The metadata files, for comparison."""
        return {path.name: path.read_bytes() for path in self.metadata.glob("[a-z]*.json")}


@contextmanager
def world_at(directory: Path, target: bytes) -> Iterator[World]:
    """A laptop that has seen version 2 of a repository that lists ``image``."""
    server = HttpsServer(directory / "web")
    repository = TufRepository(server.files)
    repository.publish(image=target)
    repository.publish()
    with server:
        made = World(repository, server, directory / "metadata", directory / "downloads")
        root = repository.files["metadata/1.root.json"]
        Repository(made.metadata, PoolFetcher()).initialise(root)
        assert made.refresh() == ""
        yield made

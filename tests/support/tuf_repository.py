"""A small TUF repository that a test can bend, served over TLS by a process that can misbehave."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    T,
    TargetFile,
    Targets,
    Timestamp,
)
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import (
    make_authorities,
    server_ca_path,
    server_certificate_path,
    server_key_path,
)

ROOT = Path(__file__).resolve().parents[2]


class TufRepository:
    """Signs whatever it is told to.

    Attributes:
        files: path below the URL -> content, as served.
        version: of timestamp, snapshot and targets.
        life: how long new metadata lives; negative makes it expired.
    """

    def __init__(self, files: MutableMapping[str, bytes] | None = None) -> None:
        self.files: MutableMapping[str, bytes] = {} if files is None else files
        self.version = 0
        self.life = datetime.timedelta(days=1)
        self.keys = {
            role: CryptoSigner.generate_ed25519() for role in ("root", "timestamp", "snapshot", "targets")
        }
        self.targets: dict[str, bytes] = {}
        self.delegated: list[str] = []
        self.root = Root(version=1, expires=self._expires())
        for role, signer in self.keys.items():
            self.root.add_key(signer.public_key, role)
        self.sign_root()

    def _expires(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + self.life

    def sign_root(self) -> None:
        """Publish the root as it is now."""
        self._put(f"{self.root.version}.root.json", self.root, "root")

    def bump_root(self) -> None:
        """Publish the same root again, as the next version."""
        self.root.version += 1
        self.root.expires = self._expires()
        self.sign_root()

    def delegate(self, role: str) -> None:
        """Have targets delegate everything to a role that lists nothing; published with the next version."""
        self.delegated.append(role)

    def rotate(self, role: str) -> None:
        """Give a role a new key in a new root."""
        signer = CryptoSigner.generate_ed25519()
        self.root.revoke_key(self.keys[role].public_key.keyid, role)
        self.root.add_key(signer.public_key, role)
        self.keys[role] = signer
        self.root.version += 1
        self.sign_root()

    def publish(self, **targets: bytes) -> None:
        """A new version of everything, with more targets."""
        self.version += 1
        self.targets.update(targets)
        signed = Targets(version=self.version, expires=self._expires())
        for name, content in self.targets.items():
            info = TargetFile.from_data(name, content)
            signed.targets[name] = info
            self.files[f"targets/{info.hashes['sha256']}.{name}"] = content
        meta = {"targets.json": MetaFile(self.version)}
        if self.delegated:
            key = self.keys["targets"].public_key
            roles = {r: DelegatedRole(r, [key.keyid], 1, False, ["*"]) for r in self.delegated}
            signed.delegations = Delegations({key.keyid: key}, roles)
            for role in self.delegated:
                listed = Targets(version=self.version, expires=self._expires())
                self._put(f"{self.version}.{quote(role, '')}.json", listed, "targets")
                meta[f"{role}.json"] = MetaFile(self.version)
        self._put(f"{self.version}.targets.json", signed, "targets")
        snapshot = Snapshot(version=self.version, expires=self._expires(), meta=meta)
        self._put(f"{self.version}.snapshot.json", snapshot, "snapshot")
        timestamp = Timestamp(
            version=self.version, expires=self._expires(), snapshot_meta=MetaFile(self.version)
        )
        self._put("timestamp.json", timestamp, "timestamp")

    def _put(self, name: str, signed: T, role: str) -> None:
        metadata: Metadata[T] = Metadata(signed)
        metadata.sign(self.keys[role])
        self.files[f"metadata/{name}"] = metadata.to_bytes()


class Files(MutableMapping[str, bytes]):
    """Files below a directory, by path; what is put there is served."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __getitem__(self, name: str) -> bytes:
        try:
            return (self._directory / name).read_bytes()
        except OSError as error:
            raise KeyError(name) from error

    def __setitem__(self, name: str, content: bytes) -> None:
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + ".new").write_bytes(content)
        path.with_name(path.name + ".new").replace(path)

    def __delitem__(self, name: str) -> None:
        (self._directory / name).unlink()

    def __iter__(self) -> Iterator[str]:
        found = (path for path in self._directory.rglob("*") if path.is_file())
        return (str(path.relative_to(self._directory)) for path in sorted(found))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class HttpsServer:
    """The server process of ``tests.support.https_server``, with a CA of its own.

    Attributes:
        url: where it is.
        files: what it serves.
        ca: its CA's certificate, PEM; what is to trust it gets the path as ``SSL_CERT_FILE``.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "files").mkdir(parents=True)
        self.files = Files(directory / "files")
        layout = Layout(directory / "pki")
        for path in (layout.directory, layout.offline, layout.online):
            path.mkdir()
        make_authorities(layout, "localhost", "test")
        for source, name in ((server_certificate_path, "server.pem"), (server_key_path, "server.key")):
            (directory / name).write_bytes(source(layout).read_bytes())
        self.ca = server_ca_path(layout)
        (directory / "requests.log").touch()
        self.behave()

    def __enter__(self) -> HttpsServer:
        command = [sys.executable, "-m", "tests.support.https_server", str(self._directory)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"https://localhost:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def misbehave(self, path: str, kind: str, **more: float) -> None:
        """Answer so for a path from now on: ``cut``, ``endless``, ``drip`` or ``silent``."""
        self._say({path: {"kind": kind, **more}})

    def behave(self) -> None:
        """Answer rightly again."""
        self._say({})

    def _say(self, what: dict[str, dict[str, object]]) -> None:
        path = self._directory / "misbehave.json"
        path.with_suffix(".new").write_text(json.dumps(what))
        path.with_suffix(".new").replace(path)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Path and Range of every request so far."""
        lines = (self._directory / "requests.log").read_text().splitlines()
        return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]

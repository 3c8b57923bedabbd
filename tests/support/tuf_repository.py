"""A small TUF repository that a test can bend, served over plain HTTP by a server that can misbehave."""

from __future__ import annotations

import datetime
import http.server
import threading
from collections.abc import Callable
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, T, TargetFile, Targets, Timestamp

Respond = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


class TufRepository:
    """Signs whatever it is told to.

    Attributes:
        files: path below the URL -> content, as served.
        version: of timestamp, snapshot and targets.
        life: how long new metadata lives; negative makes it expired.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.version = 0
        self.life = datetime.timedelta(days=1)
        self.keys = {
            role: CryptoSigner.generate_ed25519() for role in ("root", "timestamp", "snapshot", "targets")
        }
        self.targets: dict[str, bytes] = {}
        self.root = Root(version=1, expires=self._expires())
        for role, signer in self.keys.items():
            self.root.add_key(signer.public_key, role)
        self.sign_root()

    def _expires(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + self.life

    def sign_root(self) -> None:
        """Publish the root as it is now."""
        self._put(f"{self.root.version}.root.json", self.root, "root")

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
        self._put(f"{self.version}.targets.json", signed, "targets")
        meta = {"targets.json": MetaFile(self.version)}
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


class HttpServer:
    """Serves a repository's files with Range; ``misbehave`` answers instead for the paths it holds.

    Attributes:
        url: where it is.
        ranges: the Range headers seen, by path.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.misbehave: dict[str, Respond] = {}
        self.ranges: list[tuple[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.lstrip("/")
                content = files.get(path)
                if (respond := outer.misbehave.get(path)) is not None:
                    respond(self, content or b"")
                    return
                if content is None:
                    self.send_error(404)
                    return
                start = 0
                if asked := self.headers.get("Range"):
                    outer.ranges.append((path, asked))
                    start = int(asked.removeprefix("bytes=").rstrip("-"))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:])

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HttpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def cut_off_after(count: int) -> Respond:
    """Promise everything, send ``count`` bytes, and hang up."""

    def respond(handler: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:count])

    return respond


def endless(handler: http.server.BaseHTTPRequestHandler, content: bytes) -> None:
    """What was asked for, and then more and more, until the client has enough."""
    handler.send_response(200)
    handler.end_headers()
    try:
        handler.wfile.write(content)
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        handler.close_connection = True


def instead(other: bytes) -> Respond:
    """Something else."""

    def respond(handler: http.server.BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(other)))
        handler.end_headers()
        handler.wfile.write(other)

    return respond


def snapshot_of(directory: Path) -> dict[str, bytes]:
    """The metadata files of a directory, for comparison."""
    return {path.name: path.read_bytes() for path in directory.glob("[a-z]*.json")}

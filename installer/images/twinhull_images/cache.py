"""Images named by what they are made from: the key, the manifest that makes a result count, the lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .recipe import Recipe
from .sources import Source

MANIFEST = "manifest.json"
FORMAT = 1
KEY_LENGTH = 32


@dataclass(frozen=True)
class Image:
    """One finished image.

    Attributes:
        name: ``<partition>-<kind>``; also its name on the policy server.
        partition: who it is for.
        kind: ``small`` or ``desktop``.
        file: file name beside the manifest.
        sha256: of the file, hexadecimal.
        length: of the file, bytes.
        virtual_size: of the guest's disk, bytes.
        default_user: the login that the console or desktop starts as.
    """

    name: str
    partition: str
    kind: str
    file: str
    sha256: str
    length: int
    virtual_size: int
    default_user: str


@dataclass(frozen=True)
class Manifest:
    """A complete build.

    Attributes:
        key: what it was made from, see ``cache_key``.
        kind: ``small`` or ``desktop``.
        probe_kernel: file name of the kernel for a boot probe.
        images: one for each partition.
    """

    key: str
    kind: str
    probe_kernel: str
    images: tuple[Image, ...]


def cache_key(
    recipe: Recipe, code: Iterable[tuple[str, int, bytes]], sources: Iterable[tuple[Source, str]]
) -> str:
    """The name of a build's result: equal inputs, equal name.

    Args:
        recipe: packages and sizes.
        code: path, permission bits and content of every file of the builder.
        sources: the apt sources, each with the hash of its release index, so that updates change the key.
    """
    digest = hashlib.sha256()

    def add(*fields: object) -> None:
        # JSON delimits the fields, so that no two different inputs run together into the same bytes.
        digest.update(json.dumps(fields, sort_keys=True).encode() + b"\n")

    add("format", FORMAT)
    add("recipe", asdict(recipe))
    for path, mode, content in sorted(code):
        add("code", path, bool(mode & 0o100), hashlib.sha256(content).hexdigest())
    for source, index in sorted(sources):
        add("source", asdict(source), index)
    return digest.hexdigest()[:KEY_LENGTH]


def files_under(directories: Iterable[Path], base: Path) -> Iterator[tuple[str, int, bytes]]:
    """Path below ``base``, permission bits and content of every file under the directories."""
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(base)), path.stat().st_mode, path.read_bytes()


def load(directory: Path) -> Manifest | None:
    """The manifest of a finished build whose files are all there in full length, or None."""
    try:
        parsed = json.loads((directory / MANIFEST).read_text())
        images = tuple(Image(**image) for image in parsed.pop("images"))
        manifest = Manifest(images=images, **parsed)
        whole = all((directory / image.file).stat().st_size == image.length for image in images)
        whole = whole and (directory / manifest.probe_kernel).is_file()
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return manifest if whole else None


def store(directory: Path, manifest: Manifest) -> None:
    """Write the manifest so that it is either absent or complete, also after a power cut."""
    temporary = directory / (MANIFEST + ".new")
    with temporary.open("w") as out:
        json.dump(asdict(manifest), out, indent=2)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(directory / MANIFEST)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path, tick: Callable[[], None]) -> str:
    """The SHA-256 of a file, hexadecimal; it is flushed to disk first."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        os.fsync(content.fileno())
        while chunk := content.read(4 * 1024 * 1024):
            digest.update(chunk)
            tick()
    return digest.hexdigest()


@contextmanager
def lock(directory: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the build lock of an output directory; ``waiting`` is called once if another build has it."""
    with (directory / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield

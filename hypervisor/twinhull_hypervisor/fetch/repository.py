"""The repository plane on disk: tuf.ngclient with its gaps closed.

tuf.ngclient works in a scratch copy. What it verified there moves into the metadata directory file by file,
synced, and only if it is not older than what was ever seen; then the marks are written. So the directory
never holds unverified or older metadata, whatever is cut short. The layout is flat: ``root.json``,
``timestamp.json``, ``snapshot.json``, ``targets.json``, and every root in ``root_history/``.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from .durable import locked, remove_tree, write_durably
from .errors import (
    NotInitialised,
    OlderThanSeen,
    RepositoryExpired,
    RepositoryRefused,
    RepositoryUnreachable,
    RootAlreadySet,
    StateDamaged,
    TargetUnknown,
    TrustedRootUnusable,
)
from .http import PoolFetcher
from .limits import LIMITS
from .marks import MARKED_ROLES, Marks, key_names, load_marks, save_marks
from .signers import chain_holds, signed_by_enough

SCRATCH = ".scratch"
HISTORY = "root_history"


@dataclass(frozen=True)
class Listed:
    """A target as signed metadata lists it, and where below the base URL it is."""

    info: TargetFile
    path: str


class Repository:
    """One metadata directory, one user at a time (a lock file)."""

    def __init__(self, directory: Path, fetcher: PoolFetcher) -> None:
        self._directory = directory
        self._fetcher = fetcher

    def initialise(self, trusted_root: bytes) -> None:
        """Trust a root from now on. The same root again changes nothing.

        Raises TrustedRootUnusable, RootAlreadySet.
        """
        try:
            root = Metadata[Root].from_bytes(trusted_root)
            if not isinstance(root.signed, Root):
                raise TrustedRootUnusable(detail="it is another role's metadata")
            root.verify_delegate(Root.type, root)
        except (RepositoryError, ValueError) as error:
            raise TrustedRootUnusable(detail=str(error)) from error
        sha256 = hashlib.sha256(trusted_root).hexdigest()
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        with locked(self._directory / ".lock"):
            try:
                if load_marks(self._directory).first_root_sha256 != sha256:
                    raise RootAlreadySet(directory=self._directory)
                return
            except NotInitialised:
                pass
            (self._directory / HISTORY).mkdir(mode=0o750, exist_ok=True)
            version = root.signed.version
            write_durably(self._directory / HISTORY / f"{version}.root.json", trusted_root)
            write_durably(self._directory / "root.json", trusted_root)
            save_marks(
                self._directory,
                Marks(
                    first_root_sha256=sha256,
                    root_version=version,
                    root_sha256=sha256,
                    versions={},
                    keys=key_names(root.signed),
                    time_floor=0.0,
                ),
            )

    def refresh(self, url: str) -> None:
        """Bring the metadata up to date from ``url``.

        Raises:
            RepositoryUnreachable: it could not be read to its end; safe to try again.
            RepositoryRefused, OlderThanSeen, RepositoryExpired: it is not what it must be.
            NotInitialised, StateDamaged: the directory has no trusted root.
        """
        self._update(url, "")

    def find(self, url: str, name: str) -> Listed:
        """Refresh, then look a target up. Raises TargetUnknown, and like :meth:`refresh`."""
        listed = self._update(url, name)
        if listed is None:
            raise TargetUnknown(name=name)
        return listed

    def _update(self, url: str, target: str) -> Listed | None:
        if not self._directory.is_dir():
            raise NotInitialised(directory=self._directory)
        with locked(self._directory / ".lock"):
            marks = load_marks(self._directory)
            bootstrap = self._trusted_root(marks)
            scratch = self._make_scratch(cached=True)
            try:
                return self._verified(url, target, bootstrap, scratch, marks)
            except RepositoryRefused:
                if load_marks(self._directory).keys == marks.keys:
                    raise
            # The keys changed: TUF specification 5.3.11 has the cached metadata forgotten.
            marks = load_marks(self._directory)
            scratch = self._make_scratch(cached=False)
            return self._verified(url, target, self._trusted_root(marks), scratch, marks)

    def _verified(
        self, url: str, target: str, bootstrap: bytes, scratch: Path, marks: Marks
    ) -> Listed | None:
        config = UpdaterConfig(max_root_rotations=LIMITS.root_rotations)
        try:
            updater = Updater(str(scratch), url, fetcher=self._fetcher, config=config, bootstrap=bootstrap)
            updater.refresh()
            info = updater.get_targetinfo(target) if target else None
        except DownloadError as error:
            self._keep(scratch, marks)
            raise RepositoryUnreachable(detail=str(error)) from error
        except (RepositoryError, ValueError) as error:
            self._keep(scratch, marks)
            raise RepositoryRefused(detail=str(error)) from error
        root = self._keep(scratch, marks, complete=True)
        if info is None:
            return None
        return Listed(info, _target_path(info, consistent=bool(root.consistent_snapshot)))

    def _keep(self, scratch: Path, marks: Marks, *, complete: bool = False) -> Root:
        """Move what tuf.ngclient verified out of the scratch directory, unless it is older or expired.

        ``complete`` says that the refresh succeeded, so all roles are there and fit together. Without it
        only single verified files are kept, which later rounds are held against.
        """
        new_root = (scratch / "root.json").read_bytes()
        root = Metadata[Root].from_bytes(new_root).signed
        versions_followed = range(marks.root_version, root.version + 1)
        paths = (scratch / HISTORY / f"{version}.root.json" for version in versions_followed)
        if not chain_holds(Metadata[Root].from_bytes(path.read_bytes()) for path in paths):
            raise RepositoryRefused(detail="a root's threshold was met by one key under several names")
        floor = datetime.fromtimestamp(max(time.time(), marks.time_floor), UTC)
        held = marks.under(root)
        versions = dict(held.versions)
        loaded = _load_roles(scratch, root, complete=complete)
        self._check(root, loaded, versions, floor, complete)
        for path in sorted((scratch / HISTORY).iterdir()):
            _write_if_new(self._directory / HISTORY / path.name, path.read_bytes())
        _write_if_new(self._directory / "root.json", new_root)
        for name, (content, signed) in sorted(loaded.items(), key=lambda item: item[0] == "timestamp.json"):
            role = name.removesuffix(".json")
            if role not in MARKED_ROLES or signed.version >= versions.get(role, 0):
                _write_if_new(self._directory / name, content)
                if complete and role in MARKED_ROLES:
                    versions[role] = signed.version
        save_marks(
            self._directory,
            msgspec.structs.replace(
                held,
                root_version=root.version,
                root_sha256=hashlib.sha256(new_root).hexdigest(),
                versions=versions,
                time_floor=max(marks.time_floor, time.time()) if complete else marks.time_floor,
            ),
        )
        remove_tree(scratch)
        return root

    @staticmethod
    def _check(
        root: Root,
        loaded: dict[str, tuple[bytes, Signed]],
        versions: dict[str, int],
        floor: datetime,
        complete: bool,
    ) -> None:
        if not complete:
            return
        if root.is_expired(floor):
            raise RepositoryExpired(role=Root.type)
        for role in MARKED_ROLES:
            signed = loaded[f"{role}.json"][1]
            if signed.version < versions.get(role, 0):
                raise OlderThanSeen(role=role, found=signed.version, seen=versions[role])
            if signed.is_expired(floor):
                raise RepositoryExpired(role=role)

    def _trusted_root(self, marks: Marks) -> bytes:
        path = self._directory / HISTORY / f"{marks.root_version}.root.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise StateDamaged(path=path, detail="it is missing") from error
        if hashlib.sha256(content).hexdigest() != marks.root_sha256:
            raise StateDamaged(path=path, detail="it is not the root that was trusted")
        return content

    def _make_scratch(self, *, cached: bool) -> Path:
        scratch = self._directory / SCRATCH
        remove_tree(scratch)
        scratch.mkdir(mode=0o700)
        for path in self._directory.glob("*.json") if cached else ():
            if path.name != "root.json":
                shutil.copyfile(path, scratch / path.name)
        return scratch


def _load_roles(scratch: Path, root: Root, *, complete: bool) -> dict[str, tuple[bytes, Signed]]:
    """What tuf.ngclient left, by file name; without what too few distinct keys of ``root`` signed.

    Raises RepositoryRefused for that when it has to be ``complete``.
    """
    loaded: dict[str, tuple[bytes, Signed]] = {}
    for path in sorted(scratch.glob("*.json")):
        # A delegated role's name is the repository's choice. tuf.ngclient quotes it, and none of our own
        # files ends in .json, so it cannot pass for one of them.
        if path.name == "root.json":
            continue
        content, role = path.read_bytes(), path.name.removesuffix(".json")
        try:
            metadata: Metadata[Any] = Metadata.from_bytes(content)
        except RepositoryError:
            continue  # a damaged cached file that tuf.ngclient did not get to replace
        if role in MARKED_ROLES and not signed_by_enough(root, role, metadata):
            if complete:
                raise RepositoryRefused(detail=f"the {role} threshold was met by one key under several names")
            continue
        loaded[path.name] = (content, metadata.signed)
    return loaded


def _target_path(info: TargetFile, *, consistent: bool) -> str:
    """Where a target is below the base URL (TUF specification 5.7.3)."""
    folder, slash, name = info.path.rpartition("/")
    return f"{folder}{slash}{next(iter(info.hashes.values()))}.{name}" if consistent else info.path


def _write_if_new(path: Path, content: bytes) -> None:
    if path.is_symlink() or not path.exists() or path.read_bytes() != content:
        write_durably(path, content)

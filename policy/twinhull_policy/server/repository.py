"""The TUF repository the server publishes: golden images as targets, under an offline root.

The serving process re-signs snapshot and timestamp (online keys) before they expire; everything else needs
keys it does not have. Callers hold ``Layout.repository_lock``.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from twinhull_policy.server.errors import FileUnreadable, TargetConflict
from twinhull_policy.server.keys import load_signer, make_key
from twinhull_policy.server.layout import ROOT_KEYS, ROOT_THRESHOLD, Layout, sync_directory, write_file
from twinhull_policy.trust.documents import DELEGATIONS_FIELD

ROOT_LIFE = datetime.timedelta(days=365)
TARGETS_LIFE = datetime.timedelta(days=90)
ONLINE_LIFE = datetime.timedelta(days=1)
"""Snapshot and timestamp; re-signed when half of it is left."""
CHUNK = 1 << 20


def create_repository(layout: Layout) -> None:
    """Make every key and version 1 of every role."""
    roots = [make_key(layout.offline, name) for name in ROOT_KEYS]
    targets_key = make_key(layout.offline, "targets")
    online = {role: make_key(layout.online, role) for role in (Snapshot.type, Timestamp.type)}
    delegated = {
        "policy": make_key(layout.authority, "policy"),
        "command": make_key(layout.authority, "command"),
        "director": make_key(layout.online, "director"),
    }
    root = Root(version=1, expires=_in(ROOT_LIFE), consistent_snapshot=True)
    for signer in roots:
        root.add_key(signer.public_key, Root.type)
    root.roles[Root.type].threshold = ROOT_THRESHOLD
    root.add_key(targets_key.public_key, Targets.type)
    for role, signer in online.items():
        root.add_key(signer.public_key, role)
    delegations = {}
    for role, signer in delegated.items():
        root.keys[signer.public_key.keyid] = signer.public_key
        delegations[role] = {"keyids": [signer.public_key.keyid], "threshold": 1}
    root.unrecognized_fields[DELEGATIONS_FIELD] = delegations
    _write_root(layout, root, roots[:ROOT_THRESHOLD])
    _write(layout, Metadata(Targets(version=1, expires=_in(TARGETS_LIFE))), "1.targets.json", targets_key)
    snapshot = Metadata(Snapshot(version=1, expires=_in(ONLINE_LIFE), meta={"targets.json": MetaFile(1)}))
    _write(layout, snapshot, "1.snapshot.json", online[Snapshot.type])
    timestamp = Metadata(Timestamp(version=1, expires=_in(ONLINE_LIFE), snapshot_meta=MetaFile(1)))
    _write(layout, timestamp, "timestamp.json", online[Timestamp.type])


def root_chain(layout: Layout) -> list[bytes]:
    """Every version of root.json, from 1."""
    chain: list[bytes] = []
    while (path := layout.metadata / f"{len(chain) + 1}.root.json").exists():
        chain.append(path.read_bytes())
    return chain


def rotate_root(layout: Layout) -> int:
    """Publish the next root: the same keys, a year from now, signed by two of three. Returns its version.

    Raises KeyUnavailable when the offline keys are not attached.
    """
    root = Metadata[Root].from_bytes(root_chain(layout)[-1]).signed
    root.version += 1
    root.expires = _in(ROOT_LIFE)
    _write_root(layout, root, [load_signer(layout.offline, name) for name in ROOT_KEYS[:ROOT_THRESHOLD]])
    return root.version


def add_image(layout: Layout, source: Path, name: str) -> tuple[str, str, int]:
    """Publish a file as the target ``images/<name>-<16 hex>.qcow2``.

    Returns target name, SHA-256 (hex) and length (bytes). Publishing the same file again changes nothing.

    Raises:
        FileUnreadable: the file cannot be read, or changed meanwhile.
        KeyUnavailable: the targets key is not attached.
        TargetConflict: the name is taken by other content.
    """
    try:
        with source.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            length = stream.tell()
    except OSError as error:
        raise FileUnreadable(path=source, detail=error.strerror) from error
    target = f"images/{name}-{sha256[:16]}.qcow2"
    targets = _newest(layout, "targets")
    listed = targets.signed.targets.get(target)
    if listed is not None and listed.hashes.get("sha256") != sha256:
        raise TargetConflict(target=target)
    stored = layout.targets / "images" / f"{sha256}.{target.removeprefix('images/')}"
    if not stored.exists():
        _copy(source, stored, sha256)
    if listed is None:
        signer = load_signer(layout.offline, "targets")
        targets.signed.targets[target] = TargetFile(length, {"sha256": sha256}, target)
        targets.signed.version += 1
        targets.signed.expires = _in(TARGETS_LIFE)
        _write(layout, targets, f"{targets.signed.version}.targets.json", signer)
    sign_online(layout)
    return target, sha256, length


def sign_online(layout: Layout) -> bool:
    """Re-sign snapshot and timestamp if half their life is over, or if they name older targets.

    So a publication that was cut short is finished by the next one. Returns whether it did.
    """
    timestamp = Metadata[Timestamp].from_bytes((layout.metadata / "timestamp.json").read_bytes())
    snapshot = Metadata[Snapshot].from_bytes(
        (layout.metadata / f"{timestamp.signed.snapshot_meta.version}.snapshot.json").read_bytes()
    )
    newest = _newest(layout, "targets").signed.version
    current = snapshot.signed.meta["targets.json"].version == newest
    if current and timestamp.signed.expires > _in(ONLINE_LIFE / 2):
        return False
    snapshot.signed.version += 1
    snapshot.signed.expires = _in(ONLINE_LIFE)
    snapshot.signed.meta["targets.json"] = MetaFile(newest)
    timestamp.signed.version += 1
    timestamp.signed.expires = _in(ONLINE_LIFE)
    timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
    snapshot_name = f"{snapshot.signed.version}.snapshot.json"
    _write(layout, snapshot, snapshot_name, load_signer(layout.online, Snapshot.type))
    _write(layout, timestamp, "timestamp.json", load_signer(layout.online, Timestamp.type))
    return True


def _newest(layout: Layout, role: str) -> Metadata[Targets]:
    versions = [int(path.name.split(".")[0]) for path in layout.metadata.glob(f"*.{role}.json")]
    return Metadata[Targets].from_bytes((layout.metadata / f"{max(versions)}.{role}.json").read_bytes())


def _copy(source: Path, stored: Path, sha256: str) -> None:
    """Copy into the repository, atomically, and check that what was copied is what was hashed."""
    temporary = stored.with_name(f".{stored.name}.tmp")
    with source.open("rb") as reader, temporary.open("w+b") as writer:
        shutil.copyfileobj(reader, writer, CHUNK)
        writer.flush()
        os.fsync(writer.fileno())
        writer.seek(0)
        copied = hashlib.file_digest(writer, "sha256").hexdigest()
    if copied != sha256:
        temporary.unlink()
        raise FileUnreadable(path=source, detail="it changed while it was read")
    temporary.chmod(0o644)
    temporary.replace(stored)
    sync_directory(stored.parent)


def _write_root(layout: Layout, root: Root, signers: list[CryptoSigner]) -> None:
    metadata = Metadata(root)
    for signer in signers:
        metadata.sign(signer, append=True)
    write_file(layout.metadata / f"{root.version}.root.json", metadata.to_bytes())


def _write(
    layout: Layout,
    metadata: Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp],
    name: str,
    signer: CryptoSigner,
) -> None:
    metadata.sign(signer)
    write_file(layout.metadata / name, metadata.to_bytes())


def _in(life: datetime.timedelta) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + life

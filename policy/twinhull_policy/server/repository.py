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

from twinhull_policy.server import ceremony
from twinhull_policy.server.ceremony import ROOT_LIFE
from twinhull_policy.server.errors import FileUnreadable, KeyUnavailable, TargetConflict
from twinhull_policy.server.key_errors import PrivateKeyMissing
from twinhull_policy.server.keys import load_named, make_key, read_signer, settle
from twinhull_policy.server.layout import ROOT_KEYS, ROOT_THRESHOLD, Layout, sync_directory, write_file
from twinhull_policy.trust.documents import DELEGATIONS_FIELD

TARGETS_LIFE = datetime.timedelta(days=90)
ONLINE_LIFE = datetime.timedelta(days=1)
"""Snapshot and timestamp; re-signed when half of it is left."""
CHUNK = 1 << 20
SIGNING_ROLES = ("targets", "snapshot", "timestamp", "policy", "director", "command")
"""Roles whose private keys belong to this server's directory."""


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


def current_root(layout: Layout) -> Root:
    """The root in force."""
    return Metadata[Root].from_bytes(root_chain(layout)[-1]).signed


def key_directory(layout: Layout, role: str) -> Path:
    """Where a role's private key is kept."""
    if role in ("root", "targets"):
        return layout.offline
    return layout.authority if role in ("policy", "command", "escrow") else layout.online


def signer_for(layout: Layout, role: str) -> CryptoSigner:
    """The key with which a role signs under the root in force. Raises KeyUnavailable."""
    return load_named(key_directory(layout, role), role, ceremony.role_keys(current_root(layout), role))


def rotate_root(layout: Layout) -> int:
    """Publish the next root: the same keys, a year from now, signed with those attached. Returns its version.

    Raises KeyUnavailable when too few of the offline keys are attached.
    """
    return change_root(layout, ceremony.Changes())


def change_root(layout: Layout, changes: ceremony.Changes) -> int:
    """Draft, sign with the root keys that are attached, and publish. Returns the new version.

    Raises KeyUnavailable, and like ``ceremony.draft`` and :func:`publish_root`.
    """
    current = root_chain(layout)[-1]
    made = Metadata[Root].from_bytes(ceremony.draft(current, changes))
    for path in sorted(layout.offline.glob("root*.key")):
        made.sign(read_signer(path, Root.type), append=True)
    if ceremony.review(current, made).missing:
        missing = [name for name in ROOT_KEYS if not (layout.offline / f"{name}.key").exists()]
        role = missing[0] if missing else ROOT_KEYS[0]
        raise KeyUnavailable(role=role, path=layout.offline / f"{role}.key")
    return publish_root(layout, made)


def publish_root(layout: Layout, made: Metadata[Root]) -> int:
    """Put a signed draft in force and sign again what its new keys have to sign. Returns its version.

    A publication that was cut short is finished by publishing the same draft again.

    Raises:
        PrivateKeyMissing: the server could not sign under it. Nothing was changed.
        DraftStale, SignaturesMissing, TrustError: laptops would not follow it. Nothing was changed.
    """
    chain = root_chain(layout)
    if made.to_bytes() != chain[-1]:
        content = ceremony.check(chain[-1], made)
        old = Metadata[Root].from_bytes(chain[-1]).signed
        for role in SIGNING_ROLES:
            keyids = ceremony.role_keys(made.signed, role)
            if keyids != ceremony.role_keys(old, role):
                _check_private(key_directory(layout, role), role, keyids)
        write_file(layout.metadata / f"{made.signed.version}.root.json", content)
    for role in SIGNING_ROLES:
        settle(key_directory(layout, role), role, ceremony.role_keys(made.signed, role))
    targets = _newest(layout, "targets")
    if not _vouched_for(made.signed, targets):
        _publish_targets(layout, targets)
    sign_online(layout)
    return made.signed.version


def _check_private(directory: Path, role: str, keyids: list[str]) -> None:
    try:
        load_named(directory, role, keyids)
    except KeyUnavailable as error:
        raise PrivateKeyMissing(role=role, directory=directory) from error


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
        targets.signed.targets[target] = TargetFile(length, {"sha256": sha256}, target)
        _publish_targets(layout, targets)
    sign_online(layout)
    return target, sha256, length


def sign_online(layout: Layout) -> bool:
    """Re-sign snapshot and timestamp when half their life is over, or their keys or the targets changed.

    So a publication that was cut short is finished by the next one. Returns whether it did.
    """
    timestamp = Metadata[Timestamp].from_bytes((layout.metadata / "timestamp.json").read_bytes())
    snapshot = Metadata[Snapshot].from_bytes(
        (layout.metadata / f"{timestamp.signed.snapshot_meta.version}.snapshot.json").read_bytes()
    )
    newest = _newest(layout, "targets").signed.version
    root = current_root(layout)
    current = (
        snapshot.signed.meta["targets.json"].version == newest
        and _vouched_for(root, snapshot)
        and _vouched_for(root, timestamp)
    )
    if current and timestamp.signed.expires > _in(ONLINE_LIFE / 2):
        return False
    snapshot.signed.version += 1
    snapshot.signed.expires = _in(ONLINE_LIFE)
    snapshot.signed.meta["targets.json"] = MetaFile(newest)
    timestamp.signed.version += 1
    timestamp.signed.expires = _in(ONLINE_LIFE)
    timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
    snapshot_name = f"{snapshot.signed.version}.snapshot.json"
    _write(layout, snapshot, snapshot_name, signer_for(layout, Snapshot.type))
    _write(layout, timestamp, "timestamp.json", signer_for(layout, Timestamp.type))
    return True


def renew_targets(layout: Layout) -> int:
    """Sign the list of targets again as it is, for another 90 days. Returns its version.

    Raises KeyUnavailable.
    """
    targets = _newest(layout, "targets")
    _publish_targets(layout, targets)
    sign_online(layout)
    return targets.signed.version


def targets_expiry(layout: Layout) -> float:
    """When the list of targets expires, seconds since the epoch."""
    return _newest(layout, "targets").signed.expires.timestamp()


def _publish_targets(layout: Layout, targets: Metadata[Targets]) -> None:
    signer = signer_for(layout, Targets.type)
    targets.signed.version += 1
    targets.signed.expires = _in(TARGETS_LIFE)
    _write(layout, targets, f"{targets.signed.version}.targets.json", signer)


def _vouched_for(root: Root, metadata: Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]) -> bool:
    role = metadata.signed.type
    return bool(root.get_verification_result(role, metadata.signed_bytes, metadata.signatures))


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

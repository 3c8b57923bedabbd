"""The repository plane in memory: timestamp, snapshot and targets of TUF, checked against the trusted root.

``tuf.ngclient`` fetches; this decides again, in the process that acts, with the rules of the TUF
specification 5.4 to 5.6 and with high-water marks that survive a deleted or shortened cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp

from .documents import ImageReference
from .errors import (
    DocumentTooLarge,
    ImageNotListed,
    MetadataExpired,
    MetadataMalformed,
    MetadataMismatch,
    MetadataRolledBack,
    SignatureInvalid,
)
from .limits import LIMITS
from .root import TrustedRoot
from .time import as_datetime

S = TypeVar("S", Timestamp, Snapshot, Targets)


@dataclass(frozen=True)
class HighWater:
    """The greatest version of each role ever accepted; 0 for none."""

    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0

    def after_rotation(self, old: TrustedRoot, new: TrustedRoot) -> HighWater:
        """The marks to go on with after the root changed (TUF specification 5.3.11).

        A thief of the timestamp or snapshot key may have pushed versions to the highest number there is;
        the rotation that takes the key away from the thief also takes the marks back.
        """
        replaced = any(
            set(old.root.roles[role].keyids) != set(new.root.roles[role].keyids)
            for role in ("timestamp", "snapshot")
        )
        return HighWater() if replaced else self


@dataclass(frozen=True)
class VerifiedTargets:
    """The signed list of golden images and releases."""

    targets: Targets
    high_water: HighWater
    """To be stored, and given back the next time."""

    def check_image(self, image: ImageReference) -> None:
        """Raise ImageNotListed unless the list holds exactly this name, length and SHA-256."""
        listed = self.targets.targets.get(image.target)
        if listed is None or listed.length != image.length or listed.hashes.get("sha256") != image.sha256:
            raise ImageNotListed(target=image.target)


def verify_targets(
    root: TrustedRoot,
    untrusted_timestamp: bytes,
    untrusted_snapshot: bytes,
    untrusted_targets: bytes,
    *,
    now: int,
    high_water: HighWater,
) -> VerifiedTargets:
    """Accept a repository's state only if all of this holds:

    - the root, and each of the three documents, has not expired at ``now`` (seconds since the epoch, already
      raised to the time floor): RootExpired, MetadataExpired;
    - each is within its size (DocumentTooLarge), is metadata of its role (MetadataMalformed), and is signed
      by the threshold that the root names for the role (SignatureInvalid);
    - no version is lower than ``high_water`` (MetadataRolledBack);
    - the timestamp names exactly this snapshot, and the snapshot exactly these targets: version, and length
      and hashes where given (MetadataMismatch).
    """
    root.check_expiry(now)
    timestamp = _load(Timestamp, untrusted_timestamp, root, now, high_water.timestamp, LIMITS.timestamp_bytes)
    _check_named(timestamp.snapshot_meta, untrusted_snapshot, "snapshot", "timestamp")
    snapshot = _load(Snapshot, untrusted_snapshot, root, now, high_water.snapshot, LIMITS.snapshot_bytes)
    if snapshot.version != timestamp.snapshot_meta.version:
        raise MetadataMismatch(role="snapshot", by="timestamp")
    targets_meta = snapshot.meta.get("targets.json")
    if targets_meta is None:
        raise MetadataMismatch(role="targets", by="snapshot")
    _check_named(targets_meta, untrusted_targets, "targets", "snapshot")
    targets = _load(Targets, untrusted_targets, root, now, high_water.targets, LIMITS.targets_bytes)
    if targets.version != targets_meta.version:
        raise MetadataMismatch(role="targets", by="snapshot")
    return VerifiedTargets(targets, HighWater(timestamp.version, snapshot.version, targets.version))


def _check_named(meta: MetaFile, untrusted: bytes, role: str, by: str) -> None:
    try:
        meta.verify_length_and_hashes(untrusted)
    except LengthOrHashMismatchError as error:
        raise MetadataMismatch(role=role, by=by) from error


def _load(kind: type[S], untrusted: bytes, root: TrustedRoot, now: int, seen: int, limit: int) -> S:
    role = kind.type
    if len(untrusted) > limit:
        raise DocumentTooLarge(what=f"repository's {role} metadata", limit=limit)
    try:
        metadata: Metadata[S] = Metadata.from_bytes(untrusted)
        if not isinstance(metadata.signed, kind) or len(metadata.signatures) > LIMITS.signatures:
            raise MetadataMalformed(role=role, detail="it is of another role or has too many signatures")
        verified = root.root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise MetadataMalformed(role=role, detail="not TUF metadata") from error
    if not verified:
        raise SignatureInvalid(what=f"repository's {role} metadata", role=role)
    if metadata.signed.version < seen:
        raise MetadataRolledBack(role=role, found=metadata.signed.version, seen=seen)
    if metadata.signed.is_expired(as_datetime(now)):
        raise MetadataExpired(role=role)
    return metadata.signed

"""A corporate side's keys in memory: roots, statements, policy bodies and a repository, all really signed.

Attack tests bend one thing at a time: most functions take the signers and the fields they would use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer
from twinhull_policy.example import example_policy
from twinhull_policy.model import Policy
from twinhull_policy.trust.documents import DELEGATIONS_FIELD, ImageReference, Images, Statement
from twinhull_policy.trust.policy_body import sign_policy
from twinhull_policy.trust.root import TrustedRoot, load_first
from twinhull_policy.trust.statement import DeviceIdentity, sign_statement

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

NOW = 1_800_000_000
"""A moment in 2027 that all of this is made around, so that no test depends on the clock."""
DAY = 24 * 3600
DEVICE = DeviceIdentity("example", "laptop-1", 1)


def moment(seconds: int) -> datetime:
    """Seconds since the epoch as TUF wants them."""
    return datetime.fromtimestamp(seconds, UTC)


def key() -> CryptoSigner:
    """A fresh Ed25519 key pair."""
    return CryptoSigner.generate_ed25519()


@dataclass
class Repository:
    """The three documents of the repository plane, as bytes."""

    timestamp: bytes
    snapshot: bytes
    targets: bytes


@dataclass
class Corporate:
    """Keys of every role, and what they sign. The root is 2 of 3, every other role 1 of 1."""

    root_keys: list[CryptoSigner] = field(default_factory=lambda: [key(), key(), key()])
    timestamp_key: CryptoSigner = field(default_factory=key)
    snapshot_key: CryptoSigner = field(default_factory=key)
    targets_key: CryptoSigner = field(default_factory=key)
    policy_keys: list[CryptoSigner] = field(default_factory=lambda: [key()])
    director_keys: list[CryptoSigner] = field(default_factory=lambda: [key()])
    command_keys: list[CryptoSigner] = field(default_factory=lambda: [key()])
    director_threshold: int = 1
    root_threshold: int = 2
    root_expires: int = NOW + 365 * DAY

    def root_signed(self, version: int = 1) -> Root:
        """The unsigned root of this company, to be bent before ``sign_root``."""
        root = Root(version=version, expires=moment(self.root_expires), consistent_snapshot=True)
        for signer in self.root_keys:
            root.add_key(signer.public_key, "root")
        root.roles["root"].threshold = self.root_threshold
        for role, signer in self.online().items():
            root.add_key(signer.public_key, role)
        delegations: dict[str, Any] = {}
        for role, signers, threshold in (
            ("policy", self.policy_keys, 1),
            ("director", self.director_keys, self.director_threshold),
            ("command", self.command_keys, 1),
        ):
            for signer in signers:
                root.keys[signer.public_key.keyid] = signer.public_key
            delegations[role] = {"keyids": [s.public_key.keyid for s in signers], "threshold": threshold}
        root.unrecognized_fields[DELEGATIONS_FIELD] = delegations
        return root

    def online(self) -> dict[str, CryptoSigner]:
        """The keys of the other TUF roles by role."""
        return {"timestamp": self.timestamp_key, "snapshot": self.snapshot_key, "targets": self.targets_key}

    def root(self, version: int = 1, signers: Sequence[Signer] | None = None) -> bytes:
        """root.json, signed by its first two keys unless told otherwise."""
        return sign_metadata(self.root_signed(version), self.root_keys[:2] if signers is None else signers)

    def trusted(self) -> TrustedRoot:
        """Version 1, as a laptop that had the right token trusts it."""
        raw = self.root()
        return load_first(raw, hashlib.sha256(raw).hexdigest())

    def statement(self, signers: Sequence[Signer] | None = None, **fields: Any) -> bytes:
        """A statement for ``DEVICE``, number 1, good for a week; ``fields`` replace fields of it."""
        return sign_statement(statement(**fields), self.director_keys if signers is None else signers)

    def body(self, policy: Policy | None = None, signers: Sequence[Signer] | None = None) -> bytes:
        """A signed policy body, of the example policy unless told otherwise."""
        return sign_policy(policy or example_policy(), self.policy_keys if signers is None else signers)

    def repository(
        self,
        images: Sequence[ImageReference] = (),
        *,
        versions: tuple[int, int, int] = (1, 1, 1),
        expires: tuple[int, int, int] = (NOW + DAY, NOW + DAY, NOW + 90 * DAY),
    ) -> Repository:
        """The signed repository; tuples are in the order timestamp, snapshot, targets."""
        listed = {i.target: TargetFile(i.length, {"sha256": i.sha256}, i.target) for i in images}
        targets = sign_metadata(
            Targets(version=versions[2], expires=moment(expires[2]), targets=listed), [self.targets_key]
        )
        snapshot = sign_metadata(
            Snapshot(
                version=versions[1],
                expires=moment(expires[1]),
                meta={"targets.json": MetaFile.from_data(versions[2], targets, ["sha256"])},
            ),
            [self.snapshot_key],
        )
        timestamp = sign_metadata(
            Timestamp(
                version=versions[0],
                expires=moment(expires[0]),
                snapshot_meta=MetaFile.from_data(versions[1], snapshot, ["sha256"]),
            ),
            [self.timestamp_key],
        )
        return Repository(timestamp, snapshot, targets)


def sign_metadata(signed: S, signers: Sequence[Signer]) -> bytes:
    """TUF metadata as bytes, signed by every one of ``signers``."""
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))


def statement(**fields: Any) -> Statement:
    """The statement that ``Corporate.statement`` signs."""
    defaults: dict[str, Any] = {
        "tenant": DEVICE.tenant,
        "device_id": DEVICE.device_id,
        "enrol_epoch": DEVICE.enrol_epoch,
        "seq": 1,
        "issued_at": NOW,
        "expires_at": NOW + int(timedelta(days=7).total_seconds()),
        "prev_hash": "",
        "root_version": 1,
        "policies": [],
        "images": Images(),
        "vpn_addresses": ["10.77.1.2/32"],
    }
    return Statement(**(defaults | fields))

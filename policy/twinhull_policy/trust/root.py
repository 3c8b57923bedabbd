"""The root of trust: pinned by the enrolment token, then followed through rotations (TUF spec 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from .documents import DELEGATED_ROLES, DELEGATIONS_FIELD
from .errors import (
    DocumentTooLarge,
    RoleNotDelegated,
    RootExpired,
    RootMalformed,
    RootNotPinned,
    RootVersionWrong,
    SignatureInvalid,
    TooManyRotations,
)
from .limits import LIMITS
from .time import as_datetime

_KEY_SCHEMES: Final = {("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")}
"""What may sign: Ed25519, and P-256 because hardware modules have it."""


class Delegation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of ``x-twinhull-delegations``."""

    keyids: Annotated[
        list[Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]], msgspec.Meta(min_length=1)
    ]
    threshold: Annotated[int, msgspec.Meta(ge=1, le=16)]


@dataclass(frozen=True)
class TrustedRoot:
    """A verified root. Only the functions of this module make one.

    ``raw`` are the signed bytes as they came, to be stored; ``root`` is the parsed form.
    """

    raw: bytes
    root: Root
    delegations: dict[str, Delegation]

    @property
    def version(self) -> int:
        """The root's version, from 1."""
        return self.root.version

    @property
    def expires_at(self) -> int:
        """Seconds since the epoch."""
        return int(self.root.expires.timestamp())

    def check_expiry(self, now: int) -> None:
        """Raise RootExpired if the root's last second is past at ``now`` (seconds since the epoch)."""
        if self.root.is_expired(as_datetime(now)):
            raise RootExpired

    def delegated_keys(self, role: str) -> tuple[list[Key], int]:
        """The distinct public keys of a director plane role and how many of them must sign.

        Raises RoleNotDelegated if the root names none.
        """
        delegation = self.delegations.get(role)
        if delegation is None:
            raise RoleNotDelegated(role=role)
        return [self.root.keys[keyid] for keyid in delegation.keyids], delegation.threshold


def load_first(untrusted_root: bytes, sha256_hex: str) -> TrustedRoot:
    """Trust version 1 of the root, because its bytes have the hash that the enrolment token names.

    Raises DocumentTooLarge, RootNotPinned, RootMalformed, RootVersionWrong (not version 1) or
    SignatureInvalid (not signed by its own threshold).
    """
    _check_size(untrusted_root)
    if hashlib.sha256(untrusted_root).hexdigest() != sha256_hex:
        raise RootNotPinned
    trusted = load_stored(untrusted_root)
    if trusted.version != 1:
        raise RootVersionWrong(found=trusted.version, expected=1)
    return trusted


def load_stored(stored_root: bytes) -> TrustedRoot:
    """Read back a root that ``load_first`` or ``update`` returned and the caller kept where only it writes.

    Raises like ``load_first``, but pins neither hash nor version.
    """
    candidate = _parse(stored_root)
    _check_signed(candidate, candidate)
    return TrustedRoot(stored_root, candidate.signed, _delegations(candidate.signed))


def update(trusted: TrustedRoot, untrusted_next: bytes) -> TrustedRoot:
    """Follow one rotation: version exactly one more, signed by the old and by the new threshold.

    An expired root may be followed (TUF specification 5.3.10 checks the final one); callers use
    ``check_expiry`` at the end. Raises DocumentTooLarge, RootMalformed, RootVersionWrong, SignatureInvalid.
    """
    candidate = _parse(untrusted_next)
    if candidate.signed.version != trusted.version + 1:
        raise RootVersionWrong(found=candidate.signed.version, expected=trusted.version + 1)
    _check_signed(candidate, Metadata(trusted.root))
    _check_signed(candidate, candidate)
    return TrustedRoot(untrusted_next, candidate.signed, _delegations(candidate.signed))


def update_chain(trusted: TrustedRoot, untrusted_roots: Iterable[bytes]) -> TrustedRoot:
    """Follow several rotations in order, at most ``LIMITS.root_rotations``; roots already known are skipped.

    Returns the newest. All or nothing: raises like ``update``, or TooManyRotations.
    """
    for number, untrusted_root in enumerate(untrusted_roots):
        if number >= LIMITS.root_rotations:
            raise TooManyRotations(limit=LIMITS.root_rotations)
        if untrusted_root != trusted.raw:
            trusted = update(trusted, untrusted_root)
    return trusted


def _check_size(untrusted_root: bytes) -> None:
    if len(untrusted_root) > LIMITS.root_bytes:
        raise DocumentTooLarge(what="root of trust", limit=LIMITS.root_bytes)


def _parse(untrusted_root: bytes) -> Metadata[Root]:
    _check_size(untrusted_root)
    try:
        candidate: Metadata[Root] = Metadata.from_bytes(untrusted_root)
    except (RepositoryError, ValueError) as error:
        raise RootMalformed(detail="not TUF metadata") from error
    if not isinstance(candidate.signed, Root):
        raise RootMalformed(detail="it is metadata of another role")
    if len(candidate.signatures) > LIMITS.signatures:
        raise RootMalformed(detail="too many signatures")
    _check_keys(candidate.signed)
    return candidate


def _check_keys(root: Root) -> None:
    """Refuse the same key under two names: a threshold counts names, and must count keys."""
    materials = [_key_material(key) for key in root.keys.values()]
    if len(set(materials)) != len(materials):
        raise RootMalformed(detail="one key is listed twice")


def _key_material(key: Key) -> bytes:
    """The public key in one encoding, whatever way it was written."""
    if (key.keytype, key.scheme) not in _KEY_SCHEMES:
        raise RootMalformed(detail="a key is neither Ed25519 nor ECDSA P-256")
    public = str(key.keyval["public"])  # securesystemslib refuses such a key without it
    try:
        if key.keytype == "ed25519":
            material = bytes.fromhex(public)
            if len(material) != 32:
                raise RootMalformed(detail="an Ed25519 key is not 32 bytes long")
            return material
        loaded = load_pem_public_key(public.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RootMalformed(detail="a public key cannot be read") from error
    if not isinstance(loaded, EllipticCurvePublicKey) or not isinstance(loaded.curve, SECP256R1):
        raise RootMalformed(detail="a key is not of the kind it says")
    return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_signed(candidate: Metadata[Root], by: Metadata[Root]) -> None:
    try:
        signed = by.signed.get_verification_result(Root.type, candidate.signed_bytes, candidate.signatures)
    except (RepositoryError, ValueError) as error:
        raise RootMalformed(detail="it has no canonical form") from error
    if not signed:
        raise SignatureInvalid(what="root of trust", role="root")


def _delegations(root: Root) -> dict[str, Delegation]:
    """The director plane's roles: known roles, keys of this root, thresholds that can be met, no key shared.

    Keys are not shared between roles so that a stolen director key can never pass for a policy key.
    """
    try:
        delegations = msgspec.convert(
            root.unrecognized_fields.get(DELEGATIONS_FIELD, {}), dict[str, Delegation]
        )
    except msgspec.ValidationError as error:
        raise RootMalformed(detail=f"{DELEGATIONS_FIELD}: {error}") from error
    used: set[str] = set()
    for role, delegation in delegations.items():
        if role not in DELEGATED_ROLES:
            raise RootMalformed(detail=f"{DELEGATIONS_FIELD} names an unknown role")
        if not root.keys.keys() >= set(delegation.keyids):
            raise RootMalformed(detail=f"the role {role} names a key that the root does not hold")
        if len(set(delegation.keyids)) != len(delegation.keyids) or used & set(delegation.keyids):
            raise RootMalformed(detail=f"the role {role} names a key twice or shares one")
        if delegation.threshold > len(delegation.keyids):
            raise RootMalformed(detail=f"the role {role} has fewer keys than its threshold")
        used |= set(delegation.keyids)
    return delegations

"""Thresholds count keys, not names of keys.

TUF names keys freely, and tuf.api counts names: a root that lists one key twice would let its holder meet a
threshold of two alone. What tuf.ngclient verified is counted again here by the keys' own material.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


def signed_by_enough(root: Root, role: str, metadata: Metadata[S]) -> bool:
    """Whether as many distinct keys as ``root`` demands for a top-level role signed its metadata."""
    result = root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return len({_material(key) for key in result.signed.values()}) >= result.threshold


def chain_holds(roots: Iterable[Metadata[Root]]) -> bool:
    """Whether each root but the first is signed by enough distinct keys of the one before and of its own."""
    before: Root | None = None
    for metadata in roots:
        root = metadata.signed
        if before is not None and not all(signed_by_enough(by, Root.type, metadata) for by in (before, root)):
            return False
        before = root
    return True


def _material(key: Key) -> bytes:
    """The key in one encoding, whatever way it was written; unknown kinds as they are."""
    public = str(key.keyval.get("public", key.keyval))
    try:
        if key.keytype == "ed25519":
            return bytes.fromhex(public)
        loaded = load_pem_public_key(public.encode())
    except (ValueError, UnsupportedAlgorithm):
        return public.encode()
    return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

"""Signed envelopes (DSSE v1): read strictly, verified against a threshold of distinct keys, and made.

Signing and the pre-authentication encoding are securesystemslib's. Around it: a closed, bounded, canonical
JSON form, so that an envelope has one spelling and its hash means something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from securesystemslib.dsse import Envelope as SslibEnvelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key, Signature, Signer

from ..canonical import CanonicalDecoder, encode
from .errors import DocumentTooLarge, EnvelopeMalformed, SignatureInvalid, WrongPayloadType
from .limits import LIMITS


class EnvelopeSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One signature; ``sig`` travels as base64."""

    keyid: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    sig: Annotated[bytes, msgspec.Meta(min_length=1, max_length=512)]


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An envelope as it travels; ``payload`` travels as base64."""

    payload: bytes
    payloadType: Annotated[str, msgspec.Meta(max_length=128)]
    signatures: Annotated[list[EnvelopeSignature], msgspec.Meta(min_length=1, max_length=LIMITS.signatures)]


@dataclass(frozen=True)
class Signed:
    """A verified payload, and the ids of the keys that vouch for it."""

    payload: bytes
    keyids: frozenset[str]


_decoder = CanonicalDecoder(Envelope)


def envelope_hash(envelope: bytes) -> str:
    """The SHA-256 that names an envelope, hex."""
    return hashlib.sha256(envelope).hexdigest()


def payload_type_of(untrusted: bytes, *, what: str, limit: int) -> str:
    """The kind of document an envelope says it holds; nothing is verified.

    For choosing what to verify it as; the kind is inside what is signed, so a lie makes that fail. Raises
    DocumentTooLarge, EnvelopeMalformed.
    """
    return _read(untrusted, what, limit).payloadType


def verify(
    untrusted: bytes,
    *,
    payload_type: str,
    keys: Sequence[Key],
    threshold: int,
    role: str,
    what: str,
    limit: int = LIMITS.envelope_bytes,
) -> bytes:
    """The payload of an envelope that ``threshold`` distinct keys of ``keys`` signed.

    ``role`` and ``what`` go into messages; ``limit`` is the most bytes read. ``keys`` must be distinct keys,
    as ``TrustedRoot.delegated_keys`` gives them. The payload type is inside what is signed, and is compared
    first, so a document of one kind never passes for another.

    Raises DocumentTooLarge, EnvelopeMalformed, WrongPayloadType, SignatureInvalid.
    """
    return verify_signed(
        untrusted,
        payload_type=payload_type,
        keys=keys,
        threshold=threshold,
        role=role,
        what=what,
        limit=limit,
    ).payload


def verify_signed(
    untrusted: bytes,
    *,
    payload_type: str,
    keys: Sequence[Key],
    threshold: int,
    role: str,
    what: str,
    limit: int,
) -> Signed:
    """Like :func:`verify`, and says which of ``keys`` signed."""
    envelope = _read(untrusted, what, limit)
    if envelope.payloadType != payload_type:
        raise WrongPayloadType(found=envelope.payloadType, expected=payload_type)
    signatures = {s.keyid: Signature(s.keyid, s.sig.hex()) for s in envelope.signatures}
    if len(signatures) != len(envelope.signatures):
        raise EnvelopeMalformed(detail="one key signed it twice")
    signed = SslibEnvelope(envelope.payload, envelope.payloadType, signatures)
    if not _signed_by(signed, keys, threshold):
        raise SignatureInvalid(what=what, role=role)
    # The library stops counting at the threshold; who else vouches for it matters to callers.
    return Signed(envelope.payload, frozenset(key.keyid for key in keys if _signed_by(signed, [key], 1)))


def _signed_by(signed: SslibEnvelope, keys: Sequence[Key], threshold: int) -> bool:
    try:
        signed.verify(list(keys), threshold)
    except (VerificationError, UnverifiedSignatureError):
        return False
    return True


def _read(untrusted: bytes, what: str, limit: int) -> Envelope:
    if len(untrusted) > limit:
        raise DocumentTooLarge(what=what, limit=limit)
    try:
        return _decoder.decode(untrusted)
    except ValueError as error:
        raise EnvelopeMalformed(detail=str(error)) from error


def sign(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> bytes:
    """The canonical bytes of an envelope around ``payload``, signed by every one of ``signers``."""
    unsigned = SslibEnvelope(payload, payload_type, {})
    for signer in signers:
        unsigned.sign(signer)
    signatures = [
        EnvelopeSignature(keyid=keyid, sig=bytes.fromhex(signature.signature))
        for keyid, signature in sorted(unsigned.signatures.items())
    ]
    return encode(Envelope(payload=payload, payloadType=payload_type, signatures=signatures))

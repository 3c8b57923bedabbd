"""The employer's way into the corporate volume: a recovery code sealed to a key that is kept offline.

Sealed by HPKE in base mode (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM. Everything around the sealed
code (device, slot, generation of the volume) goes into HPKE's ``info``, which is part of the key schedule: a
sealed code that was moved to another device or slot opens nothing. ``info`` and not ``aad``, because the
library's public interface has the one only; for a single message they bind alike. The schema has one
partition, so there is no way to write down an escrow of the personal one (P6).
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from .canonical import encode
from .errors import Blame, TwinhullError
from .recovery_code import SECRET_BYTES, to_words
from .trust.documents import Identifier

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
OVERHEAD_BYTES = 32 + 16
"""The sender's X25519 key and AES-GCM's tag (RFC 9180, 7.1 and 7.3)."""
SEALED_LIMIT = 4096
"""Longest sealed escrow as a document, bytes."""

PublicKeyText = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""An X25519 public key, base64 of 32 bytes."""
SlotId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
Generation = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]


class BadEscrow(TwinhullError):
    """The sealed recovery code cannot be opened: {detail}."""

    code = "TH-VOL-013"
    blame = Blame.MALFORMED
    next_step = "Use the file that 'twinhull disk escrow' wrote, and the private key that goes with it."


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a laptop hands out: of no use to anybody without the employer's private key."""

    type: Literal["twinhull.escrow/1"] = "twinhull.escrow/1"
    tenant: Identifier
    device_id: Identifier
    partition: Literal["corporate"] = "corporate"
    slot: SlotId
    generation: Generation
    public_key: PublicKeyText
    sealed: bytes = b""

    def __post_init__(self) -> None:
        """Its length, which msgspec's constraints would count in base64."""
        if len(self.sealed) not in (0, SECRET_BYTES + OVERHEAD_BYTES):
            raise ValueError("the sealed code has the wrong length")


def seal(secret: bytes, bound: Sealed) -> Sealed:
    """Seal a recovery code's secret to ``bound.public_key``, bound to all that ``bound`` says.

    Raises:
        BadEscrow: that is no public key to seal to.
    """
    try:
        public = X25519PublicKey.from_public_bytes(base64.b64decode(bound.public_key, validate=True))
        sealed = SUITE.encrypt(secret, public, _info(bound))
    except (binascii.Error, ValueError) as error:
        raise BadEscrow(detail="the public key in the policy is not an X25519 key") from error
    return msgspec.structs.replace(bound, sealed=sealed)


def opened(untrusted_document: bytes, private_key_pem: bytes) -> str:
    """The recovery code in a sealed escrow, as words.

    Raises:
        BadEscrow: it is none, was changed or moved, or is for another key.
    """
    if len(untrusted_document) > SEALED_LIMIT:
        raise BadEscrow(detail=f"it is longer than {SEALED_LIMIT} bytes")
    try:
        untrusted = msgspec.json.decode(untrusted_document, type=Sealed)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadEscrow(detail=f"it is not a sealed escrow ({error})") from error
    try:
        private = load_pem_private_key(private_key_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadEscrow(detail="the private key cannot be read") from error
    if not isinstance(private, X25519PrivateKey):
        raise BadEscrow(detail="the private key is of another kind")
    if public_text(private) != untrusted.public_key:
        raise BadEscrow(detail=f"it was sealed to another key, {untrusted.public_key}")
    try:
        return to_words(SUITE.decrypt(untrusted.sealed, private, _info(untrusted)))
    except (InvalidTag, ValueError) as error:
        raise BadEscrow(detail="it was changed, or belongs to another laptop or slot") from error


def new_private_key() -> tuple[bytes, str]:
    """A new key pair: the private half as PEM, the public half as a policy names it."""
    private = X25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), public_text(private)


def public_text(private: X25519PrivateKey) -> str:
    """The public half as a policy names it."""
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def _info(bound: Sealed) -> bytes:
    return encode(msgspec.structs.replace(bound, sealed=b""))

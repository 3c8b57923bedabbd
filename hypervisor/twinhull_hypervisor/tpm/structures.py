"""The few structures of TPM 2.0 that are written by hand, and the policy of a slot. Pure.

Numbers are the TPM 2.0 Library specification's, Part 2 (structures) and Part 3 (commands); big endian there.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import msgspec

ECC, KEYEDHASH, AES, SHA256, NULL, CFB = 0x0023, 0x0008, 0x0006, 0x000B, 0x0010, 0x0043
NIST_P256 = 0x0003
FIXED_TPM, FIXED_PARENT, SENSITIVE_DATA_ORIGIN, USER_WITH_AUTH = 1 << 1, 1 << 4, 1 << 5, 1 << 6
ADMIN_WITH_POLICY, NO_DA, RESTRICTED, DECRYPT = 1 << 7, 1 << 10, 1 << 16, 1 << 17
CC_POLICY_PCR, CC_POLICY_AUTH_VALUE = 0x017F, 0x016B
PCRS = range(16)
"""Those that only a reset of the machine resets."""
DIGEST_BYTES = 32
NAME_BYTES = 2 + DIGEST_BYTES
SECRET_BYTES = 32

Pcr = Annotated[int, msgspec.Meta(ge=PCRS.start, lt=PCRS.stop)]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A platform configuration register, SHA-256 bank, as it was."""

    pcr: Pcr
    value: bytes

    def __post_init__(self) -> None:
        """A length that msgspec's constraints would count in base64."""
        if len(self.value) != DIGEST_BYTES:
            raise ValueError("a register has the wrong length")


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A secret as the chip gave it out, which that chip alone can open. Of no use to anybody else.

    Attributes:
        public: TPM2B_PUBLIC.
        private: TPM2B_PRIVATE, without its length.
        parent: the name of the key it lies under, by which another chip or a cleared one is told.
        measured: what it is bound to.
    """

    public: bytes
    private: bytes
    parent: bytes
    measured: Annotated[list[Measured], msgspec.Meta(min_length=1, max_length=len(PCRS))]

    def __post_init__(self) -> None:
        """Lengths, and an order that the policy's digest depends on."""
        if not (4 <= len(self.public) <= 512 and 4 <= len(self.private) <= 1024):
            raise ValueError("a sealed secret has an absurd length")
        if len(self.parent) != NAME_BYTES:
            raise ValueError("a sealed secret's parent has no name")
        if [m.pcr for m in self.measured] != sorted({m.pcr for m in self.measured}):
            raise ValueError("registers are not in order")

    @classmethod
    def of(cls, public: bytes, private: bytes, parent: bytes, values: Mapping[int, bytes]) -> Self:
        """Of what a chip has answered. Raises ValueError for absurd answers."""
        measured = [Measured(pcr=pcr, value=value) for pcr, value in sorted(values.items())]
        return cls(public=public, private=private, parent=parent, measured=measured)


def tpm2b(content: bytes) -> bytes:
    """A sized buffer."""
    return struct.pack(">H", len(content)) + content


def storage_key() -> bytes:
    """TPM2B_PUBLIC of the key that everything lies under: P-256, AES-128; the same at each start."""
    attributes = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH
    attributes |= NO_DA | RESTRICTED | DECRYPT
    head = struct.pack(">HHI", ECC, SHA256, attributes) + tpm2b(b"")
    parameters = struct.pack(">HHH", AES, 128, CFB) + struct.pack(">HHH", NULL, NIST_P256, NULL)
    return tpm2b(head + parameters + tpm2b(b"") + tpm2b(b""))


def sealed_object(policy: bytes) -> bytes:
    """TPM2B_PUBLIC of a secret that its policy alone opens, and whose wrong PINs the chip counts."""
    attributes = FIXED_TPM | FIXED_PARENT | ADMIN_WITH_POLICY
    head = struct.pack(">HHI", KEYEDHASH, SHA256, attributes) + tpm2b(policy)
    return tpm2b(head + struct.pack(">H", NULL) + tpm2b(b""))


def sensitive(auth: bytes, secret: bytes) -> bytes:
    """TPM2B_SENSITIVE_CREATE."""
    return tpm2b(tpm2b(auth) + tpm2b(secret))


def selection(pcrs: Sequence[int]) -> bytes:
    """TPML_PCR_SELECTION of registers of the SHA-256 bank."""
    bits = 0
    for pcr in pcrs:
        bits |= 1 << pcr
    return struct.pack(">IHB", 1, SHA256, 3) + bits.to_bytes(3, "little")


def policy_digest(values: Mapping[int, bytes]) -> bytes:
    """The policy that TPM2_PolicyPCR and TPM2_PolicyAuthValue lead to, with registers of these values."""
    pcrs = sorted(values)
    measured = hashlib.sha256(b"".join(values[pcr] for pcr in pcrs)).digest()
    digest = bytes(DIGEST_BYTES)
    for step in (
        struct.pack(">I", CC_POLICY_PCR) + selection(pcrs) + measured,
        struct.pack(">I", CC_POLICY_AUTH_VALUE),
    ):
        digest = hashlib.sha256(digest + step).digest()
    return digest

"""Key slots: the volume key under AES-256-GCM, once for each way to open the volume. Pure; no files here.

A passphrase is stretched by Argon2id (RFC 9106). A recovery code has 128 random bits, so HKDF-SHA256 (RFC
5869) is enough for it. A PIN is stretched as well, and opens nothing without a secret that the security chip
keeps (``tpm``). The escrow slot is a recovery slot whose code nobody has seen: it is sealed to the employer's
public key (``twinhull_policy.escrow``). The partition's name, the slot's id and kind, and the volume's
generation are authenticated with the key, so a slot moved to another file opens nothing.

The schema is read as untrusted: whoever can put a file there must not be able to make core compute for hours
or run out of memory, and an escrow slot in a personal file makes it no key file at all (P6).
"""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from twinhull_policy.escrow import Generation, Sealed, SlotId, seal
from twinhull_policy.names import Partition
from twinhull_policy.recovery_code import SECRET_BYTES, from_words, to_words

from twinhull_hypervisor.storage.errors import BadPassphrase, BadPin
from twinhull_hypervisor.storage.server_share import ServerPart
from twinhull_hypervisor.tpm.structures import Sealed as ChipSealed

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
AUTH_BYTES = 32
"""The longest a chip takes for an object named by SHA-256 (TPM 2.0 Part 1, 19.6.4.2)."""
PASSPHRASE_BYTES = range(8, 1025)
PIN_BYTES = range(4, 65)
"""The security chip counts wrong ones, so that four digits are enough."""
SLOTS = 8
LUKS_SLOTS = 8
"""Key slots of the disk's own header; one is in use while nothing is being rotated."""

MemoryKib = Annotated[int, msgspec.Meta(ge=64 * 1024, le=1024 * 1024)]
Iterations = Annotated[int, msgspec.Meta(ge=1, le=16)]
Lanes = Annotated[int, msgspec.Meta(ge=1, le=16)]


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything in the file: immutable, closed."""


class Argon2Cost(Closed, frozen=True):
    """Work for one guess. The default is above RFC 9106's second recommended option (64 MiB, 3, 4)."""

    memory_kib: MemoryKib = 128 * 1024
    iterations: Iterations = 3
    lanes: Lanes = 4


class Wrapped(Closed, frozen=True):
    """What every slot has."""

    id: SlotId
    salt: bytes
    nonce: bytes
    wrapped: bytes

    def __post_init__(self) -> None:
        """Lengths, which msgspec's constraints would count in base64."""
        lengths = (len(self.salt), len(self.nonce), len(self.wrapped))
        if lengths != (SALT_BYTES, NONCE_BYTES, KEY_BYTES + TAG_BYTES):
            raise ValueError("a slot's salt, nonce or wrapped key has the wrong length")


class PassphraseSlot(Wrapped, frozen=True, tag_field="kind", tag="passphrase"):
    """Opened by a passphrase."""

    cost: Argon2Cost


class RecoverySlot(Wrapped, frozen=True, tag_field="kind", tag="recovery-code"):
    """Opened by a recovery code that its owner wrote down."""


class TpmSlot(Wrapped, frozen=True, tag_field="kind", tag="tpm"):
    """Opened by a PIN, with what the security chip of this laptop keeps."""

    cost: Argon2Cost
    chip: ChipSealed


class EscrowSlot(Wrapped, frozen=True, tag_field="kind", tag="escrow"):
    """Opened by a recovery code that the employer can unseal."""

    sealed: Sealed


Slot = PassphraseSlot | RecoverySlot | TpmSlot | EscrowSlot
Kind = Literal["passphrase", "recovery-code", "tpm", "escrow"]


class Tries(Closed, frozen=True):
    """Wrong secrets since the last right one."""

    count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    last: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Document(Closed, frozen=True):
    """The whole file."""

    version: Literal[1]
    partition: Partition
    generation: Generation
    slots: Annotated[list[Slot], msgspec.Meta(min_length=1, max_length=SLOTS)]
    tries: Tries
    luks_slot: Annotated[int, msgspec.Meta(ge=0, lt=LUKS_SLOTS)] = 0
    """Which key slot of the disk's own header this volume key opens; of use while not ``settled``."""
    settled: bool = True
    """False while others may hold a key too: a rotation is under way, or was cut short."""
    share: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")] | None = None
    """The name of the server's part of the key (``server_share``), if it has one."""

    def __post_init__(self) -> None:
        """An escrow is the corporate partition's, and bound to this very slot; so is a server's part."""
        if self.share is not None and self.partition is not Partition.CORPORATE:
            raise ValueError("only the corporate volume's key can have a part of the server's")
        for slot in self.slots:
            if isinstance(slot, EscrowSlot):
                if self.partition is not Partition.CORPORATE:
                    raise ValueError("only the corporate volume can have an escrow slot")
                if (slot.sealed.slot, slot.sealed.generation) != (slot.id, self.generation):
                    raise ValueError("the escrow is bound to another slot")
        if len({slot.id for slot in self.slots}) != len(self.slots):
            raise ValueError("two slots have the same id")


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase as it is derived from: in NFC, so that keyboards agree. Made by :meth:`of`."""

    value: bytes = field(repr=False)

    @classmethod
    def of(cls, untrusted: bytes) -> Passphrase:
        """Raises BadPassphrase: too short or too long."""
        normal = _composed(untrusted)
        if len(normal) not in PASSPHRASE_BYTES:
            raise BadPassphrase
        return cls(normal)


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN for the security chip, in NFC. Made by :meth:`of`."""

    value: bytes = field(repr=False)

    @classmethod
    def of(cls, untrusted: bytes) -> Pin:
        """Raises BadPin: too short or too long."""
        normal = _composed(untrusted)
        if len(normal) not in PIN_BYTES:
            raise BadPin
        return cls(normal)


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """A recovery code's secret. Made by :meth:`of` or :meth:`new`."""

    value: bytes = field(repr=False)

    @classmethod
    def of(cls, untrusted: bytes) -> RecoveryCode:
        """Raises BadRecoveryCode: it is mistyped."""
        return cls(from_words(untrusted))

    @classmethod
    def new(cls) -> RecoveryCode:
        """A fresh one."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    def words(self) -> bytes:
        """As its owner writes it down."""
        return to_words(self.value).encode()


Secret = Passphrase | RecoveryCode | Pin


@dataclass(frozen=True, slots=True)
class StretchedPin:
    """A PIN after Argon2id, of which the chip is told one half and the wrapping key has the other."""

    value: bytes = field(repr=False)
    salt: bytes

    @classmethod
    def of(cls, pin: Pin, cost: Argon2Cost, salt: bytes | None = None) -> StretchedPin:
        """For a slot's salt, or for a new one."""
        salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
        return cls(derive(pin.value, salt, cost), salt)

    def auth(self) -> bytes:
        """What the chip asks for. As text, since a chip drops zero bytes at the end (Part 1, 19.6.4)."""
        told = HKDF(SHA256(), AUTH_BYTES // 2, self.salt, b"twinhull tpm pin 1").derive(self.value)
        return told.hex().encode()


@dataclass(frozen=True, slots=True)
class ChipSecret:
    """What a PIN is worth once the security chip has agreed to it."""

    kept: bytes = field(repr=False)
    stretched: StretchedPin


@dataclass(frozen=True, slots=True)
class EscrowTarget:
    """To whom the corporate volume's escrow is sealed: the policy's key, for this enrolment."""

    public_key: str
    tenant: str
    device_id: str


def tell(slot: Slot) -> Kind:
    """The kind of a slot, as it is written."""
    match slot:
        case PassphraseSlot():
            return "passphrase"
        case RecoverySlot():
            return "recovery-code"
        case TpmSlot():
            return "tpm"
        case EscrowSlot():
            return "escrow"


def opens(secret: Passphrase | RecoveryCode | ChipSecret, slot: Slot) -> bool:
    """Whether a secret is of the kind that a slot takes."""
    match slot:
        case PassphraseSlot():
            return isinstance(secret, Passphrase)
        case TpmSlot():
            return isinstance(secret, ChipSecret)
        case RecoverySlot() | EscrowSlot():
            return isinstance(secret, RecoveryCode)


class Wrapper:
    """Wraps and unwraps the keys of one generation of one volume.

    Args:
        server: the server's part of the key, if it has one; what is wrapped is the rest.
    """

    def __init__(self, partition: Partition, generation: str, server: ServerPart | None = None) -> None:
        self._partition = partition
        self._generation = generation
        self._server = server

    def passphrase(self, key: bytearray, secret: Passphrase, cost: Argon2Cost) -> PassphraseSlot:
        """A new slot for a passphrase."""
        slot, salt, nonce = _fresh()
        wrapped = self._encrypt(
            derive(secret.value, salt, cost), nonce, key, self._binding(slot, "passphrase")
        )
        return PassphraseSlot(id=slot, salt=salt, nonce=nonce, wrapped=wrapped, cost=cost)

    def recovery(self, key: bytearray, secret: RecoveryCode) -> RecoverySlot:
        """A new slot for a recovery code."""
        slot, salt, nonce = _fresh()
        wrapped = self._encrypt(expand(secret.value, salt), nonce, key, self._binding(slot, "recovery-code"))
        return RecoverySlot(id=slot, salt=salt, nonce=nonce, wrapped=wrapped)

    def tpm(self, key: bytearray, secret: ChipSecret, chip: ChipSealed, cost: Argon2Cost) -> TpmSlot:
        """A new slot for the security chip; ``secret`` was stretched with this cost."""
        slot, _, nonce = _fresh()
        salt = secret.stretched.salt
        wrapped = self._encrypt(together(secret), nonce, key, self._binding(slot, "tpm"))
        return TpmSlot(id=slot, salt=salt, nonce=nonce, wrapped=wrapped, cost=cost, chip=chip)

    def escrow(self, key: bytearray, target: EscrowTarget) -> EscrowSlot:
        """A new slot whose code only the employer can unseal. Raises BadEscrow for an unusable key."""
        code = RecoveryCode.new()
        slot, salt, nonce = _fresh()
        bound = Sealed(
            tenant=target.tenant,
            device_id=target.device_id,
            slot=slot,
            generation=self._generation,
            public_key=target.public_key,
        )
        wrapped = self._encrypt(expand(code.value, salt), nonce, key, self._binding(slot, "escrow"))
        return EscrowSlot(id=slot, salt=salt, nonce=nonce, wrapped=wrapped, sealed=seal(code.value, bound))

    def unwrap(self, slot: Slot, secret: Passphrase | RecoveryCode | ChipSecret) -> bytearray | None:
        """The volume key, or None when this secret does not open this slot."""
        if not opens(secret, slot):
            return None
        if isinstance(secret, ChipSecret):
            wrapping = together(secret)
        elif isinstance(slot, PassphraseSlot):
            wrapping = derive(secret.value, slot.salt, slot.cost)
        else:
            wrapping = expand(secret.value, slot.salt)
        try:
            plain = AESGCM(wrapping).decrypt(slot.nonce, slot.wrapped, self._binding(slot.id, tell(slot)))
        except InvalidTag:
            return None
        return bytearray(plain) if self._server is None else self._server.applied(plain)

    def _encrypt(self, wrapping: bytes, nonce: bytes, key: bytearray, binding: bytes) -> bytes:
        plain = key if self._server is None else self._server.applied(key)
        return AESGCM(wrapping).encrypt(nonce, bytes(plain), binding)

    def _binding(self, slot_id: str, kind: str) -> bytes:
        """What is authenticated beside the key; no part can contain the separator."""
        parts = ["twinhull volume key 1", self._partition.value, self._generation, slot_id, kind]
        if self._server is not None:
            parts.append(self._server.name)
        return "\0".join(parts).encode()


def _fresh() -> tuple[str, bytes, bytes]:
    """A new slot's id, salt and nonce."""
    return secrets.token_hex(8), secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)


def derive(passphrase: bytes, salt: bytes, cost: Argon2Cost) -> bytes:
    """The 256-bit wrapping key of a passphrase."""
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive(passphrase)


def expand(secret: bytes, salt: bytes) -> bytes:
    """The 256-bit wrapping key of a recovery code's secret."""
    return HKDF(SHA256(), KEY_BYTES, salt, b"twinhull recovery slot 1").derive(secret)


def together(secret: ChipSecret) -> bytes:
    """The 256-bit wrapping key of a PIN and what the chip keeps; one without the other is of no use."""
    both = secret.kept + secret.stretched.value
    return HKDF(SHA256(), KEY_BYTES, secret.stretched.salt, b"twinhull tpm slot 1").derive(both)


def _composed(untrusted: bytes) -> bytes:
    """Text in NFC; what is no text as it is."""
    try:
        return unicodedata.normalize("NFC", untrusted.decode()).encode()
    except UnicodeDecodeError:
        return untrusted


def wipe(key: bytearray) -> None:
    """Overwrite a key in memory. Best effort: Python may have copied it."""
    key[:] = bytes(len(key))

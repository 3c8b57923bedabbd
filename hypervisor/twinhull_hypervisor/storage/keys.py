"""The volume key and the file of wrapped copies of it, ``keys.json``.

The volume key is random. Each slot holds it under AES-256-GCM, the wrapping key derived from a passphrase
by Argon2id (RFC 9106). The partition's name, the slot's id and kind, and the volume's generation are
authenticated with it, so a slot moved to another file opens nothing. A new volume has a new generation.

The file is written by core alone, yet read as untrusted: whoever can put a file there must not be able to
make core compute for hours or run out of memory.
"""

from __future__ import annotations

import os
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from twinhull_policy.names import Partition

from twinhull_hypervisor.storage.errors import (
    BadKeyFile,
    BadPassphrase,
    LastSlot,
    NoSlot,
    TooManyTries,
    WrongPassphrase,
)
from twinhull_hypervisor.storage.files import write_atomically

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16
PASSPHRASE_BYTES = range(8, 1025)
FILE_LIMIT = 64 * 1024
FREE_TRIES = 3
LONGEST_WAIT_SECONDS = 300

MemoryKib = Annotated[int, msgspec.Meta(ge=64 * 1024, le=1024 * 1024)]
Iterations = Annotated[int, msgspec.Meta(ge=1, le=16)]
Lanes = Annotated[int, msgspec.Meta(ge=1, le=16)]
SlotId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
Generation = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything in the file: immutable, closed."""


class Argon2Cost(Closed, frozen=True):
    """Work for one guess. The default is above RFC 9106's second recommended option (64 MiB, 3, 4)."""

    memory_kib: MemoryKib = 128 * 1024
    iterations: Iterations = 3
    lanes: Lanes = 4


class Slot(Closed, frozen=True):
    """One wrapped copy of the volume key."""

    id: SlotId
    kind: Literal["passphrase"]
    cost: Argon2Cost
    salt: bytes
    nonce: bytes
    wrapped: bytes

    def __post_init__(self) -> None:
        """Lengths, which msgspec's constraints would count in base64."""
        lengths = (len(self.salt), len(self.nonce), len(self.wrapped))
        if lengths != (SALT_BYTES, NONCE_BYTES, KEY_BYTES + TAG_BYTES):
            raise ValueError("a slot's salt, nonce or wrapped key has the wrong length")


class Tries(Closed, frozen=True):
    """Wrong passphrases since the last right one."""

    count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    last: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Document(Closed, frozen=True):
    """The whole file."""

    version: Literal[1]
    partition: Partition
    generation: Generation
    slots: Annotated[list[Slot], msgspec.Meta(min_length=1, max_length=8)]
    tries: Tries


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """What may be told of a slot."""

    id: str
    kind: str


class KeyFile:
    """The wrapped volume key of one partition.

    Args:
        path: keys.json; its directory exists.
        partition: whose.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, partition: Partition, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._partition = partition
        self._clock = clock

    def exists(self) -> bool:
        """Whether there is a key file."""
        return self._path.exists()

    def create(self, passphrase: bytes, cost: Argon2Cost | None = None) -> bytearray:
        """Make a new volume key and wrap it; replaces any earlier file. The caller wipes the key.

        Raises:
            BadPassphrase: too short or too long.
            DiskFull: there is no room.
        """
        generation = secrets.token_hex(16)
        key = bytearray(secrets.token_bytes(KEY_BYTES))
        slot = self._wrap(key, prepared(passphrase), generation, cost or Argon2Cost())
        self._write(
            Document(version=1, partition=self._partition, generation=generation, slots=[slot], tries=Tries())
        )
        return key

    def unlock(self, passphrase: bytes) -> bytearray:
        """The volume key, to be wiped by the caller.

        Wrong tries are counted in the file before the guess is judged, so killing the process wins nothing.

        Raises:
            WrongPassphrase: no slot opens.
            TooManyTries: too soon after too many wrong ones.
            BadKeyFile: the file is missing, damaged or absurd.
        """
        document = self._read()
        try:
            ready = prepared(passphrase)
        except BadPassphrase as error:
            raise WrongPassphrase(partition=self._partition.value) from error
        self._wait_over(document)
        counted = msgspec.structs.replace(
            document, tries=Tries(count=min(document.tries.count + 1, 1_000_000), last=self._clock())
        )
        self._write(counted)
        for slot in document.slots:
            key = self._unwrap(slot, ready, document.generation)
            if key is not None:
                self._write(msgspec.structs.replace(document, tries=Tries()))
                return key
        raise WrongPassphrase(partition=self._partition.value)

    def add(self, passphrase: bytes, new: bytes, cost: Argon2Cost | None = None) -> str:
        """Add a slot for another passphrase and return its id. Raises as unlock does, and BadPassphrase."""
        ready = prepared(new)
        key = self.unlock(passphrase)
        try:
            document = self._read()
            slot = self._wrap(key, ready, document.generation, cost or Argon2Cost())
        finally:
            wipe(key)
        if len(document.slots) >= 8:
            raise BadKeyFile(partition=self._partition.value, detail="all 8 slots are taken")
        self._write(msgspec.structs.replace(document, slots=[*document.slots, slot]))
        return slot.id

    def remove(self, slot_id: str) -> None:
        """Forget one slot. Raises NoSlot, LastSlot."""
        document = self._read()
        rest = [slot for slot in document.slots if slot.id != slot_id]
        if len(rest) == len(document.slots):
            raise NoSlot(partition=self._partition.value, slot=slot_id)
        if not rest:
            raise LastSlot(partition=self._partition.value)
        self._write(msgspec.structs.replace(document, slots=rest))

    def change(self, old: bytes, new: bytes, cost: Argon2Cost | None = None) -> None:
        """Replace the slot that ``old`` opens by one for ``new``, in one write. Raises as add does."""
        ready = prepared(new)
        wipe(self.unlock(old))
        document = self._read()
        kept = []
        replaced: Slot | None = None
        for slot in document.slots:
            key = None if replaced else self._unwrap(slot, prepared(old), document.generation)
            if key is None:
                kept.append(slot)
            else:
                replaced = self._wrap(key, ready, document.generation, cost or slot.cost)
                wipe(key)
        if replaced is None:
            raise WrongPassphrase(partition=self._partition.value)
        self._write(msgspec.structs.replace(document, slots=[*kept, replaced]))

    def slots(self) -> list[SlotInfo]:
        """What slots there are. Raises BadKeyFile."""
        return [SlotInfo(slot.id, slot.kind) for slot in self._read().slots]

    def destroy(self) -> None:
        """Overwrite and remove the file: the volume cannot be opened again from it."""
        if self._path.exists():
            length = self._path.stat().st_size
            with self._path.open("r+b", buffering=0) as file:
                file.write(secrets.token_bytes(length))
                os.fsync(file.fileno())
            self._path.unlink()

    def _wait_over(self, document: Document) -> None:
        """Refuse while a delay runs: none for FREE_TRIES, then 2 s doubling to LONGEST_WAIT_SECONDS."""
        tries = document.tries
        if tries.count < FREE_TRIES:
            return
        delay = min(2.0 ** min(tries.count - FREE_TRIES + 1, 16), LONGEST_WAIT_SECONDS)
        now = self._clock()
        if tries.last > now:  # the clock was set back: the delay begins again, and does not last for years
            self._write(msgspec.structs.replace(document, tries=Tries(count=tries.count, last=now)))
            remaining = delay
        else:
            remaining = tries.last + delay - now
        if remaining > 0:
            seconds = max(1, round(remaining))
            raise TooManyTries(count=tries.count, partition=self._partition.value, seconds=seconds)

    def _wrap(self, key: bytearray, passphrase: bytes, generation: str, cost: Argon2Cost) -> Slot:
        identity, salt = secrets.token_hex(8), secrets.token_bytes(SALT_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = AESGCM(derive(passphrase, salt, cost))
        wrapped = cipher.encrypt(nonce, bytes(key), self._binding(identity, "passphrase", generation))
        return Slot(id=identity, kind="passphrase", cost=cost, salt=salt, nonce=nonce, wrapped=wrapped)

    def _unwrap(self, slot: Slot, passphrase: bytes, generation: str) -> bytearray | None:
        cipher = AESGCM(derive(passphrase, slot.salt, slot.cost))
        try:
            plain = cipher.decrypt(slot.nonce, slot.wrapped, self._binding(slot.id, slot.kind, generation))
        except InvalidTag:
            return None
        return bytearray(plain)

    def _binding(self, slot_id: str, kind: str, generation: str) -> bytes:
        """What is authenticated beside the key; no part can contain the separator."""
        return "\0".join(("twinhull volume key 1", self._partition.value, generation, slot_id, kind)).encode()

    def _read(self) -> Document:
        try:
            with self._path.open("rb") as file:
                untrusted_document = file.read(FILE_LIMIT + 1)
        except OSError as error:
            raise BadKeyFile(partition=self._partition.value, detail=error.strerror) from error
        if len(untrusted_document) > FILE_LIMIT:
            raise BadKeyFile(partition=self._partition.value, detail=f"longer than {FILE_LIMIT} bytes")
        try:
            document = msgspec.json.decode(untrusted_document, type=Document)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadKeyFile(partition=self._partition.value, detail=error) from error
        if document.partition is not self._partition:
            raise BadKeyFile(
                partition=self._partition.value, detail=f"it belongs to {document.partition.value}"
            )
        return document

    def _write(self, document: Document) -> None:
        write_atomically(self._path, msgspec.json.encode(document))


def prepared(passphrase: bytes) -> bytes:
    """The passphrase as Argon2id gets it: in NFC, so that keyboards agree. Raises BadPassphrase."""
    try:
        normal = unicodedata.normalize("NFC", passphrase.decode()).encode()
    except UnicodeDecodeError:
        normal = passphrase
    if len(normal) not in PASSPHRASE_BYTES:
        raise BadPassphrase
    return normal


def derive(passphrase: bytes, salt: bytes, cost: Argon2Cost) -> bytes:
    """The 256-bit wrapping key of a passphrase."""
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive(passphrase)


def wipe(key: bytearray) -> None:
    """Overwrite a key in memory. Best effort: Python may have copied it."""
    key[:] = bytes(len(key))

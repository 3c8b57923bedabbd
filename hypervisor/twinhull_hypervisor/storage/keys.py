"""The file of wrapped copies of a volume key, ``keys.json``: opened, counted, changed in one write each.

Every change is one atomic replacement of the file (``files.write_atomically``), so that being killed at any
step leaves the old slots or the new ones. A wrong secret is written down before it is judged, so that killing
the process wins no guess, and the count lasts over restarts of the computer.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from twinhull_policy.api.types import UnlockInfo
from twinhull_policy.errors import TwinhullError
from twinhull_policy.escrow import Sealed
from twinhull_policy.names import Partition

from twinhull_hypervisor.storage.errors import (
    BadKeyFile,
    BadPassphrase,
    EscrowNever,
    LastSlot,
    NoChipSlot,
    NoSlot,
    OwnSlot,
    ServerShareNeeded,
    SlotsTaken,
    TooManyTries,
    WrongPassphrase,
    WrongRecoveryCode,
)
from twinhull_hypervisor.storage.files import write_atomically
from twinhull_hypervisor.storage.server_share import NoShares, Rotation, ServerPart, Shares
from twinhull_hypervisor.storage.slots import (
    KEY_BYTES,
    LUKS_SLOTS,
    SLOTS,
    Argon2Cost,
    ChipSecret,
    Document,
    EscrowSlot,
    EscrowTarget,
    Kind,
    Passphrase,
    Pin,
    RecoveryCode,
    RecoverySlot,
    Secret,
    Slot,
    StretchedPin,
    TpmSlot,
    Tries,
    Wrapper,
    tell,
    wipe,
)
from twinhull_hypervisor.storage.told import told
from twinhull_hypervisor.tpm.chip import Tpm
from twinhull_hypervisor.tpm.client import TpmClient
from twinhull_hypervisor.tpm.errors import WrongPin

FILE_LIMIT = 64 * 1024
FREE_TRIES = 3
LONGEST_WAIT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """What may be told of a slot."""

    id: str
    kind: Kind


class KeyFile:
    """The wrapped volume key of one partition.

    Args:
        path: keys.json; its directory exists.
        partition: whose.
        clock: seconds since the epoch.
        cost: Argon2id work of new passphrase slots; None for the default.
        tpm: the security chip; None for the one behind tpmd.
        shares: where the server's part of a key comes from; the corporate volume's alone has one.
    """

    def __init__(
        self,
        path: Path,
        partition: Partition,
        clock: Callable[[], float] = time.time,
        cost: Callable[[], Argon2Cost] = Argon2Cost,
        tpm: Tpm | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._path = path
        self._shares: Shares = NoShares()
        if shares is not None and partition is Partition.CORPORATE:
            self._shares = shares
        self._partition = partition
        self._clock = clock
        self._cost = cost
        self._tpm: Tpm = TpmClient() if tpm is None else tpm

    def exists(self) -> bool:
        """Whether there is a key file."""
        return self._path.exists()

    @told
    def create(self, passphrase: bytes) -> bytearray:
        """Make a new volume key and wrap it; replaces any earlier file. The caller wipes the key.

        Raises:
            BadPassphrase: too short or too long.
            DiskFull: there is no room.
            TwinhullError: the server's part cannot be had, and belongs to it.
        """
        secret = Passphrase.of(passphrase)
        generation, server = self._begin()
        key = bytearray(secrets.token_bytes(KEY_BYTES))
        slot = Wrapper(self._partition, generation, server).passphrase(key, secret, self._cost())
        self._write(
            Document(
                version=1,
                partition=self._partition,
                generation=generation,
                slots=[slot],
                tries=Tries(),
                share=None if server is None else server.name,
            )
        )
        return key

    def _begin(self) -> tuple[str, ServerPart | None]:
        """A new generation, and the server's part of its key. Raises what stands in its way."""
        generation = secrets.token_hex(16)
        share = self._shares.ask(generation)
        return generation, None if share is None else ServerPart.of(share, generation)

    def forget_share(self) -> None:
        """The lease is over: whatever secret is typed, it opens nothing before the server's part is back."""
        self._shares.forget()

    def shared(self) -> str | None:
        """The generation of a key that has a part of the server's; None where there is no such key."""
        try:
            document = self._read()
        except BadKeyFile:
            return None
        return None if document.share is None else document.generation

    def unlock(self, passphrase: bytes) -> bytearray:
        """The volume key by a passphrase, to be wiped by the caller. Raises as :meth:`open` does."""
        try:
            secret = Passphrase.of(passphrase)
        except BadPassphrase as error:
            raise WrongPassphrase(partition=self._partition.value) from error
        return self.open(secret)

    @told
    def open(self, secret: Secret) -> bytearray:
        """The volume key, to be wiped by the caller.

        Wrong tries are counted in the file before the guess is judged, so killing the process wins nothing.

        Raises:
            WrongPassphrase, WrongRecoveryCode, WrongPin: no slot opens.
            TooManyTries: too soon after too many wrong ones.
            ServerShareNeeded: no secret opens it without the server's part; none is tried or counted.
            BadKeyFile: the file is missing, damaged or absurd.
            NoChipSlot, and what the security chip raises: no PIN was tried, and none is counted.
        """
        return self._open(secret)[1]

    @told
    def add_passphrase(self, secret: Secret, new: bytes) -> str:
        """Add a slot for another passphrase and return its id.

        Raises as open does, BadPassphrase, SlotsTaken.
        """
        added = Passphrase.of(new)
        document, key, _ = self._open(secret)
        try:
            slot = self._wrapper(document).passphrase(key, added, self._cost())
        finally:
            wipe(key)
        return self._add(document, slot)

    @told
    def add_recovery_code(self, secret: Secret) -> RecoveryCode:
        """Make a recovery code; an earlier one opens nothing any more. Raises as open does, SlotsTaken."""
        document, key, _ = self._open(secret)
        code = RecoveryCode.new()
        try:
            slot = self._wrapper(document).recovery(key, code)
        finally:
            wipe(key)
        rest = [other for other in document.slots if not isinstance(other, RecoverySlot)]
        self._add(msgspec.structs.replace(document, slots=rest), slot)
        return code

    @told
    def add_pin(self, secret: Secret, pin: Pin, pcrs: Sequence[int]) -> str:
        """Let the security chip open it for a PIN; an earlier slot of the chip's goes. Its id.

        Args:
            pcrs: what the chip has measured at this start of the laptop, and must have at later ones.

        Raises as open does, SlotsTaken, and what the chip raises: nothing was changed.
        """
        document, key, _ = self._open(secret)
        try:
            cost = self._cost()
            stretched = StretchedPin.of(pin, cost)
            sealed, kept = self._tpm.seal(stretched.auth(), pcrs)
            slot = self._wrapper(document).tpm(key, ChipSecret(kept, stretched), sealed, cost)
        finally:
            wipe(key)
        rest = [other for other in document.slots if not isinstance(other, TpmSlot)]
        return self._add(msgspec.structs.replace(document, slots=rest), slot)

    @told
    def remove(self, slot_id: str, secret: Secret) -> None:
        """Forget one slot, for whoever can still open another one.

        Raises:
            NoSlot: there is none of that id.
            OwnSlot: it is the one that ``secret`` opens.
            LastSlot: what would be left opens by no passphrase.
            Also what open raises.
        """
        document = self._read()
        rest = [slot for slot in document.slots if slot.id != slot_id]
        if len(rest) == len(document.slots):
            raise NoSlot(partition=self._partition.value, slot=slot_id)
        if not any(tell(slot) == "passphrase" for slot in rest):
            raise LastSlot(partition=self._partition.value)
        document, key, used = self._open(secret)
        wipe(key)
        if used.id == slot_id:
            raise OwnSlot(partition=self._partition.value)
        self._write(msgspec.structs.replace(document, slots=rest))

    @told
    def change(self, old: bytes, new: bytes) -> None:
        """Replace the slot that ``old`` opens by one for ``new``. Raises as open does, and BadPassphrase."""
        added = Passphrase.of(new)
        try:
            secret = Passphrase.of(old)
        except BadPassphrase as error:
            raise WrongPassphrase(partition=self._partition.value) from error
        document, key, used = self._open(secret)
        try:
            slot = self._wrapper(document).passphrase(key, added, self._cost())
        finally:
            wipe(key)
        kept = [other for other in document.slots if other.id != used.id]
        self._write(msgspec.structs.replace(document, slots=[*kept, slot]))

    @told
    def recover(self, code: RecoveryCode, new: bytes) -> tuple[bytearray, RecoveryCode]:
        """Open by a recovery code and begin anew: one passphrase, a fresh code, the escrow with a fresh one.

        Whatever a person had typed or written down before opens nothing from then on, in the same write.

        Raises:
            WrongRecoveryCode, TooManyTries, BadKeyFile, BadPassphrase: nothing was changed.
        """
        added = Passphrase.of(new)
        document, key, _ = self._open(code)
        fresh = RecoveryCode.new()
        slots = self._anew(document, self._wrapper(document), key, added, fresh)
        self._write(msgspec.structs.replace(document, slots=slots))
        return key, fresh

    @told
    def set_escrow(self, key: bytearray, target: EscrowTarget | None) -> bool:
        """Bring the corporate escrow to what the policy names now; whether something was changed.

        Raises:
            EscrowNever: this is the personal volume.
            SlotsTaken, DiskFull: it is as before.
        """
        if self._partition is not Partition.CORPORATE:
            raise EscrowNever
        document = self._read()
        held = [slot for slot in document.slots if isinstance(slot, EscrowSlot)]
        if [_target_of(slot) for slot in held] == ([] if target is None else [target]):
            return False
        rest = [slot for slot in document.slots if not isinstance(slot, EscrowSlot)]
        if target is None:
            self._write(msgspec.structs.replace(document, slots=rest))
        else:
            slot = self._wrapper(document).escrow(key, target)
            self._add(msgspec.structs.replace(document, slots=rest), slot)
        return True

    def escrow(self) -> Sealed | None:
        """What the employer can open the corporate volume with. Raises EscrowNever for the personal one."""
        if self._partition is not Partition.CORPORATE:
            raise EscrowNever
        return next((slot.sealed for slot in self._read().slots if isinstance(slot, EscrowSlot)), None)

    def slots(self) -> list[SlotInfo]:
        """What slots there are. Raises BadKeyFile."""
        return [SlotInfo(slot.id, tell(slot)) for slot in self._read().slots]

    def unlock_info(self) -> UnlockInfo:
        """Whether a PIN opens it, what was tried, and when the next try is taken. Raises BadKeyFile."""
        document = self._read()
        tries, now = document.tries, self._clock()
        # a clock that was set back begins the delay again, when somebody tries
        until = min(tries.last, now) + _delay(tries.count)
        return UnlockInfo(
            pin=any(isinstance(slot, TpmSlot) for slot in document.slots),
            wrong_tries=tries.count,
            free_tries=max(FREE_TRIES - tries.count, 0),
            wait_until=until if until > now else 0.0,
        )

    # A new volume key

    def unsettled(self) -> int | None:
        """The key slot of the disk's own header that is ours, while others may hold a key as well."""
        document = self._read()
        return None if document.settled else document.luks_slot

    @told
    def begin_rotation(self, ours: int) -> Rotation:
        """A new volume key to be given to the disk, whose only key is in slot ``ours`` of its header.

        Raises what stands in the way of the server's part of it: nothing was changed.
        """
        generation, server = self._begin()
        self._write(msgspec.structs.replace(self._read(), luks_slot=ours, settled=False))
        key = bytearray(secrets.token_bytes(KEY_BYTES))
        return Rotation(key, (ours + 1) % LUKS_SLOTS, generation, server)

    @told
    def rotated(self, secret: Passphrase, rotation: Rotation) -> RecoveryCode:
        """The disk takes the new key: wrap it for a passphrase, a fresh recovery code and the escrow.

        Other passphrases, and every copy of this file made before, open nothing once the disk forgets the
        old key.
        """
        fresh = RecoveryCode.new()
        wrapper = Wrapper(self._partition, rotation.generation, rotation.server)
        self._write(
            Document(
                version=1,
                partition=self._partition,
                generation=rotation.generation,
                slots=self._anew(self._read(), wrapper, rotation.key, secret, fresh),
                tries=Tries(),
                luks_slot=rotation.luks_slot,
                settled=False,
                share=None if rotation.server is None else rotation.server.name,
            )
        )
        return fresh

    @told
    def settle(self) -> None:
        """The disk holds no key but ours."""
        self._write(msgspec.structs.replace(self._read(), settled=True))

    @told
    def destroy(self) -> None:
        """Overwrite and remove the file: the volume cannot be opened again from it."""
        if self._path.exists():
            length = self._path.stat().st_size
            with self._path.open("r+b", buffering=0) as file:
                file.write(secrets.token_bytes(length))
                os.fsync(file.fileno())
            self._path.unlink()
        self._shares.forget()

    def _open(self, secret: Secret) -> tuple[Document, bytearray, Slot]:
        """The file with its tries forgotten, the volume key, and the slot it came from."""
        document = self._read()
        self._wait_over(document)
        wrapper = self._wrapper(document)
        count = min(document.tries.count + 1, 1_000_000)
        self._write(msgspec.structs.replace(document, tries=Tries(count=count, last=self._clock())))
        if isinstance(secret, Pin):
            try:
                opener: Passphrase | RecoveryCode | ChipSecret = self._from_chip(document, secret)
            except TwinhullError as error:
                if error.report().code != WrongPin.code:  # nothing was guessed
                    self._write(document)
                raise
        else:
            opener = secret
        for slot in document.slots:
            key = wrapper.unwrap(slot, opener)
            if key is not None:
                document = msgspec.structs.replace(document, tries=Tries())
                self._write(document)
                return document, key, slot
        if isinstance(secret, RecoveryCode):
            raise WrongRecoveryCode(partition=self._partition.value)
        if isinstance(secret, Pin):  # the chip has agreed to it
            raise BadKeyFile(partition=self._partition.value, detail="the security chip's slot was changed")
        raise WrongPassphrase(partition=self._partition.value)

    def _from_chip(self, document: Document, pin: Pin) -> ChipSecret:
        """What the security chip gives for a PIN. Raises NoChipSlot, and what the chip raises."""
        for slot in document.slots:
            if isinstance(slot, TpmSlot):
                stretched = StretchedPin.of(pin, slot.cost, slot.salt)
                return ChipSecret(self._tpm.unseal(slot.chip, stretched.auth()), stretched)
        raise NoChipSlot(partition=self._partition.value)

    def _anew(
        self, old: Document, wrapper: Wrapper, key: bytearray, passphrase: Passphrase, code: RecoveryCode
    ) -> list[Slot]:
        """Slots for a passphrase and a code, and for the escrow if there was one."""
        slots: list[Slot] = [
            wrapper.passphrase(key, passphrase, self._cost()),
            wrapper.recovery(key, code),
        ]
        slots += [wrapper.escrow(key, _target_of(slot)) for slot in old.slots if isinstance(slot, EscrowSlot)]
        return slots

    def _add(self, document: Document, slot: Slot) -> str:
        if len(document.slots) >= SLOTS:
            raise SlotsTaken(partition=self._partition.value, count=SLOTS)
        self._write(msgspec.structs.replace(document, slots=[*document.slots, slot]))
        return slot.id

    def _wrapper(self, document: Document) -> Wrapper:
        """Raises ServerShareNeeded."""
        if document.share is None:
            return Wrapper(self._partition, document.generation)
        share = self._shares.held(document.generation)
        server = None if share is None else ServerPart.of(share, document.generation)
        if server is None or server.name != document.share:
            raise ServerShareNeeded(partition=self._partition.value)
        return Wrapper(self._partition, document.generation, server)

    def _wait_over(self, document: Document) -> None:
        """Refuse while a delay runs: none for FREE_TRIES, then 2 s doubling to LONGEST_WAIT_SECONDS."""
        tries = document.tries
        if tries.count < FREE_TRIES:
            return
        delay = _delay(tries.count)
        now = self._clock()
        if tries.last > now:  # the clock was set back: the delay begins again, and does not last for years
            self._write(msgspec.structs.replace(document, tries=Tries(count=tries.count, last=now)))
            remaining = delay
        else:
            remaining = tries.last + delay - now
        if remaining > 0:
            seconds = max(1, round(remaining))
            raise TooManyTries(count=tries.count, partition=self._partition.value, seconds=seconds)

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


def _target_of(slot: EscrowSlot) -> EscrowTarget:
    return EscrowTarget(slot.sealed.public_key, slot.sealed.tenant, slot.sealed.device_id)


def _delay(count: int) -> float:
    """Seconds to wait after so many wrong tries."""
    if count < FREE_TRIES:
        return 0.0
    return min(2.0 ** min(count - FREE_TRIES + 1, 16), LONGEST_WAIT_SECONDS)

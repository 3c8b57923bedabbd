"""What the person can do with the keys of a volume; whoever asks proves it with a secret that opens it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from twinhull_policy.api.types import KeySlot, UnlockKind
from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.escrow import Sealed
from twinhull_policy.names import Partition

from ..domain.machine import Machine, MachineState
from ..storage.base import PartitionVolume
from ..storage.errors import BadPassphrase, BadPin, NoEscrow, WrongPassphrase
from ..storage.interface import VolumeState
from ..storage.slots import EscrowTarget, Passphrase, Pin, RecoveryCode, Secret, wipe
from ..tpm.errors import WrongPin
from .partition_errors import NotStopped
from .state import State

logger = logging.getLogger(__name__)


class KindUnknown(TwinhullError):
    """A volume is not opened by a “{kind}”."""

    code = "TH-DMN-031"
    blame = Blame.MALFORMED
    next_step = "It is opened by a passphrase, a recovery code or, with a TPM, a PIN."


class KeySlots:
    """The slots of both volumes.

    Args:
        lock_of: held while something is done with a partition.
        escrow_target: whom the policy in force names for the corporate volume; while that is unknown, its
            escrow stays as it is.
        may_run: raises what forbids a partition to run now.
        pcrs: the TPM's registers that a PIN is bound to.
        on_change: told "partitions" when a volume was opened.
    """

    def __init__(
        self,
        *,
        state: State,
        volumes: Mapping[Partition, PartitionVolume],
        machines: Mapping[Partition, Machine],
        lock_of: Callable[[Partition], asyncio.Lock],
        escrow_target: Callable[[], EscrowTarget | Literal["nobody", "unknown"]],
        may_run: Callable[[Partition], object],
        pcrs: Sequence[int],
        on_change: Callable[[str], object],
    ) -> None:
        self._state = state
        self._volumes = volumes
        self._machines = machines
        self._lock_of = lock_of
        self._escrow_target = escrow_target
        self._may_run = may_run
        self._pcrs = pcrs
        self._on_change = on_change
        volumes[Partition.CORPORATE].on_key = self._keep_escrow

    async def infos(self, name: Partition) -> list[KeySlot]:
        """What opens a volume. Raises NoVolume, BadKeyFile."""
        keys = self._existing(name).keys
        slots = await asyncio.to_thread(keys.slots)
        sealed = await asyncio.to_thread(keys.escrow) if name is Partition.CORPORATE else None
        return [
            KeySlot(
                id=slot.id,
                kind=slot.kind,
                escrow_key=sealed.public_key if sealed is not None and slot.kind == "escrow" else "",
            )
            for slot in slots
        ]

    async def add_passphrase(self, name: Partition, secret: Secret, new: bytearray) -> None:
        """Add another passphrase. Raises what the key file raises."""
        async with self._lock_of(name):
            keys = self._existing(name).keys
            await asyncio.to_thread(keys.add_passphrase, secret, bytes(new))
            self._state.log("done", f"The {name} volume has another passphrase")

    async def change_passphrase(self, name: Partition, old: bytearray, new: bytearray) -> None:
        """Put one passphrase in another's place. Raises what the key file raises."""
        async with self._lock_of(name):
            await asyncio.to_thread(self._existing(name).keys.change, bytes(old), bytes(new))
            self._state.log("done", f"A passphrase of the {name} volume was changed")

    async def add_recovery_code(self, name: Partition, secret: Secret) -> int:
        """Make a recovery code; the read end of a pipe that holds it. Raises what the key file raises."""
        async with self._lock_of(name):
            code = await asyncio.to_thread(self._existing(name).keys.add_recovery_code, secret)
            self._state.log("done", f"The {name} volume has a new recovery code")
        return handed_over(code)

    async def add_pin(self, name: Partition, secret: Secret, pin: bytearray) -> None:
        """Have the security chip open it for a PIN. Raises BadPin, what the key file raises, and the chip."""
        async with self._lock_of(name):
            keys = self._existing(name).keys
            await asyncio.to_thread(keys.add_pin, secret, Pin.of(bytes(pin)), self._pcrs)
            self._state.log("done", f"The {name} volume can be opened by a PIN and the security chip")

    async def unlock(self, name: Partition, secret: Secret) -> None:
        """Open a volume and hold its key. Raises what the volume raises, and LeaseEnded."""
        async with self._lock_of(name):
            self._may_run(name)
            volume = self._existing(name)
            if volume.state() is VolumeState.UNLOCKED:
                wipe(await asyncio.to_thread(volume.keys.open, secret))
            else:
                await asyncio.to_thread(volume.unlock_with, secret)
        self._on_change("partitions")

    async def remove(self, name: Partition, slot: str, secret: Secret) -> None:
        """Take one way in away. Raises what the key file raises."""
        async with self._lock_of(name):
            await asyncio.to_thread(self._existing(name).keys.remove, slot, secret)
            self._state.log("done", f"Key slot {slot} of the {name} volume was removed")

    async def recover(self, name: Partition, code: RecoveryCode, new: bytearray) -> int:
        """Open a volume by its recovery code and give it a new passphrase; the next code, as a pipe.

        Raises what the volume raises, and LeaseEnded.
        """
        async with self._lock_of(name):
            self._may_run(name)
            fresh = await asyncio.to_thread(self._existing(name).recover, code, bytes(new))
            self._state.log("done", f"The {name} volume was opened by a recovery code, which is void now")
        self._on_change("partitions")
        return handed_over(fresh)

    async def rotate(self, name: Partition, passphrase: bytearray) -> int:
        """Give a stopped partition's volume a new key; its new recovery code, as a pipe.

        Raises NotStopped, LeaseEnded, and what the volume raises.
        """
        async with self._lock_of(name):
            self._may_run(name)
            volume = self._existing(name)
            if await asyncio.to_thread(self._machines[name].state) is not MachineState.ABSENT:
                raise NotStopped(partition=name)
            fresh = await asyncio.to_thread(volume.rotate, bytes(passphrase))
            self._state.log("done", f"The {name} volume has a new key; older copies of its slots are void")
        self._on_change("partitions")
        return handed_over(fresh)

    async def restore_header(self, name: Partition) -> None:
        """Put the backup of a stopped partition's disk header back. Raises NotStopped, HeaderLost."""
        async with self._lock_of(name):
            volume = self._existing(name)
            if await asyncio.to_thread(self._machines[name].state) is not MachineState.ABSENT:
                raise NotStopped(partition=name)
            await asyncio.to_thread(volume.restore_header)
            self._state.log("done", f"The header of the {name} disk was put back from its backup")
        self._on_change("partitions")

    async def escrow(self, name: Partition) -> Sealed:
        """What the employer can open the corporate volume with. Raises EscrowNever, NoEscrow."""
        keys = self._volumes[name].keys
        sealed = await asyncio.to_thread(keys.escrow)
        if sealed is None:
            raise NoEscrow(partition=name)
        return sealed

    def _existing(self, name: Partition) -> PartitionVolume:
        self._volumes[name].require()
        return self._volumes[name]

    def _keep_escrow(self, key: bytearray) -> None:
        """The corporate volume was opened: bring its escrow to what the policy says; its owner is told."""
        named = self._escrow_target()
        if named == "unknown":
            return
        target = named if isinstance(named, EscrowTarget) else None
        try:
            changed = self._volumes[Partition.CORPORATE].keys.set_escrow(key, target)
        except TwinhullError as error:
            logger.warning("the escrow of the corporate volume stays as it was: %s", error.message)
            self._state.log("refused", f"The escrow of the corporate volume: {error.code}: {error.message}")
            return
        if changed and target is not None:
            self._state.log(
                "done", f"Your employer can open the corporate volume: escrow to {target.public_key}"
            )
        elif changed:
            self._state.log("done", "Your employer can no longer open the corporate volume by an escrow")


def proof(kind: str, partition: Partition, untrusted: bytearray) -> Secret:
    """What a person opens a volume with.

    Raises:
        KindUnknown: there is no such way in.
        BadRecoveryCode: it is mistyped.
        WrongPassphrase, WrongPin: it cannot be one.
    """
    if kind not in get_args(UnlockKind):
        raise KindUnknown(kind=kind)
    if kind == "recovery-code":
        return RecoveryCode.of(bytes(untrusted))
    if kind == "tpm":
        try:
            return Pin.of(bytes(untrusted))
        except BadPin as error:
            raise WrongPin(counted=", as it is too short or too long") from error
    try:
        return Passphrase.of(bytes(untrusted))
    except BadPassphrase as error:
        raise WrongPassphrase(partition=partition) from error


def handed_over(code: RecoveryCode) -> int:
    """The read end of a pipe that holds a code and then ends: codes are in no message on the bus."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(code.words())
    return reading

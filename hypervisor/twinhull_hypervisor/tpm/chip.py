"""A secret in the security chip, for a PIN and for a laptop that was started as before.

The secret lies under a key that the chip makes of its own seed, so that it opens nowhere else and not after
TPM2_Clear. Its policy asks for the registers (TPM2_PolicyPCR) and for the PIN (TPM2_PolicyAuthValue), which
is not sent but proved; the chip counts wrong ones and locks itself (Part 1, 19.8, dictionary attacks). What
goes to and fro is encrypted with a salt that only the chip can read.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from twinhull_hypervisor.tpm import structures
from twinhull_hypervisor.tpm.errors import (
    BadSealed,
    ChipCleared,
    ChipGone,
    ChipLocked,
    ChipMeasured,
    ChipRefused,
    WrongPin,
)
from twinhull_hypervisor.tpm.esys import (
    DECRYPT,
    ENCRYPT,
    HMAC_SESSION,
    POLICY_SESSION,
    Esys,
    ResponseError,
    is_digest,
)
from twinhull_hypervisor.tpm.structures import SECRET_BYTES, Sealed

DEVICE = "device:/dev/tpmrm0"
"""The kernel's resource manager, which keeps users of the chip apart."""
AUTH_FAIL, POLICY_FAIL, INTEGRITY, PCR_CHANGED, LOCKOUT = 0x08E, 0x09D, 0x09F, 0x128, 0x921
"""TPM_RC_…, Part 2, 6.6.3. Of the first ones, format one, the number alone."""
PT_LOCKOUT_COUNTER, PT_MAX_AUTH_FAIL, PT_LOCKOUT_INTERVAL = 0x20E, 0x20F, 0x210
"""TPM_PT_…, Part 2, 6.13: wrong ones counted, how many lock it, and seconds until one is forgotten."""


class Tpm(Protocol):
    """What keeps a secret. Calls block, seconds at most. Both raise what this module's errors are."""

    def seal(self, auth: bytes, pcrs: Sequence[int]) -> tuple[Sealed, bytes]:
        """A new secret, and what opens it again with ``auth`` while those registers are as now."""

    def unseal(self, sealed: Sealed, auth: bytes) -> bytes:
        """The secret again."""


class Chip:
    """The chip itself.

    Args:
        tcti: how it is reached.
    """

    def __init__(self, tcti: str = DEVICE) -> None:
        self._tcti = tcti
        self._lock = threading.Lock()

    def seal(self, auth: bytes, pcrs: Sequence[int]) -> tuple[Sealed, bytes]:
        """A new secret of SECRET_BYTES, and what opens it again.

        Args:
            auth: stands for the PIN; at most 32 bytes, the last one not zero, as the chip drops those.
            pcrs: registers of PCRS it is bound to as they are now; at least one.

        Raises:
            ChipGone, ChipRefused: nothing was made.
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        with self._opened() as esys, esys.primary(structures.storage_key()) as parent:
            values = self._measured(esys, pcrs)
            public = structures.sealed_object(structures.policy_digest(values))
            with esys.session(HMAC_SESSION, parent, DECRYPT | ENCRYPT) as session:
                made, private = esys.create(parent, session, structures.sensitive(auth, secret), public)
            return Sealed.of(made, private, esys.name(parent), values), secret

    def unseal(self, sealed: Sealed, auth: bytes) -> bytes:
        """The secret again.

        Raises:
            WrongPin: the chip has counted it.
            ChipMeasured, ChipCleared, ChipGone, ChipLocked, ChipRefused, BadSealed: no PIN was tried.
        """
        with self._opened() as esys, esys.primary(structures.storage_key()) as parent:
            if esys.name(parent) != sealed.parent:
                raise ChipCleared
            pcrs = [measured.pcr for measured in sealed.measured]
            now = self._measured(esys, pcrs)
            changed = [m.pcr for m in sealed.measured if now[m.pcr] != m.value]
            if changed:
                raise ChipMeasured(what=_registers(changed))
            with (
                esys.loaded(parent, sealed.public, sealed.private) as item,
                esys.session(POLICY_SESSION, parent, ENCRYPT) as session,
            ):
                esys.policy(session, structures.selection(pcrs))
                return esys.unseal(item, session, auth)

    @contextmanager
    def _opened(self) -> Iterator[Esys]:
        with self._lock:
            try:
                with Esys(self._tcti) as esys:
                    try:
                        yield esys
                    except ResponseError as error:
                        if error.reason == LOCKOUT and error.from_chip:
                            raise _locked(esys) from error
                        if error.reason == AUTH_FAIL and error.from_chip:
                            raise _wrong(esys) from error
                        raise
            except ResponseError as error:
                raise _told(error) from error
            except OSError as error:
                raise ChipGone(detail=f"the TPM software stack is missing ({error})") from error
            except ValueError as error:
                raise BadSealed(detail=error) from error

    @staticmethod
    def _measured(esys: Esys, pcrs: Sequence[int]) -> dict[int, bytes]:
        """Registers as they are now; asked for one by one, as an answer has room for eight."""
        values: dict[int, bytes] = {}
        for pcr in sorted(set(pcrs)):
            found = esys.measured(structures.selection([pcr]))
            if len(found) != 1 or not is_digest(found[0]):
                raise ChipGone(detail="it measures nothing by SHA-256")
            values[pcr] = found[0]
        return values


def _registers(pcrs: Sequence[int]) -> str:
    listed = ", ".join(str(pcr) for pcr in pcrs)
    return f"register PCR {listed} differs" if len(pcrs) == 1 else f"registers PCR {listed} differ"


def _locked(esys: Esys) -> ChipLocked:
    """A chip that takes no PIN: how many it counted, and how long it takes to forget one of them."""
    known = esys.properties(PT_LOCKOUT_COUNTER)
    return ChipLocked(count=known.get(PT_LOCKOUT_COUNTER, 0), seconds=known.get(PT_LOCKOUT_INTERVAL, 0))


def _wrong(esys: Esys) -> WrongPin:
    """A PIN that was wrong, and how many more may be."""
    try:
        known = esys.properties(PT_LOCKOUT_COUNTER)
    except ResponseError:  # the PIN was wrong all the same, and is to be counted as such
        known = {}
    if PT_LOCKOUT_COUNTER not in known or PT_MAX_AUTH_FAIL not in known:
        return WrongPin(counted="")
    left = known[PT_MAX_AUTH_FAIL] - known[PT_LOCKOUT_COUNTER]
    if left <= 0:
        return WrongPin(counted=", and has locked itself")
    return WrongPin(counted=f"; {left} wrong {'one' if left == 1 else 'ones'} more, and it locks itself")


def _told(error: ResponseError) -> Exception:
    """What a response code means to a person."""
    if not error.from_chip:
        return ChipGone(detail=f"code {error.code:#x}")
    if error.reason in (POLICY_FAIL, PCR_CHANGED):
        return ChipMeasured(what="its policy does not hold")
    if error.reason == INTEGRITY:
        return BadSealed(detail="it was changed")
    return ChipRefused(step=error.step, response=f"{error.code:#x}")

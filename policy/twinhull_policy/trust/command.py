"""The command verifier: what one laptop is told to do once, and every reason not to. Pure.

A command authenticates itself, apart from the statement that carries it: a stolen director key cannot make
one that takes anything away, and holding a statement back is all it can do to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from securesystemslib.signer import Signer

from ..canonical import CanonicalDecoder, encode
from . import envelope
from .documents import COMMAND_TYPE, REQUEST_TYPE, Action, Command
from .errors import (
    CommandExpired,
    CommandForAnother,
    CommandFromTheFuture,
    CommandMalformed,
    CommandNotOfRole,
    CommandReplayed,
    CommandValidTooLong,
    WrongPayloadType,
)
from .limits import LIMITS
from .root import TrustedRoot
from .statement import DeviceIdentity

_ROLES: Final = {COMMAND_TYPE: "command", REQUEST_TYPE: "director"}
ACTIONS: Final[dict[str, tuple[Action, ...]]] = {
    "command": ("lock", "unlock", "wipe", "release"),
    "director": ("rotate-vpn-key",),
}
"""Which role may command what."""

_decoder = CanonicalDecoder(Command)


Marks = dict[str, int]
"""Of each signing key, by its id: the greatest number of a command that it signed."""


@dataclass(frozen=True)
class VerifiedCommand:
    """A command that may be carried out."""

    command: Command
    sha256: str
    """Of its envelope."""
    raw: bytes
    marks: Marks
    """To be stored before anything is done, and given back the next time."""


def role_of(action: Action) -> str:
    """The role that signs an action."""
    return next(role for role, actions in ACTIONS.items() if action in actions)


def verify_command(
    untrusted: bytes,
    *,
    root: TrustedRoot,
    device: DeviceIdentity,
    marks: Marks,
    now: int,
) -> VerifiedCommand:
    """Accept a command only if all of this holds, checked in this order:

    1. The root of trust has not expired (RootExpired).
    2. The envelope has at most 2 KiB (DocumentTooLarge), is canonical (EnvelopeMalformed), and holds a
       command or a request (WrongPayloadType).
    3. As many distinct keys as the root demands signed it, for a command of the role ``command``, for a
       request of ``director`` (SignatureInvalid, RoleNotDelegated).
    4. The payload is a canonical command (CommandMalformed).
    5. Its action is one that the role may command (CommandNotOfRole).
    6. Tenant, device and enrolment epoch are exactly this laptop's (CommandForAnother).
    7. Its number is greater than that of every earlier command that a key of the role signed
       (CommandReplayed). No two roles share a key, so a stolen director key cannot use up the numbers of
       wipes; and what a thief signed, were it number 2^53, counts no more once the root drops the key.
    8. It may be begun after its issue, within 90 days of it (CommandValidTooLong).
    9. It was issued at most 10 minutes after ``now`` (CommandFromTheFuture).
    10. Its last moment is not before ``now`` (CommandExpired).

    ``now`` is in seconds since the epoch and already raised to the time floor (``reference_time``).
    ``marks`` are those of the commands accepted before in this enrolment.
    """
    root.check_expiry(now)
    payload_type = envelope.payload_type_of(untrusted, what="command", limit=LIMITS.command_bytes)
    role = _ROLES.get(payload_type)
    if role is None:
        raise WrongPayloadType(found=payload_type, expected="a command")
    keys, threshold = root.delegated_keys(role)
    signed = envelope.verify_signed(
        untrusted,
        payload_type=payload_type,
        keys=keys,
        threshold=threshold,
        role=role,
        what="command",
        limit=LIMITS.command_bytes,
    )
    try:
        command = _decoder.decode(signed.payload)
    except ValueError as error:
        raise CommandMalformed(detail=str(error)) from error
    if command.action not in ACTIONS[role]:
        raise CommandNotOfRole(role=role, action=command.action)
    if DeviceIdentity(command.tenant, command.device_id, command.enrol_epoch) != device:
        raise CommandForAnother
    last = max((marks.get(key.keyid, 0) for key in keys), default=0)
    if command.number <= last:
        raise CommandReplayed(found=command.number, last=last)
    _check_dates(command, now)
    return VerifiedCommand(
        command,
        envelope.envelope_hash(untrusted),
        untrusted,
        marks | dict.fromkeys(sorted(signed.keyids), command.number),
    )


def _check_dates(command: Command, now: int) -> None:
    valid = command.not_after - command.issued_at
    if not 0 < valid <= LIMITS.command_valid_seconds:
        raise CommandValidTooLong(seconds=valid)
    if command.issued_at > now + LIMITS.future_seconds:
        raise CommandFromTheFuture(seconds=command.issued_at - now)
    if command.not_after < now:
        raise CommandExpired


def sign_command(command: Command, signers: Sequence[Signer]) -> bytes:
    """The command's envelope, signed with keys of the role that ``role_of`` says."""
    payload_type = next(kind for kind, role in _ROLES.items() if role == role_of(command.action))
    return envelope.sign(payload_type, encode(command), signers)

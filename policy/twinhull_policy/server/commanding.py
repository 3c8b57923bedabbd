"""Commands to laptops: signed here with the administrator's command key, told onwards by the director.

What the serving process can see of a command is the envelope. It sends it along with the laptop's statement
until a receipt says how it ended, and never takes an answer of its own for the laptop's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from cryptography import x509
from securesystemslib.signer import SSlibKey

from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.server import repository, two_persons
from twinhull_policy.server import storage as s
from twinhull_policy.server.enrolment import fingerprint
from twinhull_policy.server.errors import BadSetting, DeviceRevoked, UnknownDevice
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.store import audit, commands, devices, settings
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.command import role_of, sign_command, verify_command
from twinhull_policy.trust.documents import Action, Command, Receipt
from twinhull_policy.trust.envelope import Envelope, envelope_hash
from twinhull_policy.trust.errors import SignatureInvalid
from twinhull_policy.trust.limits import LIMITS
from twinhull_policy.trust.receipt import verify_receipt
from twinhull_policy.trust.statement import DeviceIdentity

MAX_HOURS = LIMITS.command_valid_seconds // 3600
DESTRUCTIVE: tuple[Action, ...] = ("wipe", "release")
"""What cannot be taken back; for more than one laptop at once it takes two administrators."""


class BatchNeedsApproval(TwinhullError):
    """A {action} of {count} laptops at once needs a second administrator."""

    code = "TH-SRV-120"
    blame = Blame.DENIED
    next_step = "Name one laptop at a time, or ask for the batch in the console and give --approval NUMBER."


class CommandUnknown(TwinhullError):
    """There is no open command number {number}."""

    code = "TH-SRV-121"
    next_step = "See 'twinhull-server device commands'."


class NoReceipt(TwinhullError):
    """There is no receipt of command {number}, or no such command."""

    code = "TH-SRV-122"
    next_step = "See 'twinhull-server device commands' for how far it is."


def issue(
    layout: Layout,
    storage: s.Storage,
    device_ids: Sequence[str],
    action: Action,
    *,
    hours: int,
    actor: str,
    approval: int | None = None,
) -> list[commands.Command]:
    """Sign and queue a command for each of some devices, all or none.

    Args:
        layout: the server.
        storage: its database.
        device_ids: distinct.
        action: what they are to do.
        hours: how long it may wait for its laptop, 1 to 2160.
        actor: for the audit log.
        approval: number of the second administrator's approval of a destructive batch; used up here.

    Raises BadSetting, BatchNeedsApproval, NotApproved, UnknownDevice, DeviceRevoked, KeyUnavailable.
    """
    if not 1 <= hours <= MAX_HOURS:
        raise BadSetting(option="--hours", value=hours)
    if action in DESTRUCTIVE and len(device_ids) > 1 and (approval is None or action != "wipe"):
        raise BatchNeedsApproval(action=action, count=len(device_ids))
    signer = repository.signer_for(layout, role_of(action))
    now = int(time.time())
    made = []
    with storage.write() as tx:
        tenant = settings.get(tx, "tenant")
        if approval is not None:
            two_persons.use(tx, approval, list(device_ids), actor, action)
        for device_id in device_ids:
            device = devices.get(tx, device_id)
            if device is None:
                raise UnknownDevice(device_id=device_id)
            if device.revoked_at is not None:
                raise DeviceRevoked
            number = commands.next_number(tx)
            command = Command(
                tenant=tenant,
                device_id=device_id,
                enrol_epoch=device.enrol_epoch,
                number=number,
                action=action,
                issued_at=now,
                not_after=now + hours * 3600,
            )
            envelope = sign_command(command, [signer])
            commands.add(
                tx,
                number=number,
                device_id=device_id,
                action=action,
                sha256=envelope_hash(envelope),
                envelope=envelope,
                by=actor,
                issued_at=now,
                not_after=command.not_after,
                approval=approval,
            )
            audit.append(tx, actor, f"device {action}", f"{device_id}, command {number}, {hours} h")
            queued = commands.get(tx, number)
            if queued is not None:
                made.append(queued)
    return made


def withdraw(storage: s.Storage, number: int, actor: str) -> None:
    """Stop sending a command. Raises CommandUnknown when it has ended or there is none."""
    with storage.write() as tx:
        if not commands.withdraw(tx, number, time.time()):
            raise CommandUnknown(number=number)
        audit.append(tx, actor, "device withdraw", f"command {number}")


def keep_receipt(storage: s.Storage, certificate_der: bytes, untrusted_receipt: bytes) -> Receipt:
    """Take a receipt from the laptop with this certificate, and do the server's part of a finished command.

    Raises TrustError, CommandUnknown. A receipt that says no more than what is known changes nothing.
    """
    now = time.time()
    with storage.write() as tx:
        found = devices.by_certificate(tx, fingerprint(certificate_der))
        device = devices.get(tx, found[0]) if found is not None else None
        if device is None:
            raise DeviceRevoked
        identity = DeviceIdentity(settings.get(tx, "tenant"), device.device_id, device.enrol_epoch)
        key = SSlibKey.from_crypto(x509.load_der_x509_certificate(certificate_der).public_key())
        receipt = verify_receipt(untrusted_receipt, key=key, device=identity)
        command = commands.get(tx, receipt.number)
        if command is None or command.device_id != device.device_id or command.action != receipt.action:
            raise CommandUnknown(number=receipt.number)
        changed = commands.progress(
            tx,
            receipt.number,
            device.device_id,
            state=receipt.state,
            detail=receipt.detail,
            receipt=untrusted_receipt,
            now=now,
        )
        if changed:
            audit.append(
                tx, device.device_id, f"{receipt.action} {receipt.state}", f"command {receipt.number}"
            )
        if changed and receipt.state == "done":
            _after(tx, device.device_id, receipt, now)
    return receipt


def _after(tx: s.Tx, device_id: str, receipt: Receipt, now: float) -> None:
    if receipt.action == "release":
        devices.revoke(tx, device_id, now)
        devices.free_address(tx, device_id)
    elif receipt.action == "rotate-vpn-key" and receipt.wireguard_public_key:
        devices.set_wireguard_key(tx, device_id, receipt.wireguard_public_key)


def sign_again(layout: Layout, storage: s.Storage, actor: str) -> int:
    """Sign open commands again that the root in force does not vouch for; how many. Raises KeyUnavailable."""
    root = trust_root.load_stored(repository.root_chain(layout)[-1])
    again = 0
    with storage.write() as tx:
        for of_device in commands.outstanding(tx, time.time()).values():
            for number, old in of_device:
                command = msgspec.json.decode(msgspec.json.decode(old, type=Envelope).payload, type=Command)
                if _vouched_for(root, old, command):
                    continue
                new = sign_command(command, [repository.signer_for(layout, role_of(command.action))])
                commands.signed_again(tx, number, envelope_hash(new), new)
                audit.append(tx, actor, "command resign", f"command {number}")
                again += 1
    return again


def _vouched_for(root: trust_root.TrustedRoot, envelope: bytes, command: Command) -> bool:
    device = DeviceIdentity(command.tenant, command.device_id, command.enrol_epoch)
    try:
        verify_command(envelope, root=root, device=device, marks={}, now=command.issued_at)
    except SignatureInvalid:
        return False
    return True


def table(found: Sequence[commands.Command]) -> list[dict[str, Any]]:
    """Commands as rows for a person or a script, with the state told honestly."""
    now = time.time()
    return [
        {
            "number": command.number,
            "device_id": command.device_id,
            "action": command.action,
            "state": command.shown(now),
            "issued_by": command.issued_by,
            "issued_at": command.issued_at,
            "expires_at": command.not_after,
            "delivered_at": command.delivered_at,
            "started_at": command.started_at,
            "ended_at": command.ended_at,
            "detail": command.detail,
        }
        for command in found
    ]

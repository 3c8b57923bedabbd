"""What the administrator's command line does, on the database and the repository; no printing here.

Every function that changes something appends to the audit table in the same transaction. Telling the
serving process about it (:func:`notify`) is the caller's last step.
"""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from twinhull_policy.names import Partition, is_name
from twinhull_policy.server import errors as e
from twinhull_policy.server import repository, rollout
from twinhull_policy.server import storage as s
from twinhull_policy.server.doorbell import ADMIN_SECONDS, CHANGED, DONE
from twinhull_policy.server.enrolment import hash_secret
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import server_ca_sha256
from twinhull_policy.server.store import audit, devices, groups, policies, reports, settings, tokens
from twinhull_policy.trust.envelope import envelope_hash
from twinhull_policy.trust.token import EnrolmentToken, format_token

Record = dict[str, Any]
MAX_TOKEN_HOURS = 24 * 30


@dataclass(frozen=True)
class NewToken:
    """A token as it is shown, once."""

    number: int
    token: str
    url: str
    group: str
    expires_at: float


def notify(layout: Layout) -> bool:
    """Tell the serving process that something changed and wait until it has pushed it.

    Returns False when none runs; the change then takes effect when it starts.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ADMIN_SECONDS)
        try:
            connection.connect(str(layout.admin_socket))
            connection.sendall(CHANGED)
            return connection.recv(len(DONE)) == DONE
        except OSError:
            return False


def new_token(
    layout: Layout, storage: s.Storage, group: str, hours: int, *, label: str = "", by: str = ""
) -> NewToken:
    """Make an enrolment token, good once and for ``hours`` (1 to 720).

    ``label`` is what the laptop will be called in lists. Raises UnknownGroup, BadSetting.
    """
    by = by or actor()
    if not 1 <= hours <= MAX_TOKEN_HOURS:
        raise e.BadSetting(option="--hours", value=hours)
    root_sha256 = envelope_hash((layout.metadata / "1.root.json").read_bytes())
    token = EnrolmentToken(secrets.token_bytes(32), root_sha256, server_ca_sha256(layout))
    now = time.time()
    with storage.write() as tx:
        _check_group(tx, group)
        number = tokens.add(
            tx,
            hash_=hash_secret(token.secret),
            group=group,
            created_at=now,
            expires_at=now + hours * 3600,
            created_by=by,
            label=label,
        )
        audit.append(tx, by, "token new", f"token {number}, group {group}, {hours} h")
        url = settings.get(tx, "url")
    return NewToken(number, format_token(token), url, group, now + hours * 3600)


def revoke_token(storage: s.Storage, number: int, *, by: str = "") -> None:
    """Withdraw an unused token. Raises UnknownToken."""
    with storage.write() as tx:
        if not tokens.revoke(tx, number, time.time()):
            raise e.UnknownToken(number=number)
        audit.append(tx, by or actor(), "token revoke", f"token {number}")


def list_tokens(storage: s.Storage) -> list[Record]:
    """All tokens, without their hashes."""
    with storage.read() as tx:
        return _plain(tokens.everyone(tx))


def add_image(
    layout: Layout, storage: s.Storage, file: Path, name: str, partition: str, group: str
) -> Record:
    """Publish a golden image and assign it to a group's partition.

    Raises BadName, UnknownGroup, FileUnreadable, KeyUnavailable, TargetConflict.
    """
    if not is_name(name):
        raise e.BadName(name=name)
    chosen = Partition(partition)
    with storage.read() as tx:
        _check_group(tx, group)
    with layout.repository_lock():
        target, sha256, length = repository.add_image(layout, file, name)
    with storage.write() as tx:
        known = groups.image(tx, target)
        if known is None:
            image = groups.Image(
                target=target,
                name=name,
                partition=chosen.value,
                sha256=sha256,
                length=length,
                added_at=time.time(),
            )
            groups.add_image(tx, image)
            audit.append(tx, actor(), "image add", f"{target} {sha256}")
        elif known.partition != chosen.value:
            raise e.TargetConflict(target=target)
        assigned = groups.assign_image(tx, group, chosen, target)
        if assigned:
            audit.append(tx, actor(), "image assign", f"{target} to group {group}, {chosen.value}")
    return {
        "target": target,
        "sha256": sha256,
        "length": length,
        "partition": chosen.value,
        "group": group,
        "changed": known is None or assigned,
    }


def list_images(storage: s.Storage) -> list[Record]:
    """All images."""
    with storage.read() as tx:
        return _plain(groups.images(tx))


def list_devices(storage: s.Storage) -> list[Record]:
    """All devices, each with the number of its newest statement."""
    with storage.read() as tx:
        return [_device(device) for device in devices.everyone(tx)]


def show_device(storage: s.Storage, device_id: str) -> Record:
    """One device with its newest report. Raises UnknownDevice."""
    with storage.read() as tx:
        device = devices.get(tx, device_id)
        if device is None:
            raise e.UnknownDevice(device_id=device_id)
        newest = _plain(reports.recent(tx, device_id, 1))
    return {**_device(device), "report": newest[0] if newest else None}


def revoke_device(storage: s.Storage, device_id: str, *, release: bool = False, by: str = "") -> bool:
    """Shut a device out; with ``release`` also free its tunnel address. Returns whether it changed.

    Raises UnknownDevice.
    """
    with storage.write() as tx:
        device = devices.get(tx, device_id)
        if device is None:
            raise e.UnknownDevice(device_id=device_id)
        revokes, frees = device.revoked_at is None, release and device.address is not None
        if revokes:
            devices.revoke(tx, device_id, time.time())
        if frees:
            devices.free_address(tx, device_id)
        if revokes or frees:
            audit.append(tx, by or actor(), "device release" if release else "device revoke", device_id)
    return revokes or frees


def wireguard_peers(storage: s.Storage) -> str:
    """``[Peer]`` sections (wg(8), syncconf) of all devices that are not revoked."""
    with storage.read() as tx:
        return "".join(
            f"[Peer]\nPublicKey = {device.wireguard_public_key}\nAllowedIPs = {device.address}\n\n"
            for device in devices.everyone(tx)
            if device.revoked_at is None and device.address is not None
        )


def new_group(storage: s.Storage, name: str, *, by: str = "") -> None:
    """Make a group with nothing assigned. Raises BadName, GroupExists."""
    if not is_name(name):
        raise e.BadName(name=name)
    with storage.write() as tx:
        if not groups.add(tx, name, time.time()):
            raise e.GroupExists(name=name)
        audit.append(tx, by or actor(), "group new", name)


def list_groups(storage: s.Storage) -> list[Record]:
    """All groups."""
    with storage.read() as tx:
        return _plain(groups.everyone(tx))


def list_reports(storage: s.Storage) -> list[Record]:
    """All reports kept, oldest first."""
    with storage.read() as tx:
        return _plain(reports.everyone(tx))


def publish_policy(
    layout: Layout,
    storage: s.Storage,
    document: bytes,
    envelope: bytes,
    group: str,
    base: str | None,
    *,
    rings: bool = False,
    draft: int = 0,
    by: str = "",
) -> Record:
    """Store a signed policy body and assign it to a group. Two at once happen one after the other.

    Args:
        layout: the server.
        storage: its database.
        document: the canonical policy document.
        envelope: the signed body, whose hash names it.
        group: who gets it.
        base: hash of the body it replaces, empty for none; None to replace whatever is there.
        rings: ring by ring instead of everybody at once.
        draft: number of the draft this was, 0 for none.
        by: who publishes; empty for who runs this process.

    Raises UnknownGroup, StaleBase, RolloutOpen, UnknownDraft.
    """
    sha256 = envelope_hash(envelope)
    by = by or actor()
    number: int | None = None
    with storage.write() as tx:
        current = _check_group(tx, group).policy_sha256
        if base is not None and base != (current or ""):
            raise e.StaleBase(current=current or "none", base=base or "none")
        if draft and not policies.close_draft(tx, draft, "published"):
            raise e.UnknownDraft(number=draft)
        policies.add(tx, sha256, document.decode(), envelope, by, time.time())
        if rings and current != sha256:
            number = rollout.start(tx, group, sha256, base, by).number
        else:
            assign_policy(tx, group, sha256, base, by)
    return {"sha256": sha256, "group": group, "changed": current != sha256, "rollout": number}


def assign_policy(tx: s.Tx, group: str, sha256: str, base: str | None, by: str) -> bool:
    """Have a whole group have a published policy; whether that changes anything.

    Raises UnknownGroup, StaleBase, RolloutOpen.
    """
    current = _check_group(tx, group).policy_sha256
    rollout.check_free(tx, group)
    if base is not None and base != (current or ""):
        raise e.StaleBase(current=current or "none", base=base or "none")
    if current != sha256:
        groups.assign_policy(tx, group, sha256)
        audit.append(tx, by, "policy publish", f"{sha256} to group {group}, was {current}")
    return current != sha256


def list_drafts(storage: s.Storage) -> list[Record]:
    """The newest drafts."""
    with storage.read() as tx:
        return _plain(policies.drafts(tx, LIMITS.drafts_listed))


def get_draft(storage: s.Storage, number: int) -> policies.Draft:
    """An open draft. Raises UnknownDraft."""
    with storage.read() as tx:
        draft = policies.draft(tx, number)
    if draft is None or draft.state != "open":
        raise e.UnknownDraft(number=number)
    return draft


def list_policies(storage: s.Storage) -> list[Record]:
    """All published policies, and which groups have them now."""
    with storage.read() as tx:
        having = groups.everyone(tx)
        return [
            {**row, "groups": [group.name for group in having if group.policy_sha256 == row["sha256"]]}
            for row in _plain(policies.everyone(tx))
        ]


def show_policy(storage: s.Storage, sha256: str) -> str:
    """A published policy document. ``sha256`` may be shortened. Raises UnknownPolicy."""
    with storage.read() as tx:
        found = policies.documents(tx, sha256)
    if len(found) != 1:
        raise e.UnknownPolicy(sha256=sha256)
    return found[0]


def _plain(rows: Sequence[msgspec.Struct]) -> list[Record]:
    return [msgspec.structs.asdict(row) for row in rows]


def _device(device: devices.Device) -> Record:
    return {**msgspec.structs.asdict(device), "statement": device.seq or None}


def _check_group(tx: s.Tx, name: str) -> groups.Group:
    group = groups.get(tx, name)
    if group is None:
        raise e.UnknownGroup(name=name)
    return group


def actor() -> str:
    """Who runs the command line."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from twinhull_policy.names import Partition, is_name
from twinhull_policy.server import errors as e
from twinhull_policy.server import repository
from twinhull_policy.server import storage as s
from twinhull_policy.server.enrolment import hash_secret
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import server_ca_sha256
from twinhull_policy.server.serve import ADMIN_SECONDS, CHANGED, DONE
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


def new_token(layout: Layout, storage: s.Storage, group: str, hours: int) -> NewToken:
    """Make an enrolment token, good once and for ``hours`` (1 to 720). Raises UnknownGroup, BadSetting."""
    if not 1 <= hours <= MAX_TOKEN_HOURS:
        raise e.BadSetting(option="--hours", value=hours)
    root_sha256 = envelope_hash((layout.metadata / "1.root.json").read_bytes())
    token = EnrolmentToken(secrets.token_bytes(32), root_sha256, server_ca_sha256(layout))
    now = time.time()
    with storage.write() as connection:
        _check_group(connection, group)
        row = insert(s.tokens).values(
            hash=hash_secret(token.secret), group=group, created_at=now, expires_at=now + hours * 3600
        )
        inserted = connection.execute(row).inserted_primary_key
        number = int(inserted[0]) if inserted is not None else 0
        s.record(connection, _actor(), "token new", f"token {number}, group {group}, {hours} h")
        url = s.setting(connection, "url")
    return NewToken(number, format_token(token), url, group, now + hours * 3600)


def revoke_token(storage: s.Storage, number: int) -> None:
    """Withdraw an unused token. Raises UnknownToken."""
    with storage.write() as connection:
        query = update(s.tokens).where(
            s.tokens.c.number == number, s.tokens.c.used_at.is_(None), s.tokens.c.revoked_at.is_(None)
        )
        if connection.execute(query.values(revoked_at=time.time())).rowcount != 1:
            raise e.UnknownToken(number=number)
        s.record(connection, _actor(), "token revoke", f"token {number}")


def list_tokens(storage: s.Storage) -> list[Record]:
    """All tokens, without their hashes."""
    columns = [column for column in s.tokens.c if column.name not in {"hash", "used_key"}]
    with storage.read() as connection:
        return [dict(row) for row in connection.execute(select(*columns)).mappings()]


def add_image(
    layout: Layout, storage: s.Storage, file: Path, name: str, partition: str, group: str
) -> Record:
    """Publish a golden image and assign it to a group's partition.

    Raises BadName, UnknownGroup, FileUnreadable, KeyUnavailable, TargetConflict.
    """
    if not is_name(name):
        raise e.BadName(name=name)
    chosen = Partition(partition)
    with storage.read() as connection:
        _check_group(connection, group)
    with layout.repository_lock():
        target, sha256, length = repository.add_image(layout, file, name)
    with storage.write() as connection:
        known = connection.execute(select(s.images).where(s.images.c.target == target)).first()
        if known is None:
            row: Record = {"target": target, "name": name, "partition": chosen.value}
            row |= {"sha256": sha256, "length": length, "added_at": time.time()}
            connection.execute(insert(s.images).values(row))
            s.record(connection, _actor(), "image add", f"{target} {sha256}")
        elif known.partition != chosen.value:
            raise e.TargetConflict(target=target)
        column = s.groups.c.corporate_target if chosen is Partition.CORPORATE else s.groups.c.personal_target
        assigned = connection.execute(
            update(s.groups)
            .where(s.groups.c.name == group, column.is_distinct_from(target))
            .values({column: target})
        )
        if assigned.rowcount:
            s.record(connection, _actor(), "image assign", f"{target} to group {group}, {chosen.value}")
    return {
        "target": target,
        "sha256": sha256,
        "length": length,
        "partition": chosen.value,
        "group": group,
        "changed": known is None or assigned.rowcount > 0,
    }


def list_images(storage: s.Storage) -> list[Record]:
    """All images."""
    return _all(storage, s.images)


def list_devices(storage: s.Storage) -> list[Record]:
    """All devices, each with the number of its newest statement."""
    newest = (
        select(s.statements.c.device_id, func.max(s.statements.c.seq).label("statement"))
        .group_by(s.statements.c.device_id)
        .subquery()
    )
    query = (
        select(s.devices, newest.c.statement)
        .outerjoin(newest, newest.c.device_id == s.devices.c.device_id)
        .order_by(s.devices.c.enrolled_at)
    )
    with storage.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def show_device(storage: s.Storage, device_id: str) -> Record:
    """One device with its newest report. Raises UnknownDevice."""
    found = [device for device in list_devices(storage) if device["device_id"] == device_id]
    if not found:
        raise e.UnknownDevice(device_id=device_id)
    reports = [report for report in list_reports(storage) if report["device_id"] == device_id]
    return {**found[0], "report": reports[-1] if reports else None}


def revoke_device(storage: s.Storage, device_id: str, *, release: bool = False) -> bool:
    """Shut a device out; with ``release`` also free its tunnel address. Returns whether it changed.

    Raises UnknownDevice.
    """
    table = s.devices
    with storage.write() as connection:
        device = connection.execute(select(table).where(table.c.device_id == device_id)).first()
        if device is None:
            raise e.UnknownDevice(device_id=device_id)
        values: Record = {}
        if device.revoked_at is None:
            values["revoked_at"] = time.time()
        if release and device.address is not None:
            values["address"] = None
        if values:
            connection.execute(update(table).where(table.c.device_id == device_id).values(values))
            s.record(connection, _actor(), "device release" if release else "device revoke", device_id)
    return bool(values)


def wireguard_peers(storage: s.Storage) -> str:
    """``[Peer]`` sections (wg(8), syncconf) of all devices that are not revoked."""
    table = s.devices
    query = select(table).where(table.c.revoked_at.is_(None), table.c.address.is_not(None))
    with storage.read() as connection:
        return "".join(
            f"[Peer]\nPublicKey = {device.wireguard_public_key}\nAllowedIPs = {device.address}\n\n"
            for device in connection.execute(query.order_by(table.c.enrolled_at))
        )


def new_group(storage: s.Storage, name: str) -> None:
    """Make a group with nothing assigned. Raises BadName, GroupExists."""
    if not is_name(name):
        raise e.BadName(name=name)
    try:
        with storage.write() as connection:
            connection.execute(insert(s.groups).values(name=name, created_at=time.time()))
            s.record(connection, _actor(), "group new", name)
    except IntegrityError as error:
        raise e.GroupExists(name=name) from error


def list_groups(storage: s.Storage) -> list[Record]:
    """All groups."""
    return _all(storage, s.groups)


def list_reports(storage: s.Storage) -> list[Record]:
    """All reports kept, oldest first."""
    return _all(storage, s.reports)


def rotate_root(layout: Layout, storage: s.Storage) -> int:
    """Publish the next root. Returns its version. Raises KeyUnavailable."""
    with layout.repository_lock():
        version = repository.rotate_root(layout)
    with storage.write() as connection:
        s.record(connection, _actor(), "root rotate", f"version {version}")
    return version


def publish_policy(
    layout: Layout, storage: s.Storage, document: bytes, envelope: bytes, group: str, base: str | None
) -> Record:
    """Store a signed policy body and assign it to a group.

    Args:
        layout: the server.
        storage: its database.
        document: the canonical policy document.
        envelope: the signed body, whose hash names it.
        group: who gets it.
        base: hash of the body it replaces, empty for none; None to replace whatever is there.

    Raises UnknownGroup, StaleBase.
    """
    sha256 = envelope_hash(envelope)
    with storage.write() as connection:
        _check_group(connection, group)
        current = connection.execute(
            select(s.groups.c.policy_sha256).where(s.groups.c.name == group)
        ).scalar_one_or_none()
        if base is not None and base != (current or ""):
            raise e.StaleBase(current=current or "none", base=base or "none")
        if (
            connection.execute(select(s.policies.c.sha256).where(s.policies.c.sha256 == sha256)).first()
            is None
        ):
            connection.execute(
                insert(s.policies).values(
                    sha256=sha256, document=document.decode(), envelope=envelope, published_at=time.time()
                )
            )
        if current != sha256:
            connection.execute(update(s.groups).where(s.groups.c.name == group).values(policy_sha256=sha256))
            s.record(connection, _actor(), "policy publish", f"{sha256} to group {group}, was {current}")
    return {"sha256": sha256, "group": group, "changed": current != sha256}


def list_policies(storage: s.Storage) -> list[Record]:
    """All published policies, and which groups have them now."""
    table = s.policies
    query = select(table.c.sha256, table.c.published_at).order_by(table.c.published_at)
    with storage.read() as connection:
        groups = connection.execute(select(s.groups.c.name, s.groups.c.policy_sha256)).all()
        return [
            {**row, "groups": [group.name for group in groups if group.policy_sha256 == row["sha256"]]}
            for row in connection.execute(query).mappings()
        ]


def show_policy(storage: s.Storage, sha256: str) -> str:
    """A published policy document. ``sha256`` may be shortened. Raises UnknownPolicy."""
    query = select(s.policies.c.document).where(s.policies.c.sha256.startswith(sha256, autoescape=True))
    with storage.read() as connection:
        found = connection.execute(query).scalars().all()
    if len(found) != 1:
        raise e.UnknownPolicy(sha256=sha256)
    return str(found[0])


def _all(storage: s.Storage, table: Table) -> list[Record]:
    with storage.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def _check_group(connection: Connection, name: str) -> None:
    if connection.execute(select(s.groups.c.name).where(s.groups.c.name == name)).first() is None:
        raise e.UnknownGroup(name=name)


def _actor() -> str:
    """Who runs the command line."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

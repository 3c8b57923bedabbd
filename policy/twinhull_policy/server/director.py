"""The director: what each device is to have, signed, one statement after another.

A statement is made when what the device is to have changed, or when half the life of the last one is over.
"""

from __future__ import annotations

import hashlib
import time

from securesystemslib.signer import Signer
from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import Row

from twinhull_policy.canonical import encode
from twinhull_policy.server import storage as s
from twinhull_policy.trust.documents import ImageReference, Images, Statement
from twinhull_policy.trust.envelope import envelope_hash
from twinhull_policy.trust.statement import sign_statement

STATEMENT_LIFE = 7 * 86400
"""Seconds a statement is good for; renewed at half of it."""


class Director:
    """Holds the director key and keeps every device's newest statement right.

    Attributes:
        tenant: whose devices these are.
    """

    def __init__(self, tenant: str, signer: Signer) -> None:
        self.tenant = tenant
        self._signer = signer

    def update(self, connection: Connection, root_version: int, device_id: str = "") -> list[str]:
        """Sign what is due, for one device or (empty) for all that are not revoked.

        Must run in a writing transaction. Returns the devices that got a new statement.
        """
        query = (
            select(
                s.devices, s.groups.c.policy_sha256, s.groups.c.corporate_target, s.groups.c.personal_target
            )
            .join(s.groups, s.devices.c.group == s.groups.c.name)
            .where(s.devices.c.revoked_at.is_(None))
        )
        if device_id:
            query = query.where(s.devices.c.device_id == device_id)
        references = _references(connection)
        return [
            str(device.device_id)
            for device in connection.execute(query).all()
            if self._update_one(connection, device, references, root_version)
        ]

    def _update_one(
        self,
        connection: Connection,
        device: Row[tuple[object, ...]],
        references: dict[str, ImageReference],
        root_version: int,
    ) -> bool:
        now = int(time.time())
        last = newest(connection, device.device_id)
        images = Images(
            corporate=references.get(device.corporate_target or ""),
            personal=references.get(device.personal_target or ""),
        )
        statement = Statement(
            tenant=self.tenant,
            device_id=device.device_id,
            enrol_epoch=device.enrol_epoch,
            seq=1 if last is None else last.seq + 1,
            issued_at=now,
            expires_at=now + STATEMENT_LIFE,
            prev_hash="" if last is None else last.sha256,
            root_version=root_version,
            policies=[device.policy_sha256] if device.policy_sha256 else [],
            images=images,
            vpn_addresses=[device.address],
        )
        desired = [statement.policies, images, statement.vpn_addresses, statement.commands, root_version]
        desired_sha256 = hashlib.sha256(encode(desired)).hexdigest()
        if (
            last is not None
            and last.desired_sha256 == desired_sha256
            and last.expires_at - now > STATEMENT_LIFE / 2
        ):
            return False
        envelope = sign_statement(statement, [self._signer])
        connection.execute(
            insert(s.statements).values(
                device_id=device.device_id,
                seq=statement.seq,
                sha256=envelope_hash(envelope),
                envelope=envelope,
                desired_sha256=desired_sha256,
                issued_at=statement.issued_at,
                expires_at=statement.expires_at,
            )
        )
        return True


def newest(connection: Connection, device_id: str) -> Row[tuple[object, ...]] | None:
    """A device's newest statement, a row of the statements table."""
    table = s.statements
    query = select(table).where(table.c.device_id == device_id).order_by(table.c.seq.desc()).limit(1)
    return connection.execute(query).first()


def _references(connection: Connection) -> dict[str, ImageReference]:
    return {
        row.target: ImageReference(target=row.target, sha256=row.sha256, length=row.length)
        for row in connection.execute(select(s.images))
    }

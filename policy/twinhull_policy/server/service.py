"""What the serving process can do, apart from HTTP: blocking calls, made in worker threads."""

from __future__ import annotations

import time

from cryptography import x509
from sqlalchemy import bindparam, delete, insert, select, update

from twinhull_policy.server import enrolment, repository
from twinhull_policy.server import storage as s
from twinhull_policy.server.director import Director, newest
from twinhull_policy.server.errors import CertificateNeeded, DeviceRevoked, NotFound
from twinhull_policy.server.hub import Event
from twinhull_policy.server.keys import load_signer
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import DeviceAuthority, server_ca_path


class FleetService:
    """One server's state, opened for serving. Never reads ``offline/`` or ``authority/``.

    Attributes:
        layout: where everything is.
        server_ca: PEM, handed to laptops that pin it.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.storage = s.open_storage(layout.database)
        with self.storage.read() as connection:
            tenant = s.setting(connection, "tenant")
        self._authority = DeviceAuthority(layout)
        self._director = Director(tenant, load_signer(layout.online, "director"))
        self.server_ca = server_ca_path(layout).read_text()

    def enrol(self, untrusted_request: enrolment.EnrolRequest) -> enrolment.EnrolAnswer:
        """See :func:`twinhull_policy.server.enrolment.enrol`."""
        roots = repository.root_chain(self.layout)
        return enrolment.enrol(self.storage, self._authority, self._director, roots, untrusted_request)

    def renew(self, device_id: str, untrusted_request: enrolment.RenewRequest) -> enrolment.RenewAnswer:
        """See :func:`twinhull_policy.server.enrolment.renew`."""
        return enrolment.renew(self.storage, self._authority, device_id, untrusted_request)

    def device_of(self, certificate: x509.Certificate) -> str:
        """Whose certificate it is. Raises CertificateNeeded for an unknown one, DeviceRevoked."""
        query = (
            select(s.devices.c.device_id, s.devices.c.revoked_at)
            .join(s.certificates, s.certificates.c.device_id == s.devices.c.device_id)
            .where(s.certificates.c.fingerprint == enrolment.fingerprint(certificate))
        )
        with self.storage.read() as connection:
            device = connection.execute(query).first()
        if device is None:
            raise CertificateNeeded
        if device.revoked_at is not None:
            raise DeviceRevoked
        return str(device.device_id)

    def statement(self, device_id: str) -> Event:
        """A device's newest statement. Raises DeviceRevoked."""
        with self.storage.read() as connection:
            table = s.devices
            query = select(table.c.revoked_at).where(table.c.device_id == device_id)
            if connection.execute(query).scalar_one() is not None:
                raise DeviceRevoked
            row = newest(connection, device_id)
        if row is None:
            raise NotFound
        return Event(row.seq, row.envelope)

    def body(self, sha256: str) -> bytes:
        """A policy body by its hash. Raises NotFound."""
        query = select(s.policies.c.envelope).where(s.policies.c.sha256 == sha256)
        with self.storage.read() as connection:
            envelope = connection.execute(query).scalar()
        if envelope is None:
            raise NotFound
        return bytes(envelope)

    def keep_report(self, device_id: str, body: str) -> None:
        """Keep a report, and of each device the newest few."""
        table = s.reports
        with self.storage.write() as connection:
            connection.execute(insert(table).values(device_id=device_id, at=time.time(), body=body))
            kept = (
                select(table.c.number)
                .where(table.c.device_id == device_id)
                .order_by(table.c.number.desc())
                .limit(LIMITS.reports_kept)
            )
            connection.execute(
                delete(table).where(table.c.device_id == device_id, table.c.number.not_in(kept))
            )

    def saw(self, devices: dict[str, float]) -> None:
        """Note when devices were last seen, all in one transaction."""
        query = (
            update(s.devices)
            .where(s.devices.c.device_id == bindparam("which"))
            .values(last_seen=bindparam("seen"))
        )
        with self.storage.write() as connection:
            connection.execute(query, [{"which": which, "seen": seen} for which, seen in devices.items()])

    def resign(self) -> list[str]:
        """Sign whatever is due or has changed; returns the devices that got a new statement."""
        with self.layout.repository_lock():
            repository.sign_online(self.layout)
        root_version = len(repository.root_chain(self.layout))
        with self.storage.write() as connection:
            return self._director.update(connection, root_version)

    def news(self, listening: list[str]) -> tuple[dict[str, Event], list[str]]:
        """Of the devices that listen: their newest statements, and which of them are revoked."""
        statements: dict[str, Event] = {}
        revoked = []
        for device_id in listening:
            try:
                statements[device_id] = self.statement(device_id)
            except DeviceRevoked:
                revoked.append(device_id)
        return statements, revoked

"""What the serving process can do, apart from HTTP: blocking calls, made in worker threads."""

from __future__ import annotations

import time

from twinhull_policy.server import commanding, enrolment, repository
from twinhull_policy.server import storage as s
from twinhull_policy.server.director import Director
from twinhull_policy.server.errors import CertificateNeeded, DeviceRevoked, NotFound
from twinhull_policy.server.hub import Event
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import DeviceAuthority, server_ca_path
from twinhull_policy.server.store import devices, policies, reports, settings, statements


class FleetService:
    """One server's state, opened for serving. Never reads ``offline/`` or ``authority/``.

    Attributes:
        layout: where everything is.
        storage: its database.
        server_ca: PEM, handed to laptops that pin it.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.storage = s.open_storage(layout.database)
        with self.storage.read() as tx:
            self._tenant = settings.get(tx, "tenant")
        self._authority = DeviceAuthority(layout)
        self.server_ca = server_ca_path(layout).read_text()

    def enrol(self, untrusted_request: enrolment.EnrolRequest) -> enrolment.EnrolAnswer:
        """See :func:`twinhull_policy.server.enrolment.enrol`."""
        roots = repository.root_chain(self.layout)
        return enrolment.enrol(self.storage, self._authority, self._director_now(), roots, untrusted_request)

    def renew(self, device_id: str, untrusted_request: enrolment.RenewRequest) -> enrolment.RenewAnswer:
        """See :func:`twinhull_policy.server.enrolment.renew`."""
        return enrolment.renew(self.storage, self._authority, device_id, untrusted_request)

    def device_of(self, certificate_der: bytes) -> str:
        """Whose certificate it is. Raises CertificateNeeded for an unknown one, DeviceRevoked."""
        with self.storage.read() as tx:
            found = devices.by_certificate(tx, enrolment.fingerprint(certificate_der))
        if found is None:
            raise CertificateNeeded
        device_id, revoked = found
        if revoked:
            raise DeviceRevoked
        return device_id

    def statement(self, device_id: str) -> Event:
        """A device's newest statement. Raises DeviceRevoked, NotFound."""
        with self.storage.read() as tx:
            device = devices.get(tx, device_id)
            if device is None or device.revoked_at is not None:
                raise DeviceRevoked
            newest = statements.newest(tx, device_id)
        if newest is None:
            raise NotFound
        return Event(newest.seq, newest.envelope)

    def body(self, sha256: str) -> bytes:
        """A policy body by its hash. Raises NotFound."""
        with self.storage.read() as tx:
            envelope = policies.envelope(tx, sha256)
        if envelope is None:
            raise NotFound
        return envelope

    def keep_report(self, device_id: str, body: str) -> None:
        """Keep a report, and of each device the newest few."""
        with self.storage.write() as tx:
            reports.add(tx, device_id, time.time(), body, LIMITS.reports_kept)

    def keep_receipt(self, certificate_der: bytes, untrusted_receipt: bytes) -> None:
        """See :func:`twinhull_policy.server.commanding.keep_receipt`."""
        commanding.keep_receipt(self.storage, certificate_der, untrusted_receipt)

    def saw(self, seen: dict[str, float]) -> None:
        """Note when devices were last seen, all in one transaction."""
        with self.storage.write() as tx:
            devices.saw(tx, seen)

    def resign(self) -> dict[str, Event]:
        """Sign whatever is due or has changed; returns the new statements by device."""
        with self.layout.repository_lock():
            repository.sign_online(self.layout)
        root_version = len(repository.root_chain(self.layout))
        with self.storage.write() as tx:
            return self._director_now().update(tx, root_version)

    def _director_now(self) -> Director:
        """The director with the key that the root in force names."""
        return Director(self._tenant, repository.signer_for(self.layout, "director"))

    def revoked_since(self, moment: float) -> list[str]:
        """The devices revoked at ``moment`` (seconds since the epoch) or later."""
        with self.storage.read() as tx:
            return devices.revoked_since(tx, moment)

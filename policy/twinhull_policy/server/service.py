"""What the serving process can do, apart from HTTP: blocking calls, made in worker threads."""

from __future__ import annotations

import time
from dataclasses import dataclass

from twinhull_policy.report import Report
from twinhull_policy.server import commanding, enrolment, repository, rollout, shares
from twinhull_policy.server import storage as s
from twinhull_policy.server.director import Director
from twinhull_policy.server.errors import CertificateNeeded, DeviceRevoked, NotFound
from twinhull_policy.server.hub import Event
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.pki import DeviceAuthority, server_ca_path
from twinhull_policy.server.store import devices, policies, reports, rollouts, settings, statements


@dataclass(frozen=True)
class ReportIn:
    """A report that was read, with the exact bytes it came in."""

    device_id: str
    report: Report
    body: str

    def problem(self) -> str:
        """Code and words of the first item that failed, empty for none."""
        failed = [item for item in self.report.items if item.state == "failed"]
        return f"{failed[0].code}: {failed[0].name}" if failed else ""


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

    def share(self, device_id: str, generation: str) -> shares.ShareAnswer:
        """See :func:`twinhull_policy.server.shares.share`."""
        return shares.share(self.storage, self._tenant, device_id, generation)

    def body(self, sha256: str) -> bytes:
        """A policy body by its hash. Raises NotFound."""
        with self.storage.read() as tx:
            envelope = policies.envelope(tx, sha256)
        if envelope is None:
            raise NotFound
        return envelope

    def keep_reports(self, batch: list[ReportIn]) -> list[rollouts.Rollout]:
        """Keep reports in one transaction, and see what they mean for rollouts; those that changed."""
        now = time.time()
        with self.storage.write() as tx:
            reports.add(tx, [(one.device_id, now, one.body) for one in batch], LIMITS.reports_kept)
            said = [
                devices.Said(
                    device_id=one.device_id,
                    at=now,
                    seq=one.report.seq,
                    policy=one.report.policy,
                    problem=one.problem(),
                )
                for one in batch
            ]
            devices.reported(tx, said)
            return rollout.tick(tx, now)

    def tick(self) -> list[rollouts.Rollout]:
        """Judge the running rollouts; those that changed."""
        with self.storage.read() as tx:
            if not rollouts.open_ones(tx):
                return []
        with self.storage.write() as tx:
            return rollout.tick(tx, time.time())

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

"""The laptop's certificate is renewed at half its life, over mutual TLS, and nothing else passes for one."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from twinhull_hypervisor.fetch.identity import IdentityStore, check_certificate
from twinhull_policy.errors import TwinhullError
from twinhull_policy.server.enrolment import fingerprint
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import DeviceAuthority
from twinhull_policy.server.storage import open_storage
from twinhull_policy.server.store import devices

from tests.support.fleet_processes import FetchService, FleetServer
from tests.support.fleet_wait import until

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def give_certificate(server: FleetServer, store: IdentityStore, life: datetime.timedelta) -> bytes:
    """The laptop has a certificate that began an hour ago and ends after ``life``; its DER."""
    layout = Layout(server.directory)
    identity = store.load()
    assert identity is not None
    made = DeviceAuthority(layout, life).issue(identity.device_id, store.key().public_key())
    storage = open_storage(layout.database)
    with storage.write() as tx:
        row = devices.Certificate(
            fingerprint=fingerprint(made.public_bytes(DER)),
            device_id=identity.device_id,
            pem=made.public_bytes(PEM).decode(),
            issued_at=0.0,
            not_after=made.not_valid_after_utc.timestamp(),
        )
        devices.add_certificate(tx, row)
    storage.close()
    store.save(msgspec.structs.replace(identity, certificate=made.public_bytes(PEM).decode()))
    return made.public_bytes(DER)


def certificate(store: IdentityStore) -> x509.Certificate:
    identity = store.load()
    assert identity is not None
    return x509.load_pem_x509_certificate(identity.certificate.encode())


async def test_it_is_renewed_past_half_its_life(server: FleetServer, fetch: FetchService) -> None:
    store = IdentityStore(fetch.directory / "identity")
    device_id = fetch.enrol(server).device_id
    fetch.stop()
    key = store.key_path.read_bytes()
    short = give_certificate(server, store, datetime.timedelta(minutes=20))
    fetch.start()
    await until(fetch, lambda: certificate(store).public_bytes(DER) != short)
    renewed = certificate(store)
    life = renewed.not_valid_after_utc - renewed.not_valid_before_utc
    assert life == datetime.timedelta(days=7, hours=1)
    assert store.key_path.read_bytes() == key
    await until(fetch, lambda: fetch.client.state().connected)
    assert fetch.client.state().device_id == device_id


async def test_it_is_left_alone_before(server: FleetServer, fetch: FetchService) -> None:
    store = IdentityStore(fetch.directory / "identity")
    fetch.enrol(server)
    fetch.stop()
    young = give_certificate(server, store, datetime.timedelta(minutes=70))
    fetch.start()
    await until(fetch, lambda: fetch.client.state().connected)
    assert certificate(store).public_bytes(DER) == young


def test_what_passes_for_a_device_certificate(server: FleetServer, tmp_path: Path) -> None:
    """Ours, for our key and name, of the CA beside it, and not expired; everything else is refused."""
    layout = Layout(server.directory)
    authority = DeviceAuthority(layout)
    store, other = IdentityStore(tmp_path / "a"), IdentityStore(tmp_path / "b")
    key = store.key().public_key()

    def pem(made: x509.Certificate) -> str:
        return made.public_bytes(PEM).decode()

    good = pem(authority.issue("d-1", key))
    check_certificate(good, authority.pem(), key, "d-1")
    foreign = FleetServer(tmp_path / "foreign")
    strangers = DeviceAuthority(Layout(foreign.directory))
    expired = DeviceAuthority(layout, -datetime.timedelta(minutes=1))
    for bad, ca in (
        (pem(authority.issue("d-2", key)), authority.pem()),
        (pem(authority.issue("d-1", other.key().public_key())), authority.pem()),
        (pem(strangers.issue("d-1", key)), authority.pem()),
        (pem(expired.issue("d-1", key)), authority.pem()),
        (good, strangers.pem()),
        (os.urandom(100).hex(), authority.pem()),
    ):
        with pytest.raises(TwinhullError) as caught:
            check_certificate(bad, ca, key, "d-1")
        assert caught.value.code == "TH-ENR-004"

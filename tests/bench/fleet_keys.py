"""A server's directory with thousands of enrolled laptops, made without asking the server: for benches."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twinhull_policy.server import setup
from twinhull_policy.server import storage as s
from twinhull_policy.server.enrolment import fingerprint
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import DeviceAuthority, key_sha256, server_ca_path
from twinhull_policy.server.store import devices


class BenchFleet:
    """An initialised server whose laptops all hold one key, each with a certificate of its own.

    One key, because making ten thousand says nothing about the server; the handshakes are as many and as
    real.

    Attributes:
        layout: the server's directory.
        ids: of the laptops.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self.layout = Layout(directory / "server")
        setup.initialise(self.layout, setup.Settings("bench", "localhost", 8443, "10.0.0.0/8"))
        self.ids = [f"d-{n:08x}" for n in range(number)]
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._directory = directory
        authority = DeviceAuthority(self.layout)
        name = key_sha256(self._key.public_key())
        self.certificates: list[bytes] = []
        storage = s.open_storage(self.layout.database)
        now = time.time()
        with storage.write() as tx:
            for n, device_id in enumerate(self.ids):
                made = authority.issue(device_id, self._key.public_key())
                pem = made.public_bytes(serialization.Encoding.PEM)
                self.certificates.append(pem)
                devices.add(
                    tx,
                    device_id=device_id,
                    group="default",
                    key_sha256=name,
                    wireguard_public_key="w",
                    address=f"10.{n // 65536}.{n // 256 % 256}.{n % 256}/32",
                    label="",
                    ring=n,
                    now=now,
                )
                devices.add_certificate(
                    tx,
                    devices.Certificate(
                        fingerprint=fingerprint(made.public_bytes(serialization.Encoding.DER)),
                        device_id=device_id,
                        pem=pem.decode(),
                        issued_at=now,
                        not_after=made.not_valid_after_utc.timestamp(),
                    ),
                )
        storage.close()

    def pem_files(self) -> list[Path]:
        """Certificate and key of each laptop in one file, as clients load them."""
        into = self._directory / "laptops"
        into.mkdir(exist_ok=True)
        paths = []
        for device_id, certificate in zip(self.ids, self.certificates, strict=True):
            path = into / f"{device_id}.pem"
            path.write_bytes(certificate + self._pem)
            paths.append(path)
        return paths

    def context(self, pem: Path) -> ssl.SSLContext:
        """TLS of one laptop."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(server_ca_path(self.layout))
        context.load_cert_chain(pem)
        return context

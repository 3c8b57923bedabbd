"""Certificates: the server's own, and the short-lived ones of devices.

P-256 throughout, because TPMs and every TLS stack have it. Device certificates say nothing but the device
id; whether one may still be used is asked of the database at each request, not of the certificate.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twinhull_policy.server.errors import BadRequest
from twinhull_policy.server.layout import Layout, write_file

CA_LIFE = datetime.timedelta(days=3650)
SERVER_LIFE = datetime.timedelta(days=825)
DEVICE_LIFE = datetime.timedelta(days=7)
BACKDATE = datetime.timedelta(hours=1)
"""Certificates start this long ago: laptops' clocks run slow."""
CSR_LIMIT = 4096
"""Longest certificate request, bytes of PEM; a P-256 one has about 450."""


def server_ca_path(layout: Layout) -> Path:
    """The CA that laptops pin through their token."""
    return layout.online / "server-ca.pem"


def server_certificate_path(layout: Layout) -> Path:
    """The TLS certificate."""
    return layout.online / "server.pem"


def server_key_path(layout: Layout) -> Path:
    """The TLS key."""
    return layout.online / "server.key"


def device_ca_path(layout: Layout) -> Path:
    """The CA that signs device certificates."""
    return layout.online / "device-ca.pem"


def make_authorities(layout: Layout, host: str, tenant: str) -> None:
    """Make the server CA, the server's certificate for ``host`` and the loopback, and the device CA.

    The server CA's private key is kept offline: only a new server certificate needs it.
    """
    server_ca_key, server_ca = _make_ca(f"Twinhull server CA ({tenant})")
    device_ca_key, device_ca = _make_ca(f"Twinhull device CA ({tenant})")
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    try:
        names.insert(0, x509.IPAddress(ipaddress.ip_address(host)))
    except ValueError:
        names.insert(0, x509.DNSName(host))
    certificate = (
        _builder(host[:64], server_ca.subject, SERVER_LIFE)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(list(dict.fromkeys(names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_authority_of(server_ca), critical=False)
        .sign(server_ca_key, hashes.SHA256())
    )
    write_file(layout.offline / "server-ca.key", _private_pem(server_ca_key), 0o600)
    write_file(server_ca_path(layout), _pem(server_ca))
    write_file(server_key_path(layout), _private_pem(key), 0o600)
    write_file(server_certificate_path(layout), _pem(certificate))
    write_file(layout.online / "device-ca.key", _private_pem(device_ca_key), 0o600)
    write_file(device_ca_path(layout), _pem(device_ca))


def server_ca_sha256(layout: Layout) -> str:
    """SHA-256 of the server CA certificate's DER, as enrolment tokens carry it."""
    certificate = x509.load_pem_x509_certificate(server_ca_path(layout).read_bytes())
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def key_sha256(key: ec.EllipticCurvePublicKey) -> str:
    """The name of a device key: SHA-256 of its SubjectPublicKeyInfo."""
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def check_csr(untrusted_csr: str) -> ec.EllipticCurvePublicKey:
    """The key a certificate request proves possession of; its names are ignored.

    Raises:
        BadRequest: too long, not a request, not P-256, or its own signature does not verify.
    """
    if len(untrusted_csr) > CSR_LIMIT:
        raise BadRequest(detail="the certificate request is too long")
    try:
        request = x509.load_pem_x509_csr(untrusted_csr.encode())
        key = request.public_key()
        proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise BadRequest(detail="not a certificate request") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRequest(detail="the device key must be P-256")
    if not proven:
        raise BadRequest(detail="the certificate request does not prove its key")
    return key


class DeviceAuthority:
    """Signs device certificates.

    Args:
        layout: the server.
        life: of each certificate, from now on.
    """

    def __init__(self, layout: Layout, life: datetime.timedelta = DEVICE_LIFE) -> None:
        self._life = life
        self.certificate = x509.load_pem_x509_certificate(device_ca_path(layout).read_bytes())
        key = serialization.load_pem_private_key((layout.online / "device-ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the device CA key is not an EC key")
        self._key = key

    def pem(self) -> str:
        """The CA certificate."""
        return _pem(self.certificate).decode()

    def issue(self, device_id: str, key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        """A client certificate for a device."""
        return (
            _builder(device_id, self.certificate.subject, self._life)
            .public_key(key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(_authority_of(self.certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _make_ca(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name[:64], subject, CA_LIFE)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _builder(name: str, issuer: x509.Name, life: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
    )


def _authority_of(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

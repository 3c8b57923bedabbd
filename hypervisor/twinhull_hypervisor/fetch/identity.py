"""Who this laptop is to the fleet server: the device key, made here, and one file with all the rest."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .durable import remove_tree, write_durably
from .errors import BadServerAnswer, StateDamaged


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything enrolment brought. It is written in one piece, last: a laptop is enrolled or it is not.

    ``certificate``, ``device_ca`` and ``server_ca`` are PEM; ``enrolled_at`` is in seconds.
    """

    server: str
    tenant: str
    device_id: str
    enrol_epoch: int
    enrolled_at: float
    certificate: str
    device_ca: str
    server_ca: str

    def renewal_at(self) -> float:
        """When half the certificate's life is over, seconds since the epoch."""
        certificate = x509.load_pem_x509_certificate(self.certificate.encode())
        begin = certificate.not_valid_before_utc.timestamp()
        return begin + (certificate.not_valid_after_utc.timestamp() - begin) / 2


class IdentityStore:
    """The ``identity/`` directory, mode 0700."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def key_path(self) -> Path:
        """The device key, PEM, mode 0600."""
        return self._directory / "device.key"

    @property
    def certificate_path(self) -> Path:
        """A copy of the client certificate, for the TLS library, which reads files only."""
        return self._directory / "certificate.pem"

    def load(self) -> Identity | None:
        """The identity, or None before enrolment. Raises StateDamaged."""
        path = self._directory / "identity.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Identity)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StateDamaged(path=path, detail=str(error)) from error

    def save(self, identity: Identity) -> None:
        """Write the identity durably."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._directory / "identity.json", msgspec.json.encode(identity), 0o600)

    def forget(self) -> None:
        """Remove identity and key."""
        remove_tree(self._directory)

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The device key; made, and safely on disk, before it is first used.

        It outlives a failed enrolment on purpose: asking again with the same key is what lets the server
        give the same answer again when the first one was lost.
        """
        try:
            content = self.key_path.read_bytes()
        except FileNotFoundError:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = ec.generate_private_key(ec.SECP256R1())
            content = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_durably(self.key_path, content, 0o600)
        try:
            loaded = serialization.load_pem_private_key(content, None)
        except ValueError as error:
            raise StateDamaged(path=self.key_path, detail=str(error)) from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise StateDamaged(path=self.key_path, detail="not a P-256 key")
        return loaded

    def request(self) -> str:
        """A certificate request that proves the device key, PEM. It names nobody: the server does that."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return builder.sign(self.key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def tls_context(self, identity: Identity) -> ssl.SSLContext:
        """TLS 1.3 to this server only, with the device's certificate."""
        write_durably(self.certificate_path, identity.certificate.encode(), 0o600)
        context = pinned_context(identity.server_ca)
        context.load_cert_chain(self.certificate_path, self.key_path)
        return context


def pinned_context(ca_pem: str) -> ssl.SSLContext:
    """TLS 1.3 that trusts one CA and nothing the system trusts; host names are checked."""
    context = ssl.create_default_context(cadata=ca_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def check_certificate(
    untrusted_certificate: str, untrusted_ca: str, key: ec.EllipticCurvePublicKey, device_id: str
) -> None:
    """Check that a device certificate is for our key and name, signed by the CA beside it, and not expired.

    Raises BadServerAnswer.
    """
    try:
        certificate = x509.load_pem_x509_certificate(untrusted_certificate.encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(untrusted_ca.encode()))
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        right = certificate.public_key() == key and [name.value for name in names] == [device_id]
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadServerAnswer(detail="the device certificate is not valid") from error
    if not right:
        raise BadServerAnswer(detail="the device certificate is for another device")
    if certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise BadServerAnswer(detail="the device certificate has expired; check this laptop's clock")

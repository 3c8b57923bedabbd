"""The server's Ed25519 signing keys: one PEM file each, below the directory of who may use it."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from twinhull_policy.server.errors import KeyUnavailable
from twinhull_policy.server.layout import write_file


def make_key(directory: Path, role: str) -> CryptoSigner:
    """Make a key and keep its private half in ``directory``, mode 0600."""
    signer = CryptoSigner.generate_ed25519()
    write_file(directory / f"{role}.key", signer.private_bytes, 0o600)
    return signer


def load_private(directory: Path, role: str) -> Ed25519PrivateKey:
    """Read a private key.

    Raises:
        KeyUnavailable: it is not there, not readable, or not an Ed25519 key.
    """
    path = directory / f"{role}.key"
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise KeyUnavailable(role=role, path=path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnavailable(role=role, path=path)
    return key


def load_signer(directory: Path, role: str) -> CryptoSigner:
    """Read a private key as a TUF signer. Raises KeyUnavailable."""
    return CryptoSigner(load_private(directory, role))

"""The server's Ed25519 signing keys: one PEM file each, below the directory of who may use it.

A key that a coming root is to name lies beside the one it replaces, as ``ROLE.next.key``. Which of the two
signs is decided by the root in force each time, so no moment of a rotation leaves a role without its key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from twinhull_policy.server.errors import KeyUnavailable
from twinhull_policy.server.layout import sync_directory, write_file


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
    return _read(directory / f"{role}.key", role)


def load_signer(directory: Path, role: str) -> CryptoSigner:
    """Read a private key as a TUF signer. Raises KeyUnavailable."""
    return CryptoSigner(load_private(directory, role))


def read_signer(path: Path, role: str) -> CryptoSigner:
    """Read a private key wherever it is; ``role`` is for the message. Raises KeyUnavailable."""
    return CryptoSigner(_read(path, role))


def load_named(directory: Path, role: str, keyids: Collection[str]) -> CryptoSigner:
    """The signer of a role that is one of ``keyids``: the key itself, or the one that is to replace it.

    Raises KeyUnavailable when neither is.
    """
    for name in (role, f"{role}.next"):
        with contextlib.suppress(KeyUnavailable):
            signer = load_signer(directory, name)
            if signer.public_key.keyid in keyids:
                return signer
    raise KeyUnavailable(role=role, path=directory / f"{role}.key")


def settle(directory: Path, role: str, keyids: Collection[str]) -> None:
    """After a rotation: the new key takes the old one's name, which destroys the old one."""
    following = directory / f"{role}.next.key"
    with contextlib.suppress(KeyUnavailable):
        if load_signer(directory, f"{role}.next").public_key.keyid in keyids:
            following.replace(directory / f"{role}.key")
            sync_directory(directory)


def _read(path: Path, role: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnavailable(role=role, path=path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnavailable(role=role, path=path)
    return key

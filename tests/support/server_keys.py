"""The demonstration server's own signing keys, for tests that forge what only the server could sign."""

from __future__ import annotations

from pathlib import Path

from securesystemslib.signer import CryptoSigner
from twinhull_policy.server.keys import load_signer
from twinhull_policy.server.layout import Layout

LAYOUT = Layout(Path("/var/lib/twinhull-server"))


def director_signer() -> CryptoSigner:
    """The key that signs statements."""
    return load_signer(LAYOUT.online, "director")


def policy_signer() -> CryptoSigner:
    """The key that signs policy bodies."""
    return load_signer(LAYOUT.authority, "policy")


def fresh_signer() -> CryptoSigner:
    """A key nobody knows."""
    return CryptoSigner.generate_ed25519()

"""The enrolment token: a secret, and the hashes of everything the laptop may trust at first."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from .errors import TokenMalformed

_TOKEN = re.compile(r"th1\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})\.([0-9a-f]{64})")


@dataclass(frozen=True)
class EnrolmentToken:
    """What a token holds. ``secret`` (32 bytes) is good for one enrolment and is kept out of ``repr``."""

    secret: bytes = field(repr=False)
    root_sha256: str
    ca_sha256: str


def parse_token(untrusted_token: str) -> EnrolmentToken:
    """Read a token as a person pasted it; white space around it is dropped. Raises TokenMalformed."""
    matched = _TOKEN.fullmatch(untrusted_token.strip()) if len(untrusted_token) <= 1024 else None
    if matched is None:
        raise TokenMalformed
    secret_text, root_sha256, ca_sha256 = matched.groups()
    token = EnrolmentToken(base64.urlsafe_b64decode(secret_text + "="), root_sha256, ca_sha256)
    if format_token(token).split(".")[1] != secret_text:
        # 43 characters hold 258 bits; the two spare ones must be zero, or one secret has four spellings.
        raise TokenMalformed
    return token


def format_token(token: EnrolmentToken) -> str:
    """The token as text."""
    secret_text = base64.urlsafe_b64encode(token.secret).decode().rstrip("=")
    return f"th1.{secret_text}.{token.root_sha256}.{token.ca_sha256}"

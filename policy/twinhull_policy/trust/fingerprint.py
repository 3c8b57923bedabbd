"""The fleet server's fingerprint: what a person compares where no token names what to trust.

One value for both things that enrolment pins, so that neither can be another while it is the same. 128 bits
of SHA-256 are enough: whoever stands between needs a CA and a root that give a fingerprint which is fixed
already.
"""

from __future__ import annotations

import hashlib
import re

GROUPS = 8
"""Of four hexadecimal digits each."""
_SEPARATORS = re.compile(r"[\s:-]+")
_DIGITS = re.compile(rf"[0-9a-f]{{{GROUPS * 4}}}")


def server_fingerprint(root_sha256: str, ca_sha256: str) -> str:
    """The fingerprint in its one form, ``0123 4567 …``.

    Args:
        root_sha256: of version 1 of root.json's bytes, hexadecimal.
        ca_sha256: of the server CA certificate's DER, hexadecimal.
    """
    digest = hashlib.sha256(f"twinhull server\n{root_sha256}\n{ca_sha256}\n".encode()).hexdigest()
    return _grouped(digest[: GROUPS * 4])


def normal_fingerprint(untrusted_text: str) -> str:
    """A fingerprint as a person typed or pasted it, in its one form; empty for what cannot be one."""
    digits = _SEPARATORS.sub("", untrusted_text[:200]).lower()
    return _grouped(digits) if _DIGITS.fullmatch(digits) else ""


def _grouped(digits: str) -> str:
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))

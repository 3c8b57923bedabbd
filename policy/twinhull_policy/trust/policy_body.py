"""Policy bodies: named by hash in a statement, signed by the policy role."""

from __future__ import annotations

from collections.abc import Sequence

from securesystemslib.signer import Signer

from ..model import Policy
from ..parse import canonical, parse_canonical_policy
from . import envelope
from .documents import POLICY_TYPE
from .errors import BodyHashWrong, DocumentTooLarge
from .limits import LIMITS
from .root import TrustedRoot


def verify_policy_body(untrusted: bytes, *, expected_sha256: str, root: TrustedRoot) -> Policy:
    """Accept a policy body only if all of this holds, checked in this order:

    1. It has at most 2 MiB (DocumentTooLarge).
    2. Its bytes have the SHA-256 (hex) that the verified statement names (BodyHashWrong).
    3. As many distinct keys of the role ``policy`` as the root demands signed it (SignatureInvalid), as a
       policy and nothing else (WrongPayloadType). A director's signature counts for nothing here.
    4. The payload is a canonical policy document (a subclass of PolicyError).
    """
    if len(untrusted) > LIMITS.envelope_bytes:
        raise DocumentTooLarge(what="policy body", limit=LIMITS.envelope_bytes)
    if envelope.envelope_hash(untrusted) != expected_sha256:
        raise BodyHashWrong
    keys, threshold = root.delegated_keys("policy")
    payload = envelope.verify(
        untrusted, payload_type=POLICY_TYPE, keys=keys, threshold=threshold, role="policy", what="policy body"
    )
    return parse_canonical_policy(payload)


def sign_policy(policy: Policy, signers: Sequence[Signer]) -> bytes:
    """The policy's body: an envelope around its canonical form, signed with policy keys."""
    return envelope.sign(POLICY_TYPE, canonical(policy), signers)

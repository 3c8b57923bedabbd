"""After a role got another key: what the old one signed is signed again, so that laptops accept it."""

from __future__ import annotations

import time

from twinhull_policy.parse import parse_canonical_policy
from twinhull_policy.server import repository
from twinhull_policy.server import storage as s
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.store import audit, policies, signing
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.envelope import envelope_hash
from twinhull_policy.trust.errors import SignatureInvalid
from twinhull_policy.trust.policy_body import sign_policy, verify_policy_body


def resign_policies(layout: Layout, storage: s.Storage, actor: str) -> int:
    """Sign policies again that laptops are to have and the root in force does not vouch for; how many.

    Raises KeyUnavailable. Groups move to the new bodies in one transaction.
    """
    root = trust_root.load_stored(repository.root_chain(layout)[-1])
    with storage.write() as tx:
        stale = [body for body in signing.assigned(tx) if not _vouched_for(root, body)]
        for body in stale:
            policy = parse_canonical_policy(body.document.encode())
            envelope = sign_policy(policy, [repository.signer_for(layout, "policy")])
            sha256 = envelope_hash(envelope)
            policies.add(tx, sha256, body.document, envelope, body.published_by, time.time())
            signing.replace(tx, body.sha256, sha256)
            audit.append(tx, actor, "policy resign", f"{body.sha256} is now {sha256}")
    return len(stale)


def _vouched_for(root: trust_root.TrustedRoot, body: signing.Body) -> bool:
    try:
        verify_policy_body(body.envelope, expected_sha256=body.sha256, root=root)
    except SignatureInvalid:
        return False
    return True

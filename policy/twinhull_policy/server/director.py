"""The director: what each device is to have, signed, one statement after another.

A statement is made when what the device is to have changed, when half the life of the last one is over, or
when the lease of the policy wants it (``renew_after``): a laptop's lease counts from its newest statement.
"""

from __future__ import annotations

import hashlib
import time

from securesystemslib.signer import Signer

from twinhull_policy.canonical import encode
from twinhull_policy.lease import renew_after
from twinhull_policy.parse import parse_policy
from twinhull_policy.server.hub import Event
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.storage import Tx
from twinhull_policy.server.store import commands, groups, policies, rollouts, statements
from twinhull_policy.trust.documents import ImageReference, Images, Statement
from twinhull_policy.trust.envelope import envelope_hash
from twinhull_policy.trust.statement import sign_statement

STATEMENT_LIFE = 7 * 86400
"""Seconds a statement is good for; renewed at half of it."""
COMMANDS = 8
"""Commands in one statement; later ones come when these have ended."""


class Director:
    """Holds the director key and keeps every device's newest statement right.

    Attributes:
        tenant: whose devices these are.
    """

    def __init__(self, tenant: str, signer: Signer) -> None:
        self.tenant = tenant
        self._signer = signer

    def update(self, tx: Tx, root_version: int, device_id: str = "") -> dict[str, Event]:
        """Sign what is due, for one device or (empty) for all that are not revoked.

        Must run in a writing transaction. Returns the new statements by device.
        """
        wanted = _Wanted(tx)
        signed = [
            new
            for standing in statements.standings(tx, device_id)
            if (new := self._next(wanted, standing, root_version)) is not None
        ]
        statements.add(tx, signed, LIMITS.statements_kept)
        return {one.device_id: Event(one.seq, one.envelope) for one in signed}

    def _next(
        self, wanted: _Wanted, device: statements.Standing, root_version: int
    ) -> statements.Signed | None:
        now = int(time.time())
        policy = wanted.policy(device.group, device.ring)
        statement = Statement(
            tenant=self.tenant,
            device_id=device.device_id,
            enrol_epoch=device.enrol_epoch,
            seq=device.seq + 1,
            issued_at=now,
            expires_at=now + STATEMENT_LIFE,
            prev_hash=device.sha256 or "",
            root_version=root_version,
            policies=[policy] if policy else [],
            images=wanted.images[device.group],
            vpn_addresses=[device.address] if device.address else [],
            commands=wanted.commands(device.device_id),
        )
        desired = [
            statement.policies,
            statement.images,
            statement.vpn_addresses,
            statement.commands,
            root_version,
            self._signer.public_key.keyid,
        ]
        desired_sha256 = hashlib.sha256(encode(desired)).hexdigest()
        left = STATEMENT_LIFE - min(STATEMENT_LIFE / 2, wanted.renew_seconds(policy))
        fresh = device.expires_at is not None and device.expires_at - now > left
        if fresh and device.desired_sha256 == desired_sha256:
            return None
        envelope = sign_statement(statement, [self._signer])
        return statements.Signed(
            device_id=device.device_id,
            seq=statement.seq,
            sha256=envelope_hash(envelope),
            envelope=envelope,
            desired_sha256=desired_sha256,
            issued_at=statement.issued_at,
            expires_at=statement.expires_at,
        )


class _Wanted:
    """What the groups are assigned, read once for however many devices.

    Attributes:
        images: by group.
    """

    def __init__(self, tx: Tx) -> None:
        references = {
            image.target: ImageReference(target=image.target, sha256=image.sha256, length=image.length)
            for image in groups.images(tx)
        }
        everyone = groups.everyone(tx)
        self.images = {
            group.name: Images(
                corporate=references.get(group.corporate_target or ""),
                personal=references.get(group.personal_target or ""),
            )
            for group in everyone
        }
        self._policies = {group.name: group.policy_sha256 for group in everyone}
        self._commands = commands.outstanding(tx, time.time())
        self._rollouts = {rollout.group: rollout for rollout in rollouts.open_ones(tx)}
        self._tx = tx
        self._renew_seconds: dict[str, int] = {}

    def commands(self, device_id: str) -> list[str]:
        """The oldest few commands that a device has not ended yet."""
        return [envelope.decode() for _, envelope in self._commands.get(device_id, [])[:COMMANDS]]

    def renew_seconds(self, policy: str | None) -> int:
        """How old the statement may be that carries the lease of a policy."""
        if policy is None:
            return STATEMENT_LIFE
        if policy not in self._renew_seconds:
            document = policies.documents(self._tx, policy)[0]
            self._renew_seconds[policy] = renew_after(parse_policy(document.encode()).lease)
        return self._renew_seconds[policy]

    def policy(self, group: str, ring: int) -> str | None:
        """The policy of a device: the new one if the rollout of its group has come to its ring."""
        rollout = self._rollouts.get(group)
        if rollout is not None and ring <= rollout.cutoff:
            return rollout.policy_sha256
        return self._policies[group]

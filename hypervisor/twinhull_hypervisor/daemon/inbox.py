"""From fetch's inbox to the policy in force: read with bounds, verify, commit whole or not at all.

Fetch is the one process that talks to the network, so nothing it leaves behind is believed: every byte is
verified again here with the pure rules of ``twinhull_policy.trust`` before anything changes (design.md
section 2). A refusal is logged with its code and leaves the last good policy in force (P5).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from twinhull_policy.errors import TwinhullError
from twinhull_policy.model import Policy
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.documents import Statement
from twinhull_policy.trust.expiry import expiry_warnings
from twinhull_policy.trust.limits import LIMITS
from twinhull_policy.trust.policy_body import verify_policy_body
from twinhull_policy.trust.repository import HighWater, VerifiedTargets, verify_targets
from twinhull_policy.trust.root import TrustedRoot
from twinhull_policy.trust.statement import (
    DeviceIdentity,
    LastStatement,
    VerifiedStatement,
    verify_statement,
)
from twinhull_policy.trust.time import reference_time

from .paths import Paths
from .state import Identity, Position, State

logger = logging.getLogger(__name__)


class InboxIncomplete(TwinhullError):
    """What the server sent is not complete yet: {what} is missing."""

    code = "TH-DMN-009"
    next_step = "Nothing to do: the last policy stays in force and the rest is fetched again."


class InboxUnsafe(TwinhullError):
    """A file brought by the fetcher cannot be used: {name}, {detail}."""

    code = "TH-DMN-010"
    next_step = "The last policy stays in force; run 'twinhull doctor' if it happens again."


class PolicyCount(TwinhullError):
    """The statement names {count} policies and this version applies exactly one."""

    code = "TH-DMN-011"
    next_step = "Ask your administrator to publish one policy for this group."


OnCommands = Callable[[Sequence[str], TrustedRoot, DeviceIdentity, int], None]
"""Envelopes, the root and device they must hold under, and the time raised to the floor."""


@dataclass(frozen=True)
class InForce:
    """The statement and policy that count now."""

    statement: Statement
    policy: Policy


def read_bounded(path: Path, limit: int) -> bytes:
    """Read an untrusted regular file of at most ``limit`` bytes; symbolic links are refused.

    Raises:
        InboxIncomplete: there is no such file.
        InboxUnsafe: it is too long, or not a plain file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InboxIncomplete(what=path.name) from error
    except OSError as error:
        raise InboxUnsafe(name=path.name, detail=error.strerror) from error
    with os.fdopen(fd, "rb") as file:
        try:
            untrusted_bytes = file.read(limit + 1)
        except OSError as error:
            raise InboxUnsafe(name=path.name, detail=error.strerror) from error
    if len(untrusted_bytes) > limit:
        raise InboxUnsafe(name=path.name, detail=f"longer than {limit} bytes")
    return untrusted_bytes


class Inbox:
    """Decides what of the inbox takes effect.

    Attributes:
        in_force: the last good statement and policy, or None before the first.
        on_commands: takes the commands of every good statement, whatever becomes of its policy: they
            authenticate themselves, and a wipe does not wait for an image.
    """

    def __init__(self, state: State, paths: Paths, *, verify_at: int | None = None) -> None:
        """Take what is written down; or, at the time ``verify_at``, only what its signatures still prove."""
        self._state = state
        self._paths = paths
        self.on_commands: OnCommands = lambda *_: None
        self.in_force: InForce | None = self._load() if verify_at is None else self._verify_again(verify_at)

    def _load(self) -> InForce | None:
        statement = self._state.get("statement", Statement)
        policy = self._state.get("policy", Policy)
        return InForce(statement, policy) if statement and policy else None

    def _verify_again(self, now: int) -> InForce | None:
        """The statement in force and its policy, as the server signed them and not as they were kept."""
        identity = self._state.get("identity", Identity)
        stored_root = self._state.get_bytes("root")
        position = self._state.position()
        if identity is None or stored_root is None or not position.seq:
            return None
        try:
            root = trust_root.load_stored(stored_root)
            verified = verify_statement(
                read_bounded(self._paths.inbox / "statement.dsse", LIMITS.statement_bytes),
                root=root,
                device=DeviceIdentity(identity.tenant, identity.device_id, identity.enrol_epoch),
                last=LastStatement(position.seq, position.sha256),
                now=reference_time(now, position.time_floor),
            )
            # A newer one is put in force by accept(), which looks at its images, too.
            return (
                InForce(verified.statement, self._policy(verified.statement, root))
                if verified.unchanged
                else None
            )
        except TwinhullError as error:
            logger.warning("not verified again: %s %s", error.code, error.message)
            return None

    def pin_root(self, root_sha256: str) -> None:
        """Trust version 1 of the root that the enrolment token names, then follow its rotations."""
        history = self._paths.metadata / "root_history"
        first = trust_root.load_first(read_bounded(history / "1.root.json", LIMITS.root_bytes), root_sha256)
        self._state.put_bytes("root", self._follow(first).raw)

    def _follow(self, trusted: TrustedRoot) -> TrustedRoot:
        history = self._paths.metadata / "root_history"
        for _ in range(LIMITS.root_rotations):
            path = history / f"{trusted.version + 1}.root.json"
            if not path.exists():
                break
            trusted = trust_root.update(trusted, read_bounded(path, LIMITS.root_bytes))
        return trusted

    def accept(self, now: int) -> bool:
        """Verify what is in the inbox and put it in force.

        Args:
            now: the clock, seconds since the epoch; raised here to the time floor.

        Returns:
            True when something new is in force, False when it is what was in force already or when nothing
            has come yet.

        Raises:
            TwinhullError: refused; the reason is logged and the last good policy stays.
        """
        if not (self._paths.inbox / "statement.dsse").exists():
            return False
        try:
            return self._accept(now)
        except TwinhullError as error:
            self._refuse(error)
            raise

    def _refuse(self, error: TwinhullError) -> None:
        refusal = f"{error.code}: {error.message}"
        position = self._state.position()
        if position.last_refusal != refusal:
            with self._state.transaction():
                self._state.put("position", msgspec.structs.replace(position, last_refusal=refusal))
                self._state.log("refused", refusal)

    def _accept(self, now: int) -> bool:
        identity = self._state.get("identity", Identity)
        stored_root = self._state.get_bytes("root")
        if identity is None or stored_root is None:
            raise InboxIncomplete(what="the enrolment")
        before = trust_root.load_stored(stored_root)
        root = self._follow(before)
        position = self._state.position()
        time = reference_time(now, position.time_floor)
        device = DeviceIdentity(identity.tenant, identity.device_id, identity.enrol_epoch)
        verified = verify_statement(
            read_bounded(self._paths.inbox / "statement.dsse", LIMITS.statement_bytes),
            root=root,
            device=device,
            last=LastStatement(position.seq, position.sha256) if position.seq else None,
            now=time,
        )
        self.on_commands(verified.statement.commands, root, device, time)
        if verified.unchanged:
            if position.last_refusal:
                self._state.put("position", msgspec.structs.replace(position, last_refusal=""))
            return False
        policy = self._policy(verified.statement, root)
        high_water = self._state.get("high-water", _StoredHighWater) or _StoredHighWater()
        targets = self._targets(root, time, high_water.marks().after_rotation(before, root))
        for image in (verified.statement.images.corporate, verified.statement.images.personal):
            if image is not None:
                targets.check_image(image)
        self._commit(verified, policy, root, targets, position, now)
        return True

    def _policy(self, statement: Statement, root: TrustedRoot) -> Policy:
        if len(statement.policies) != 1:
            raise PolicyCount(count=len(statement.policies))
        sha256 = statement.policies[0]
        untrusted_body = read_bounded(self._paths.inbox / "bodies" / sha256, LIMITS.envelope_bytes)
        return verify_policy_body(untrusted_body, expected_sha256=sha256, root=root)

    def _targets(self, root: TrustedRoot, now: int, high_water: HighWater) -> VerifiedTargets:
        metadata = self._paths.metadata
        return verify_targets(
            root,
            read_bounded(metadata / "timestamp.json", LIMITS.timestamp_bytes),
            read_bounded(metadata / "snapshot.json", LIMITS.snapshot_bytes),
            read_bounded(metadata / "targets.json", LIMITS.targets_bytes),
            now=now,
            high_water=high_water,
        )

    def _commit(
        self,
        verified: VerifiedStatement,
        policy: Policy,
        root: TrustedRoot,
        targets: VerifiedTargets,
        position: Position,
        now: int,
    ) -> None:
        statement = verified.statement
        marks = targets.high_water
        with self._state.transaction():
            self._state.put_bytes("root", root.raw)
            self._state.put("statement", statement)
            self._state.put("policy", policy)
            self._state.put(
                "high-water",
                _StoredHighWater(
                    timestamp=marks.timestamp,
                    snapshot=marks.snapshot,
                    targets=marks.targets,
                    targets_expires_at=int(targets.targets.expires.timestamp()),
                ),
            )
            self._state.put(
                "position",
                Position(
                    seq=statement.seq,
                    sha256=verified.sha256,
                    policy_sha256=statement.policies[0],
                    applied_at=now,
                    time_floor=max(position.time_floor, statement.issued_at),
                ),
            )
            self._state.log(
                "received",
                f"Statement {statement.seq}: policy “{policy.name}”",
                verified.raw.decode("utf-8", "replace"),
            )
        self.in_force = InForce(statement, policy)

    def warnings(self, now: int) -> list[str]:
        """What of the trust in the company's server runs out soon, in sentences."""
        root = self._state.get_bytes("root")
        marks = self._state.get("high-water", _StoredHighWater) or _StoredHighWater()
        root_expires_at = trust_root.load_stored(root).expires_at if root else 0
        return expiry_warnings(root_expires_at, marks.targets_expires_at, now)

    def forget(self) -> None:
        """Drop everything the server said, before a new enrolment."""
        self._state.forget("root", "identity", "statement", "position", "policy", "high-water")
        self.in_force = None


class _StoredHighWater(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0
    targets_expires_at: int = 0

    def marks(self) -> HighWater:
        return HighWater(self.timestamp, self.snapshot, self.targets)

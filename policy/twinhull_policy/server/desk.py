"""What an administrator can see and do: one method each, for console and HTTP interface alike.

Every method takes who asks, refuses whoever lacks the role, and writes its audit line in the transaction
that makes the change. Blocking; made in worker threads. The caller pushes afterwards (``Server.push``).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from twinhull_policy import report as laptop
from twinhull_policy.diff import diff
from twinhull_policy.errors import TwinhullError
from twinhull_policy.model import Policy
from twinhull_policy.names import is_name
from twinhull_policy.parse import MAX_BYTES, canonical, parse_policy
from twinhull_policy.server import admin, repository, rollout, two_persons
from twinhull_policy.server import desk_types as t
from twinhull_policy.server import errors as e
from twinhull_policy.server import storage as s
from twinhull_policy.server.accounts import Accounts, Role, Who
from twinhull_policy.server.device_grants import DeviceGrants
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store import (
    approvals,
    audit,
    commands,
    devices,
    grants,
    groups,
    policies,
    reports,
    rollouts,
    settings,
    statements,
    tokens,
)
from twinhull_policy.server.store.accounts import Account
from twinhull_policy.server.typical import NAMES
from twinhull_policy.trust import envelope as dsse
from twinhull_policy.trust import root as trust_root
from twinhull_policy.trust.documents import Statement
from twinhull_policy.trust.policy_body import verify_policy_body

SILENT_SECONDS = 24 * 3600.0
"""A device not seen for so long is called silent."""
COUNTED = 10_000
"""How far a list's matches are counted."""
HISTORY = 20


class Desk:
    """Over one server.

    Attributes:
        accounts: who may sign in.
        grants: laptops that ask to be let in.
    """

    def __init__(
        self,
        layout: Layout,
        storage: s.Storage,
        accounts: Accounts,
        device_grants: DeviceGrants,
        connected: Callable[[], int],
        is_connected: Callable[[str], bool],
    ) -> None:
        self.accounts = accounts
        self.grants = device_grants
        self._layout = layout
        self._storage = storage
        self._connected = connected
        self._is_connected = is_connected

    def overview(self, who: Who) -> t.Overview:
        """The fleet at a glance."""
        who.need(Role.VIEWER)
        now = time.time()
        with self._storage.read() as tx:
            counts = devices.health_counts(tx)
            per_group = {
                group.name: t.GroupCount(group=group.name, devices=0, by_health={})
                for group in groups.everyone(tx)
            }
            total: dict[devices.Health, int] = {}
            for group, health, number in counts:
                known = per_group[group]
                per_group[group] = t.GroupCount(
                    group=group, devices=known.devices + number, by_health={**known.by_health, health: number}
                )
                total[health] = total.get(health, 0) + number
            return t.Overview(
                tenant=settings.get(tx, "tenant"),
                server_fingerprint=self.grants.server_fingerprint,
                devices=sum(total.values()),
                by_health=total,
                silent=devices.silent_count(tx, now - SILENT_SECONDS),
                connected=self._connected(),
                groups=list(per_group.values()),
                problems=devices.common_problems(tx, 5),
                rollouts=rollouts.open_ones(tx),
                grants=grants.pending_count(tx, now),
                approvals=sum(1 for a in approvals.newest(tx, LIMITS.page) if _waits(a, now)),
            )

    def device_page(self, who: Who, query: t.DeviceQuery) -> t.DevicePage:
        """A page of devices."""
        who.need(Role.VIEWER)
        wanted = devices.Filter(
            group=query.group,
            health=query.health,
            text=query.text.strip(),
            silent_before=time.time() - query.silent_hours * 3600 if query.silent_hours else 0.0,
        )
        with self._storage.read() as tx:
            page = devices.page(tx, wanted, query.after, query.limit + 1)
            found = devices.count(tx, wanted, COUNTED)
        shown = page[: query.limit]
        return t.DevicePage(
            devices=shown,
            found=found,
            more=found == COUNTED,
            next=shown[-1].device_id if len(page) > query.limit else "",
        )

    def device(self, who: Who, device_id: str) -> t.DeviceView:
        """One device. Raises UnknownDevice."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            device = devices.get(tx, device_id)
            if device is None:
                raise e.UnknownDevice(device_id=device_id)
            told = [_told(one) for one in statements.recent(tx, device_id, HISTORY)]
            reported = reports.recent(tx, device_id, HISTORY)
            return t.DeviceView(
                device=device,
                connected=self._is_connected(device_id),
                desired_policy=told[0].policies[0] if told and told[0].policies else "",
                items=_items(reported),
                statements=told,
                commands=[_command(one) for one in commands.of_device(tx, device_id, HISTORY)],
                reports=reported,
                history=audit.newest(tx, HISTORY, containing=device_id),
            )

    def revoke(self, who: Who, device_id: str, asked: t.Revoke) -> t.Done:
        """Shut a laptop out. Raises UnknownDevice."""
        who.need(Role.OPERATOR)
        admin.revoke_device(self._storage, device_id, release=asked.release, by=who.name)
        return t.Done()

    def token_list(self, who: Who) -> list[tokens.Token]:
        """The newest tokens."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return tokens.newest(tx, LIMITS.drafts_listed)

    def new_token(self, who: Who, asked: t.AskToken) -> t.MadeToken:
        """A token that enrols one laptop. Raises UnknownGroup."""
        who.need(Role.OPERATOR)
        made = admin.new_token(
            self._layout, self._storage, asked.group, asked.hours, label=asked.label, by=who.name
        )
        return t.MadeToken(
            number=made.number, token=made.token, url=made.url, group=made.group, expires_at=made.expires_at
        )

    def withdraw_token(self, who: Who, number: int) -> t.Done:
        """Withdraw an unused token. Raises UnknownToken."""
        who.need(Role.OPERATOR)
        admin.revoke_token(self._storage, number, by=who.name)
        return t.Done()

    def group_list(self, who: Who) -> list[groups.Group]:
        """All groups."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return groups.everyone(tx)

    def new_group(self, who: Who, asked: t.AskGroup) -> t.Done:
        """Make a group. Raises GroupExists, BadName."""
        who.need(Role.OWNER)
        if not is_name(asked.name):
            raise e.BadName(name=asked.name)
        admin.new_group(self._storage, asked.name, by=who.name)
        return t.Done()

    def policy_list(self, who: Who) -> list[policies.Policy]:
        """All published policies, oldest first."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return policies.everyone(tx)

    def policy(self, who: Who, sha256: str) -> t.PolicyView:
        """One published policy. Raises UnknownPolicy."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            found = policies.get(tx, sha256)
            texts = policies.documents(tx, sha256)
            if found is None:
                raise e.UnknownPolicy(sha256=sha256)
            having = [group.name for group in groups.everyone(tx) if group.policy_sha256 == sha256]
        return t.PolicyView(policy=found, document=texts[0], groups=having)

    def check(self, who: Who, asked: t.AskCheck) -> t.Checked:
        """Say what is wrong with a document, or what it would change. Raises UnknownGroup."""
        who.need(Role.VIEWER)
        base, old = self._current(asked.group)
        try:
            new = _parse(asked.document)
        except TwinhullError as error:
            return t.Checked(
                problem=error.message, code=error.code, name="", base=base, compared=0, verdicts=[], words=[]
            )
        if old is None:
            return t.Checked(
                problem="",
                code="",
                name=new.name,
                base=base,
                compared=0,
                verdicts=[],
                words=["The group has no policy yet."],
            )
        difference = diff(old, new, tuple(NAMES))
        lines = [
            t.VerdictLine(
                device=NAMES[change.device],
                partition=change.partition,
                old=change.old,
                new=change.new,
                new_rule=change.new_rule,
            )
            for change in difference.changes
        ]
        return t.Checked(
            problem="",
            code="",
            name=new.name,
            base=base,
            compared=difference.compared,
            verdicts=lines,
            words=list(difference.words),
        )

    def propose(self, who: Who, asked: t.AskDraft) -> t.Done:
        """Keep a draft for whoever has the policy key. Raises UnknownGroup, StaleBase, PolicyError."""
        who.need(Role.AUTHOR)
        document = canonical(_parse(asked.document)).decode()
        with self._storage.write() as tx:
            group = groups.get(tx, asked.group)
            if group is None:
                raise e.UnknownGroup(name=asked.group)
            if asked.base != (group.policy_sha256 or ""):
                raise e.StaleBase(current=group.policy_sha256 or "none", base=asked.base or "none")
            number = policies.add_draft(
                tx,
                group=asked.group,
                base_sha256=asked.base,
                document=document,
                note=asked.note,
                author=who.name,
                now=time.time(),
            )
            audit.append(tx, who.name, "draft new", f"draft {number} for group {asked.group}")
        return t.Done(number=number)

    def drafts(self, who: Who) -> list[policies.Draft]:
        """The newest drafts."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return policies.drafts(tx, LIMITS.drafts_listed)

    def withdraw_draft(self, who: Who, number: int) -> t.Done:
        """Drop an open draft. Raises UnknownDraft."""
        who.need(Role.AUTHOR)
        with self._storage.write() as tx:
            if not policies.close_draft(tx, number, "withdrawn"):
                raise e.UnknownDraft(number=number)
            audit.append(tx, who.name, "draft withdraw", f"draft {number}")
        return t.Done()

    def publish(self, who: Who, asked: t.Publish) -> t.Published:
        """Publish a body that the policy key signed; this server cannot sign one itself.

        Raises PolicyUnsigned, PolicyError, UnknownGroup, StaleBase, RolloutOpen.
        """
        who.need(Role.AUTHOR)
        envelope = asked.envelope.encode()
        policy = self._verified(envelope)
        done = admin.publish_policy(
            self._layout,
            self._storage,
            canonical(policy),
            envelope,
            asked.group,
            asked.base,
            rings=asked.rings,
            by=who.name,
        )
        return t.Published(sha256=done["sha256"], changed=done["changed"], rollout=done["rollout"])

    def assign(self, who: Who, asked: t.Assign) -> t.Published:
        """Have a group have a policy that was published before.

        Raises UnknownGroup, UnknownPolicy, StaleBase, RolloutOpen.
        """
        who.need(Role.AUTHOR)
        with self._storage.write() as tx:
            if asked.rings:
                begun = rollout.start(tx, asked.group, asked.policy_sha256, asked.base, who.name)
                return t.Published(sha256=asked.policy_sha256, changed=True, rollout=begun.number)
            if policies.get(tx, asked.policy_sha256) is None:
                raise e.UnknownPolicy(sha256=asked.policy_sha256)
            changed = admin.assign_policy(tx, asked.group, asked.policy_sha256, asked.base, who.name)
        return t.Published(sha256=asked.policy_sha256, changed=changed)

    def rollout_list(self, who: Who) -> list[t.RolloutView]:
        """The newest rollouts and how they do."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return [
                t.RolloutView(rollout=one, progress=rollouts.progress(tx, one))
                for one in rollouts.newest(tx, LIMITS.page)
            ]

    def steer(self, who: Who, number: int, asked: t.Steer) -> rollouts.Rollout:
        """Advance, halt, resume or withdraw a rollout. Raises UnknownRollout."""
        who.need(Role.AUTHOR)
        with self._storage.write() as tx:
            return rollout.steer(tx, number, asked.action, who.name)

    def waiting(self, who: Who) -> list[grants.Grant]:
        """The laptops that ask to be let in."""
        who.need(Role.VIEWER)
        return self.grants.waiting()

    def decide(self, who: Who, asked: t.Decide) -> t.Done:
        """Let a laptop in or refuse it. Raises UnknownGrant, UnknownGroup."""
        who.need(Role.OPERATOR)
        self.grants.decide(asked.user_code, asked.group or None, who.name)
        return t.Done()

    def approval_list(self, who: Who) -> list[approvals.Approval]:
        """What was asked that needs two."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return approvals.newest(tx, LIMITS.page)

    def ask_wipe(self, who: Who, asked: t.AskWipe) -> t.Done:
        """Ask to have laptops wiped. Raises UnknownDevice."""
        who.need(Role.OPERATOR)
        with self._storage.write() as tx:
            return t.Done(number=two_persons.ask(tx, asked.devices, asked.reason, who.name))

    def approve(self, who: Who, number: int) -> t.Done:
        """Approve what somebody else asked. Raises UnknownApproval, SecondPersonNeeded."""
        who.need(Role.OPERATOR)
        with self._storage.write() as tx:
            two_persons.approve(tx, number, who.name)
        return t.Done()

    def audit_page(self, who: Who, query: t.AuditQuery) -> list[audit.Line]:
        """A page of the audit log, newest first."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return audit.newest(tx, LIMITS.page, before=query.before, containing=query.text.strip())

    def audit_verdict(self, who: Who) -> audit.Verdict:
        """Whether the audit log's chain is whole."""
        who.need(Role.VIEWER)
        with self._storage.read() as tx:
            return audit.verify(tx)

    def accounts_of(self, who: Who) -> list[Account]:
        """All accounts."""
        who.need(Role.OWNER)
        return self.accounts.everyone()

    def disable_account(self, who: Who, name: str) -> t.Done:
        """Shut an account out, but never one's own. Raises UnknownAccount, SecondPersonNeeded."""
        who.need(Role.OWNER)
        if name == who.name:
            raise e.SecondPersonNeeded(name=name)
        self.accounts.disable(name, who.name)
        return t.Done()

    def _current(self, group_name: str) -> tuple[str, Policy | None]:
        """The policy a group has: its body's hash and the policy; empty and None for none."""
        with self._storage.read() as tx:
            group = groups.get(tx, group_name)
            if group is None:
                raise e.UnknownGroup(name=group_name)
            if group.policy_sha256 is None:
                return "", None
            (document,) = policies.documents(tx, group.policy_sha256)
        return group.policy_sha256, parse_policy(document.encode())

    def _verified(self, untrusted_envelope: bytes) -> Policy:
        root = trust_root.load_stored(repository.root_chain(self._layout)[-1])
        sha256 = dsse.envelope_hash(untrusted_envelope)
        try:
            return verify_policy_body(untrusted_envelope, expected_sha256=sha256, root=root)
        except TwinhullError as error:
            if error.code.startswith("TH-TRU"):
                raise e.PolicyUnsigned(detail=error.message) from error
            raise


def _parse(untrusted_document: str) -> Policy:
    return parse_policy(untrusted_document.encode("utf-8", "surrogatepass")[: MAX_BYTES + 1])


def _waits(approval: approvals.Approval, now: float) -> bool:
    return approval.approved_at is None and approval.expires_at > now


def _told(signed: statements.Signed) -> t.StatementTold:
    """What a statement of our own says."""
    statement = msgspec.json.decode(
        msgspec.json.decode(signed.envelope, type=dsse.Envelope).payload, type=Statement
    )
    images = {"corporate": statement.images.corporate, "personal": statement.images.personal}
    return t.StatementTold(
        seq=signed.seq,
        issued_at=signed.issued_at,
        expires_at=signed.expires_at,
        policies=statement.policies,
        images={name: image.target for name, image in images.items() if image is not None},
    )


def _items(reported: list[reports.Report]) -> list[laptop.Item]:
    """What the newest report says item by item; none of one that an older server took in another shape."""
    try:
        return [] if not reported else list(msgspec.json.decode(reported[0].body, type=laptop.Report).items)
    except msgspec.MsgspecError:
        return []


def _command(command: commands.Command) -> t.CommandTold:
    """A command as far as its receipts prove."""
    return t.CommandTold(
        number=command.number,
        action=command.action,
        issued_by=command.issued_by,
        issued_at=command.issued_at,
        not_after=command.not_after,
        state=command.shown(time.time()),
        delivered_at=command.delivered_at,
        started_at=command.started_at,
        ended_at=command.ended_at,
        withdrawn_at=command.withdrawn_at,
        detail=command.detail,
    )

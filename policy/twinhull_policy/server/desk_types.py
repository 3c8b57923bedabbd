"""What administrators ask and are answered, by console, HTTP interface and command line alike.

Requests are closed and bounded, because they come from outside. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from twinhull_policy.parse import MAX_BYTES
from twinhull_policy.report import Item
from twinhull_policy.server.limits import LIMITS
from twinhull_policy.server.store.audit import Line
from twinhull_policy.server.store.devices import Device, Health
from twinhull_policy.server.store.policies import Policy
from twinhull_policy.server.store.reports import Report
from twinhull_policy.server.store.rollouts import Progress, Rollout

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Short = Annotated[str, Meta(max_length=100)]
DeviceId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Base = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="Empty for none.")]
Number = Annotated[int, Meta(ge=1, le=2**53)]
Document = Annotated[str, Meta(max_length=MAX_BYTES)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of requests: closed."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Base of answers."""


class Done(Told, frozen=True, kw_only=True):
    """It is done; ``number`` is of what was made, if anything was."""

    done: Literal[True] = True
    number: int | None = None


class SignIn(Asked, frozen=True, kw_only=True):
    """Who signs in, and with what."""

    name: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=1024)]
    code: Annotated[str, Meta(max_length=16)]


class Session(Told, frozen=True, kw_only=True):
    """The session: ``token`` goes into ``Authorization: Bearer …``."""

    token: str
    name: str
    role: str
    expires_at: float


class Me(Told, frozen=True, kw_only=True):
    """Who is signed in."""

    name: str
    role: str
    expires_at: float


class GroupCount(Told, frozen=True, kw_only=True):
    """How many devices of a group are how."""

    group: str
    devices: int
    by_health: dict[Health, int]


class Overview(Told, frozen=True, kw_only=True):
    """The fleet at a glance. ``problems`` are what failed devices report, most frequent first;
    ``server_fingerprint`` is what laptops that ask to be let in show."""

    tenant: str
    server_fingerprint: str
    devices: int
    by_health: dict[Health, int]
    silent: int
    connected: int
    groups: list[GroupCount]
    problems: list[tuple[str, int]]
    rollouts: list[Rollout]
    grants: int
    approvals: int


class DeviceQuery(Asked, frozen=True, kw_only=True):
    """Which devices; empty fields ask for nothing. ``silent_hours``: not seen for so long."""

    group: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9-]{0,31})?$")] = ""
    health: Health | Literal[""] = ""
    text: Short = ""
    silent_hours: Annotated[int, Meta(ge=0, le=24 * 366)] = 0
    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = LIMITS.page


class DevicePage(Told, frozen=True, kw_only=True):
    """A page of devices; ``next`` is what to ask for ``after``, empty at the end."""

    devices: list[Device]
    found: int
    more: bool
    """Whether ``found`` is only how far was counted."""
    next: str


class StatementTold(Told, frozen=True, kw_only=True):
    """A statement a device was told, without its envelope."""

    seq: int
    issued_at: float
    expires_at: float
    policies: list[str]
    images: dict[str, str]


class CommandTold(Told, frozen=True, kw_only=True):
    """A command to a device, and how far it is by the device's own signed receipts.

    ``state``: ``queued`` until the first receipt, whatever was sent; then ``delivered``, ``started``,
    ``done`` or ``failed``; ``expired`` or ``withdrawn`` if that came before the laptop began. ``detail``:
    the laptop's words.
    """

    number: int
    action: str
    issued_by: str
    issued_at: float
    not_after: float
    state: str
    delivered_at: float | None
    started_at: float | None
    ended_at: float | None
    withdrawn_at: float | None
    detail: str


class DeviceView(Told, frozen=True, kw_only=True):
    """One device: what it is to have, what it says it has, what it was told, what was done to it."""

    device: Device
    connected: bool
    desired_policy: str
    items: list[Item]
    """Of the newest report, desired versus actual."""
    statements: list[StatementTold]
    commands: list[CommandTold]
    reports: list[Report]
    history: list[Line]


class Revoke(Asked, frozen=True, kw_only=True):
    """Shut a laptop out; ``release`` also frees its tunnel address."""

    release: bool = False


class AskToken(Asked, frozen=True, kw_only=True):
    """A token that enrols one laptop."""

    group: Name
    hours: Annotated[int, Meta(ge=1, le=720)] = 24
    label: Short = ""


class MadeToken(Told, frozen=True, kw_only=True):
    """A token as it is shown, once; ``url`` is what to enrol with."""

    number: int
    token: str
    url: str
    group: str
    expires_at: float


class AskGroup(Asked, frozen=True, kw_only=True):
    """A new group."""

    name: Name


class AskCheck(Asked, frozen=True, kw_only=True):
    """A policy document to check, and what it would change for a group."""

    group: Name
    document: Document


class VerdictLine(Told, frozen=True, kw_only=True):
    """A kind of device whose verdict changes for one partition."""

    device: str
    partition: str
    old: str
    new: str
    new_rule: str


class Checked(Told, frozen=True, kw_only=True):
    """What is wrong with a document (``problem`` empty for nothing), else what it changes."""

    problem: str
    code: str
    name: str
    base: str
    compared: int
    verdicts: list[VerdictLine]
    words: list[str]


class AskDraft(AskCheck, frozen=True, kw_only=True):
    """A policy somebody wants published; ``base`` is what the group has now."""

    base: Base
    note: Short = ""


class Publish(Asked, frozen=True, kw_only=True):
    """A signed policy body for a group. ``rings``: ring by ring instead of everybody at once."""

    group: Name
    base: Base
    envelope: Annotated[str, Meta(max_length=2 * MAX_BYTES)]
    rings: bool = False


class Published(Told, frozen=True, kw_only=True):
    """The body's hash; the rollout's number if it goes ring by ring."""

    sha256: str
    changed: bool
    rollout: int | None = None


class Assign(Asked, frozen=True, kw_only=True):
    """Have a group have a policy that was published before."""

    group: Name
    policy_sha256: Hash
    base: Base
    rings: bool = True


class Steer(Asked, frozen=True, kw_only=True):
    """What to do with a rollout."""

    action: Literal["advance", "halt", "resume", "withdraw"]


class Decide(Asked, frozen=True, kw_only=True):
    """The answer to a laptop that waits: a group to let it into, or empty to refuse it."""

    user_code: Annotated[str, Meta(max_length=32)]
    group: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9-]{0,31})?$")]


class AskWipe(Asked, frozen=True, kw_only=True):
    """Have several laptops wiped, once somebody else approves."""

    devices: Annotated[list[DeviceId], Meta(min_length=1, max_length=LIMITS.approval_devices)]
    reason: Short


class AuditQuery(Asked, frozen=True, kw_only=True):
    """Which lines of the audit log: below number ``before`` (0 for the newest), holding ``text``."""

    before: Annotated[int, Meta(ge=0, le=2**53)] = 0
    text: Short = ""


class RolloutView(Told, frozen=True, kw_only=True):
    """A rollout and how it does."""

    rollout: Rollout
    progress: Progress


class PolicyView(Told, frozen=True, kw_only=True):
    """A published policy with its text, and which groups have it."""

    policy: Policy
    document: str
    groups: list[str]

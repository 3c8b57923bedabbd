"""What the daemon's methods return, as it travels: JSON of these structs in one D-Bus string.

A struct instead of nested ``a{sv}`` so that both ends are typed and ``--json`` prints the same thing
(docs/adr/0002-json-structs-on-the-bus.md). Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from twinhull_policy.exchange import ExchangeDecision
from twinhull_policy.kinds import Kind

PartitionState = Literal["absent", "locked", "stopped", "starting", "running", "paused", "stopping", "failed"]
VpnState = Literal["down", "connecting", "up", "blocked", "error"]
DeviceState = Literal["blocked", "host", "attached", "asking", "admission", "waiting", "suspended"]
"""Where a device is on its way: given to nobody; the host's; in a partition; the person is to choose; a new
keyboard is to be proved by typing a code; its partition is not running, or the screen is locked; switched off
because it typed faster than a person."""
DeviceAnswer = Literal["corporate", "personal", "deny"]
UnlockKind = Literal["passphrase", "recovery-code", "tpm"]
"""What a person opens a volume with; ``tpm`` is a PIN for this laptop's security chip."""
KillSwitch = Literal["camera", "microphone"]
ExchangeOutcome = Literal["sent", "used", "expired", "cancelled", "failed"]
"""What became of something that was to cross: it goes now; its new owner took it; nobody took it in time; the
person decided against it; it did not get there. The last four end it."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything here: immutable, closed."""


class UnlockInfo(Struct, frozen=True):
    """What may be told of a locked volume before anybody is asked for a secret."""

    pin: bool = False
    """Whether the security chip opens it for a PIN."""
    wrong_tries: int = 0
    """Wrong secrets since the last right one."""
    free_tries: int = 0
    """How many more may be wrong before each next one has to wait."""
    wait_until: float = 0.0
    """When the next one is taken, seconds since the epoch; 0 for now."""


class PartitionInfo(Struct, frozen=True):
    """One partition as a person sees it."""

    name: str
    state: PartitionState
    reason: str = ""
    """Why it is in this state when that is not obvious, in words."""
    image: str = ""
    """Name of the golden image it is based on."""
    image_sha256: str = ""
    newer_image: str = ""
    """Name of the golden image that the server names instead and that is here to be updated to."""
    trying: bool = False
    """Whether it runs after an update, and it is not known yet whether the new image comes up."""
    accelerator: Literal["", "kvm", "emulation"] = ""
    encryption: Literal["", "luks2-dm-crypt", "qemu-luks"] = ""
    unlocked: bool = False
    memory_mib: int = 0
    vcpus: int = 0
    disk_gib: int = 0
    started_at: float = 0.0
    unlock: UnlockInfo | None = None
    """Of a volume that is to be opened."""


class KeySlot(Struct, frozen=True):
    """One way to open a partition's volume."""

    id: str
    kind: Literal["passphrase", "recovery-code", "tpm", "escrow"]
    escrow_key: str = ""
    """Of an escrow: the employer's public key it is sealed to."""


SnapshotKind = Literal["asked", "rollback", "update"]
"""Why a snapshot was made: somebody asked for it; going back to another one, or an update to another golden
image, has kept what was there."""
SNAPSHOT_NAME_LIMIT = 60
"""Longest name of a snapshot, characters."""
SNAPSHOT_LIMIT = 16
"""Most snapshots of one partition."""


class SnapshotInfo(Struct, frozen=True):
    """One state of a partition that can be gone back to."""

    id: str
    kind: SnapshotKind
    name: str
    """What the person called it, may be empty; of kind ``rollback`` the name of what was gone back to, of
    ``update`` the new image's."""
    at: float
    bytes: int
    """It takes of the laptop's disk, at most; what file systems share is counted each time."""


class WipeDone(Struct, frozen=True):
    """What came of a wipe."""

    partition: str
    at: float
    survived: list[str]
    """Files that could still be read; none when everything is destroyed."""
    other_untouched: bool
    """Whether the other partition has the same keys to the byte, and the same files."""
    receipt: str
    """A :class:`~twinhull_policy.trust.documents.WipeReceipt`, canonical JSON."""
    envelope: str
    """The same signed with the device's key; empty when it is not."""
    unsigned: str
    """Why it is not signed, in words."""


class VpnInfo(Struct, frozen=True):
    """The corporate tunnel and its confinement."""

    state: VpnState
    reason: str = ""
    kind: Literal["", "wireguard-kernel", "wireguard-go"] = ""
    gateway: str = ""
    address: str = ""
    last_handshake: float = 0.0
    """0 when there was none."""
    received_bytes: int = 0
    sent_bytes: int = 0
    interfaces: list[str] = []
    """What the corporate namespace holds right now."""
    confined: bool = False
    """True when that is exactly lo, tap and tunnel."""
    proved_at: float = 0.0
    """When the leak canaries last ran; 0 when they have not since the daemon started."""
    proof_failed: list[str] = []
    """The canaries that failed then."""
    portal: str = ""
    """The page on which this network wants somebody to sign in, from the personal side; empty for none."""


class VpnCanary(Struct, frozen=True):
    """One run-time proof: what was tried, what came of it."""

    name: str
    passed: bool
    evidence: str


class VpnProof(Struct, frozen=True):
    """All canaries of one run."""

    at: float
    passed: bool
    canaries: list[VpnCanary]


class EnrolmentInfo(Struct, frozen=True):
    """Who this laptop belongs to; empty strings before enrolment."""

    enrolled: bool
    server: str = ""
    tenant: str = ""
    device_id: str = ""
    enrolled_at: float = 0.0
    connected: bool = False
    """Whether the push stream is open now."""


class GrantPrompt(Struct, frozen=True):
    """What a person compares before a laptop is let in without a token (RFC 8628)."""

    server: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    """With the code in it, for a QR code; may be empty."""
    expires_in: int
    """Seconds."""
    key_sha256: str
    """Of this laptop's key, as the approval page shows it."""
    server_fingerprint: str
    """Of what the server would have this laptop trust, as the approval page shows it."""


class GrantProgress(Struct, frozen=True):
    """What came of a request to be let in."""

    wait_seconds: float
    """Until it is worth asking again."""
    problem: str = ""
    """Why the server could not be asked; empty when it could."""
    enrolment: EnrolmentInfo | None = None
    """Once this laptop is enrolled."""


class PolicyInfo(Struct, frozen=True):
    """The policy in force."""

    sequence: int = 0
    """Sequence number of the statement that brought it; 0 when there is none."""
    name: str = ""
    sha256: str = ""
    applied_at: float = 0.0
    expires_at: float = 0.0
    lease_ends_at: float = 0.0
    document: str = ""
    """The policy document, canonical JSON; empty when there is none."""
    last_refusal: str = ""
    """Code and sentence of the last statement refused, empty if the newest was accepted."""
    warnings: list[str] = []
    """What of the trust in the company's server runs out soon, a sentence each."""


class LeaseInfo(Struct, frozen=True):
    """How long the corporate partition goes on without the server."""

    stage: Literal["none", "held", "warning", "no-network", "locked", "destroy"] = "none"
    """``none`` while no policy is in force; the others are ``twinhull_policy.lease.Stage``."""
    reason: str = ""
    """In words; empty for ``none``."""
    offline_seconds: int = 0
    """Since the last contact, as counted."""
    next_in_seconds: int = 0
    """Until the next stage comes by itself; 0 when none does."""
    locks_in_seconds: int = 0
    """Until the partition locks; 0 when it has."""


class GradeCheck(Struct, frozen=True):
    """One thing the isolation grade rests on."""

    name: str
    passed: bool
    caps_at: Literal["A", "B", "C", "D", "E"]
    """The best grade possible while this check fails."""
    reason: str
    fix: str = ""


class Grade(Struct, frozen=True):
    """What the host's isolation is worth, A (best) to E, with a reason per check."""

    grade: Literal["A", "B", "C", "D", "E"]
    checks: list[GradeCheck]


class Finding(Struct, frozen=True):
    """Something beside isolation that needs attention."""

    name: str
    problem: str
    fix: str


class Diagnosis(Struct, frozen=True):
    """What ``twinhull doctor`` shows: a :class:`Grade`, and what else there is."""

    grade: Literal["A", "B", "C", "D", "E"]
    checks: list[GradeCheck]
    findings: list[Finding] = []


class DeviceInfo(Struct, frozen=True):
    """A device and where it is."""

    id: str
    """``usb-1-2`` or ``pci-0000:03:00.0``; commands take it, or the port alone."""
    bus: Literal["usb", "pci"]
    name: str
    """As people know it, "Logitech C920 (camera), left port"; printable, and the device's own claim."""
    port: str
    verdict: Literal["deny", "host", "corporate", "personal", "ask"]
    rule: str
    reason: str
    """Why it is where it is, in words."""
    attached_to: str = ""
    state: DeviceState = "blocked"
    kind: Kind = Kind.OTHER
    targets: list[Literal["corporate", "personal"]] = []
    """Where the person may send it, by ``answer_device`` or ``attach_device``."""
    code: str = ""
    """Six digits to be typed on this new keyboard, then Enter; only in the state ``admission``."""
    typed: int = 0
    """How many of them have been typed."""
    remember: bool = False
    """Whether an answer would be remembered if asked to: False where it would name more than this device."""
    read_only: bool = False
    """Attached as storage that the partition cannot write to."""
    blocks: bool = False
    """Whether ``attach_device`` can give it read-only, as a disk."""
    model: str = ""
    """Vendor and product number, such as ``046d:082d``."""
    interfaces: list[str] = []
    """Class, subclass and protocol of each interface, such as ``0e:01:00``."""
    facts_sha256: str = ""
    """Of the raw descriptors that were decided on."""


class KillSwitches(Struct, frozen=True):
    """What the owner switched off for every partition, whatever any policy says."""

    camera_off: bool = False
    microphone_off: bool = False


class ExchangeAnswer(Struct, frozen=True):
    """What the policy says of an exchange, and how to name it from now on."""

    decision: ExchangeDecision
    ticket: str = ""
    """For ``settle_exchange``; empty when it was denied."""


class ImageInfo(Struct, frozen=True):
    """A golden image on its way or here."""

    name: str
    partition: str
    sha256: str
    size_bytes: int
    received_bytes: int
    ready: bool


class Status(Struct, frozen=True):
    """Everything ``twinhull status`` and the home screen show."""

    version: str
    started_at: float
    enrolment: EnrolmentInfo
    policy: PolicyInfo
    vpn: VpnInfo
    partitions: list[PartitionInfo]
    images: list[ImageInfo]
    grade: Grade
    lease: LeaseInfo = LeaseInfo()
    owner_phrase: str = ""
    kill_switches: KillSwitches = KillSwitches()
    devices_problem: str = ""
    """Why devices cannot be followed just now, so that nothing new is let in; empty when they can."""
    safe_mode: str = ""
    """Why the daemon's state cannot be relied on, so that nothing is changed; empty when it can."""


class StateRecovered(Struct, frozen=True):
    """What came of recovering the daemon's state."""

    kept: str
    """Where the damaged database is now; empty when it turned out to be in order again."""
    source: Literal["database", "copy", "volumes"]
    """What the state is made of: itself; the copy beside it; or, both being lost, what the partitions' own
    disks say, so that this laptop has to be enrolled again."""


class LogEntry(Struct, frozen=True):
    """One line of the owner's log: what was received, reported, decided or done."""

    at: float
    kind: Literal["received", "reported", "decided", "done", "refused"]
    text: str
    body: str = ""
    """For received and reported: the exact bytes, as text."""


class Log(Struct, frozen=True):
    """Newest last."""

    entries: list[LogEntry]

"""What is to be done about the devices that are plugged in: one pure function from what is to what follows.

Hot-plug, manual attach, a started machine, a new policy, a resume and a restart of this daemon are all the
same question, asked anew each time. :func:`place` says where one device belongs, :func:`plan` what separates
that from what is. When everything in a plan has been done, the next plan is empty.

Held by property tests: nothing is given that ``decide`` did not grant to that very partition; a device never
has two holders; camera and microphone are in no partition while they are switched off; the last trusted
keyboard is never taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
from twinhull_policy.api.types import DeviceState, KillSwitch
from twinhull_policy.evaluate import Decision
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.names import Partition

from ..domain.hostdev import Holding

MAX_ADMISSIONS = 4
"""New keyboards that are asked for a code at the same time; more wait for their turn."""
KEYBOARD = "03:01:01"
"""HID boot keyboard (HID 1.11, 4.2 and 4.3)."""


class Identity(msgspec.Struct, frozen=True, order=True):
    """One device, plugged in once: where, what it said of itself, and its address."""

    port: str
    sha256: str
    busnum: int
    devnum: int


@dataclass(frozen=True, slots=True)
class Device:
    """A USB device that is plugged in.

    Attributes:
        senses: what it could take in for a partition: camera, microphone.
        trusted: a keyboard, pointer or hub that was there at boot, or before the machine slept.
        in_use: the host used it before anybody could decide, as when Twinhull was installed just now.
    """

    identity: Identity
    facts: DeviceFacts
    authorised: bool = False
    driver_bound: bool = False
    trusted: bool = False
    in_use: bool = False
    senses: frozenset[KillSwitch] = frozenset()

    @property
    def port(self) -> str:
        """Where it is."""
        return self.identity.port

    @property
    def keyboard(self) -> bool:
        """Whether it says that it is a keyboard."""
        return KEYBOARD in self.facts.interfaces

    @property
    def works(self) -> bool:
        """Whether the host uses it."""
        return self.authorised and self.driver_bound


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a person sent a device; ``read_only``: to have its blocks, and not the device."""

    partition: Partition
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a plan depends on. Mappings from Identity hold only devices that are plugged in.

    Attributes:
        decisions: of ``decide``, for each device's port.
        running: partitions whose machine runs; ``up`` has the paused ones too.
        choices: where the person sent a device by hand or by a single answer; None: taken back.
        admitting: keyboards that wait for their code.
        suspended: keyboards that typed too fast.
        failed: what could not be done, in words, and is not to be tried again yet.
        hosted: what the host was given already, whether or not a driver took it.
        switched_off: kill switches.
        locked: the owner's screen is locked, so nothing that rests on an answer is given.
    """

    devices: tuple[Device, ...] = ()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    running: frozenset[Partition] = frozenset()
    up: frozenset[Partition] = frozenset()
    holdings: tuple[Holding, ...] = ()
    choices: Mapping[Identity, Choice | None] = field(default_factory=dict)
    admitting: frozenset[Identity] = frozenset()
    suspended: frozenset[Identity] = frozenset()
    failed: Mapping[Identity, str] = field(default_factory=dict)
    hosted: frozenset[Identity] = frozenset()
    switched_off: frozenset[KillSwitch] = frozenset()
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a device belongs now. ``attached`` has a partition, nothing else does but ``waiting``.

    With ``read_only`` the partition has the blocks of a storage device, and not the device.
    """

    state: DeviceState
    rule: str
    reason: str
    partition: Partition | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Detach:
    """Take from a machine what it holds."""

    holding: Holding


@dataclass(frozen=True, slots=True)
class Revoke:
    """Let nobody use a device."""

    device: Identity


@dataclass(frozen=True, slots=True)
class Host:
    """Let the host use a device."""

    device: Identity


@dataclass(frozen=True, slots=True)
class Admit:
    """Ask for a code to be typed on a new keyboard."""

    device: Identity


@dataclass(frozen=True, slots=True)
class Give:
    """Give a device, or only its blocks, to a partition's running machine."""

    device: Identity
    partition: Partition
    read_only: bool = False


Action = Detach | Revoke | Host | Admit | Give


def place(device: Device, now: Situation) -> Placement:
    """Where one device belongs."""
    decision = now.decisions[device.port]
    if device.in_use:
        return Placement("host", "host:in-use", "This computer used it before Twinhull did.")
    if device.identity in now.suspended:
        return Placement("suspended", decision.rule, "It typed faster than a person can.")
    if decision.verdict == "deny":
        return _denied(device, decision, now)
    if decision.verdict == "host":
        return _with_host(device, decision, now)
    off = sorted(device.senses & now.switched_off)
    if off:
        return Placement("blocked", f"host:{off[0]}-off", f"The {off[0]} is switched off.")
    return _in_partition(device, decision, now)


def _denied(device: Device, decision: Decision, now: Situation) -> Placement:
    keyboards = sum(other.keyboard and other.works for other in now.devices)
    if device.keyboard and device.works and keyboards == 1:
        return Placement("host", "host:last-keyboard", "It is the only keyboard there is.")
    return Placement("blocked", decision.rule, decision.reason)


def _with_host(device: Device, decision: Decision, now: Situation) -> Placement:
    if not device.keyboard or device.trusted or device.works:
        return Placement("host", decision.rule, decision.reason)
    if device.identity in now.failed:
        return Placement("blocked", decision.rule, now.failed[device.identity])
    return Placement("admission", decision.rule, "A new keyboard is let in once its code was typed on it.")


def _in_partition(device: Device, decision: Decision, now: Situation) -> Placement:
    identity, rule = device.identity, decision.rule
    by_person = rule == "answer"
    target = Partition(decision.verdict) if decision.verdict in ("corporate", "personal") else None
    read_only = False
    if identity in now.choices:
        choice = now.choices[identity]
        if choice is None:
            return Placement("blocked", rule, "It was taken back; attach it, or plug it in again.")
        if choice.partition.value in decision.targets:
            by_person = by_person or choice.partition is not target
            target, read_only = choice.partition, choice.read_only
    if target is None:
        reason = "The screen is locked." if now.locked else decision.reason
        return Placement("asking", rule, reason)
    read_only = read_only or target.value in decision.read_only
    wanted = Placement("attached", rule, decision.reason, target, read_only)
    held = any(_is_there(holding, device, wanted) for holding in now.holdings)
    if by_person and now.locked and not held:
        return replace(wanted, state="waiting", reason="It goes there once the screen is unlocked.")
    if target not in (now.up if held else now.running):
        return replace(wanted, state="waiting", reason=f"It goes there once the {target} partition runs.")
    if identity in now.failed and not held:
        return Placement("blocked", rule, now.failed[identity])
    return wanted


def plan(now: Situation) -> list[Action]:
    """What to do, in this order: take back, then let in. Nothing, once everything is as it should be."""
    places = {device.port: place(device, now) for device in now.devices}
    by_port = {device.port: device for device in now.devices}
    taken: list[Action] = []
    settled: set[str] = set()
    revoked: set[Identity] = set()
    for holding in now.holdings:
        device = by_port.get(holding.port)
        wanted = places[device.port] if device else None
        if (
            device is not None
            and wanted is not None
            and wanted.state == "attached"
            and _is_there(holding, device, wanted)
            and holding.port not in settled
        ):
            settled.add(holding.port)
        else:
            # What QEMU lets go of it offers to the host's drivers (usb_host_attach_kernel(),
            # hw/usb/host-libusb.c); the kernel refuses that of what is not authorised any more.
            if device is not None and _is_withdrawn(holding, device) and device.identity not in revoked:
                revoked.add(device.identity)
                taken.append(Revoke(device.identity))
            taken.append(Detach(holding))
    let_in: list[Action] = []
    free = MAX_ADMISSIONS - len(now.admitting)
    keyboards = Counter(device.keyboard and device.works for device in now.devices)[True]
    for device in now.devices:
        wanted = places[device.port]
        identity = device.identity
        if wanted.state == "host":
            done = device.authorised and (device.driver_bound or identity in now.hosted)
            if not done and not device.in_use and identity not in now.failed:
                let_in.append(Host(identity))
        elif wanted.state == "admission":
            if identity not in now.admitting and free > 0:
                free -= 1
                let_in.append(Admit(identity))
        elif wanted.state == "attached" and wanted.partition is not None:
            if device.port not in settled:
                let_in.append(Give(identity, wanted.partition, wanted.read_only))
        elif device.authorised and identity not in revoked:
            if device.keyboard and device.works:
                if keyboards == 1:
                    continue
                keyboards -= 1
            taken.append(Revoke(identity))
    return taken + let_in


def _is_withdrawn(holding: Holding, device: Device) -> bool:
    """Whether the device is to be without authorisation before its holder lets go of it.

    A keyboard that works is nobody's but the host's; who reads blocks for a partition cannot offer anything.
    """
    at_work = device.keyboard and device.works
    return _is_of(holding, device) and device.authorised and not holding.read_only and not at_work


def holder(device: Device, now: Situation) -> Partition | None:
    """The partition whose machine holds exactly this device; None for none."""
    return next((h.partition for h in now.holdings if _is_of(h, device)), None)


def _is_there(holding: Holding, device: Device, wanted: Placement) -> bool:
    """Whether this is the device where it belongs, as it belongs there."""
    return (
        _is_of(holding, device)
        and holding.partition is wanted.partition
        and holding.read_only is wanted.read_only
        and not holding.lost
    )


def _is_of(holding: Holding, device: Device) -> bool:
    identity = device.identity
    return (holding.port, holding.busnum, holding.devnum) == (
        identity.port,
        identity.busnum,
        identity.devnum,
    )

"""From what devd passes on to what is decided on, and from a decision to what people see.

Descriptors and strings are the device's own words: the bounded parser reads the former, in this process that
has no privilege, and the latter are made printable and only ever shown or compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import UNSET
from twinhull_policy.api.types import DeviceInfo, KillSwitch
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.errors import printable
from twinhull_policy.evaluate import Answers, Decision, answer_key, has_blocks
from twinhull_policy.explain import usb_facts
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.kinds import kind_of
from twinhull_policy.model import OwnerRules
from twinhull_policy.senses import senses

from ..devices.results import UsbDevice
from .device_plan import Device, Identity, Placement

STRING_LIMIT = 40
"""Characters shown of what a device calls its maker or itself."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as its descriptors and strings tell it."""

    facts: DeviceFacts
    senses: frozenset[KillSwitch]
    label: str


def identity_of(row: UsbDevice) -> Identity:
    """Which device this is."""
    return Identity(row.port, row.sha256, row.busnum, row.devnum)


def see(row: UsbDevice) -> Seen:
    """Read a device's descriptors and strings."""
    serial = printable(row.untrusted_serial.strip(), 126)
    facts = usb_facts(row.untrusted_descriptors, serial=serial, port=row.port, removable=row.removable)
    maker = printable(row.untrusted_manufacturer.strip(), STRING_LIMIT)
    product = printable(row.untrusted_product.strip(), STRING_LIMIT)
    if maker and product.lower().startswith(maker.lower()):
        maker = ""
    label = f"{maker} {product}".strip() or f"USB device {facts.vendor}:{facts.product}"
    return Seen(facts, senses(row.untrusted_descriptors), label)


def human_name(label: str, facts: DeviceFacts, owner: OwnerRules) -> str:
    """The name people know: ``Logitech C920 (camera), left port``."""
    names = {} if owner.ports is UNSET else owner.ports
    place = names.get(facts.port, f"port {facts.port}")
    return f"{label} ({kind_of(facts)}), {place}"


def twins(devices: Iterable[Device]) -> frozenset[tuple[str, str, str, str]]:
    """The keys under which several devices that are here would be answered for alike.

    Which of them the person meant cannot be told, so no answer counts for any (features.md, ambiguity).
    """
    counted = Counter(answer_key(device.facts) for device in devices)
    return frozenset(key for key, times in counted.items() if times > 1)


def decide_all(devices: Iterable[Device], rules: CompiledPolicy, answers: Answers) -> dict[str, Decision]:
    """The decision on each device, by port."""
    devices = list(devices)
    alike = twins(devices)
    kept = {key: answer for key, answer in answers.items() if key not in alike} if alike else answers
    return {device.port: rules.decide(device.facts, kept) for device in devices}


def usb_info(
    device: Device,
    seen: Seen,
    decision: Decision,
    placement: Placement,
    *,
    owner: OwnerRules,
    held: bool,
    code: str,
    typed: int,
    twin: bool,
) -> DeviceInfo:
    """A device as the bus shows it.

    Args:
        held: whether the machine has it already.
        code: that is to be typed on a new keyboard, ``typed`` how much of it was.
        twin: whether another device here would be answered for alike.
    """
    state, partition = placement.state, placement.partition
    if state == "attached" and not held:
        state = "waiting"
    return DeviceInfo(
        id=f"usb-{device.port}",
        bus="usb",
        name=human_name(seen.label, device.facts, owner),
        port=device.port,
        verdict=decision.verdict,
        rule=placement.rule,
        reason=placement.reason,
        attached_to=partition.value if state == "attached" and partition else "",
        state=state,
        kind=kind_of(device.facts),
        targets=list(decision.targets) if state != "blocked" or placement.rule == decision.rule else [],
        code=code if state == "admission" else "",
        typed=typed if state == "admission" else 0,
        remember=not twin and (decision.verdict == "ask" or decision.rule == "answer"),
        read_only=placement.read_only and state == "attached",
        blocks=has_blocks(device.facts),
        model=f"{device.facts.vendor}:{device.facts.product}",
        interfaces=list(device.facts.interfaces),
        facts_sha256=device.identity.sha256,
    )

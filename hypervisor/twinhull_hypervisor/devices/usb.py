"""The USB devices that are plugged in, from sysfs, and the evaluator's verdict on each.

Facts come from the raw ``descriptors`` file, which the kernel offers also for a device that was never
authorised (Documentation/ABI/stable/sysfs-bus-usb). This module looks and never acts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.descriptors import MAX_BYTES, MalformedDescriptors, parse_usb_descriptors
from twinhull_policy.errors import printable
from twinhull_policy.evaluate import decide
from twinhull_policy.facts import DeviceFacts
from twinhull_policy.model import OwnerRules, Policy

_DEVICE = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
"""A device and not an interface (1-1:1.0) or a root hub (usb1)."""


def list_usb_devices(policy: Policy | None, sysfs: Path = Path("/sys")) -> list[DeviceInfo]:
    """Every USB device with its verdict, in port order.

    Args:
        policy: the corporate policy in force; without one every device is the host's to refuse.
        sysfs: where sysfs is, for tests.
    """
    directory = sysfs / "bus/usb/devices"
    if not directory.is_dir():
        return []
    found = sorted(entry for entry in directory.iterdir() if _DEVICE.fullmatch(entry.name))
    return [_look_at(entry, policy) for entry in found]


def _look_at(device: Path, policy: Policy | None) -> DeviceInfo:
    facts = _facts(device)
    name = " ".join(filter(None, (_text(device, "manufacturer"), _text(device, "product"))))
    verdict: Literal["deny", "host", "corporate", "personal", "ask"] = "deny"
    rule, reason = "default", "There is no policy yet, so nothing may have it."
    if policy is not None:
        decision = decide(facts, policy, OwnerRules(), {})
        verdict, rule, reason = decision.verdict, decision.rule, decision.reason
    return DeviceInfo(
        id=f"{facts.vendor}:{facts.product}",
        bus="usb",
        name=name or f"USB device {facts.vendor}:{facts.product}",
        port=device.name,
        verdict=verdict,
        rule=rule,
        reason=reason,
    )


def _facts(device: Path) -> DeviceFacts:
    removable = _text(device, "removable") != "fixed"
    try:
        with (device / "descriptors").open("rb") as file:
            untrusted_descriptors = file.read(MAX_BYTES + 1)
        return parse_usb_descriptors(
            untrusted_descriptors, serial=_text(device, "serial")[:126], port=device.name, removable=removable
        )
    except (OSError, MalformedDescriptors) as error:
        return DeviceFacts(
            bus="usb",
            vendor="0000",
            product="0000",
            port=device.name,
            removable=removable,
            malformed=printable(str(error), 200),
        )


def _text(device: Path, name: str) -> str:
    """A string the device says of itself, made printable; empty when it says none."""
    try:
        with (device / name).open("rb") as file:
            untrusted_text = file.read(256)
    except OSError:
        return ""
    return printable(untrusted_text.decode("utf-8", "replace").strip(), 126)

"""What a person can want of a device, and asking the daemon for it. No widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import UNSET
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.parse import canonical, parse_owner_rules

from twinhull_client.bus import Daemon
from twinhull_client.gui.errors import DeviceGone, PortNameTaken

Verb = Literal["corporate", "personal", "deny", "detach", "forget", "name"]
PORT_NAME_LIMIT = 40
"""Longest name of a port, characters (docs/policy.md)."""


@dataclass(frozen=True)
class Wish:
    """One wish.

    Attributes:
        device: as it was shown when the person chose.
        verb: a partition it is to go to, or what else is to be done with it.
        read_only: of storage only what it holds, to be read; for this time.
        remember: answer the same from now on; only for a device that asks.
        name: what its port is to be called, empty for no name; only for ``name``.
    """

    device: DeviceInfo
    verb: Verb
    remember: bool = False
    read_only: bool = False
    name: str = ""


def may_go(device: DeviceInfo, place: str) -> bool:
    """Whether the person may send a device to a partition, or (``nobody``) take it from one."""
    if place == "nobody":
        return device.bus == "usb" and device.state in ("attached", "waiting")
    return place in device.targets and place != device.attached_to


def may_read(device: DeviceInfo) -> bool:
    """Whether the person may have only its blocks read somewhere."""
    return device.blocks and any(may_go(device, place) for place in ("corporate", "personal"))


async def fulfil(daemon: Daemon, wish: Wish) -> None:
    """Do it. Raises TwinhullError: DeviceGone, PortNameTaken, or what the daemon says."""
    port = wish.device.port
    if wish.verb == "name":
        await _name_port(daemon, port, wish.name.strip())
        return
    await _require_same(daemon, wish.device)
    match wish.verb:
        case "corporate" | "personal" if wish.read_only:
            await daemon.attach_device(port, wish.verb, read_only=True)
        case "corporate" | "personal" | "deny" if wish.device.state == "asking":
            await daemon.answer_device(port, wish.verb, remember=wish.remember)
        case "corporate" | "personal":
            await daemon.attach_device(port, wish.verb)
        case "deny" | "detach":
            await daemon.detach_device(port)
        case "forget":
            await daemon.forget_device(port)


async def _require_same(daemon: Daemon, device: DeviceInfo) -> None:
    """The person chose for what they saw: another device in the same port gets none of it."""
    for now in await daemon.devices():
        if now.id == device.id and now.facts_sha256 == device.facts_sha256 and now.name == device.name:
            return
    raise DeviceGone(port=device.port)


async def _name_port(daemon: Daemon, port: str, name: str) -> None:
    rules = parse_owner_rules((await daemon.owner_rules()).encode())
    names = {} if rules.ports is UNSET else dict(rules.ports)
    names.pop(port, None)
    if name in names.values():
        raise PortNameTaken(name=name)
    if name:
        names[port] = name
    changed = msgspec.structs.replace(rules, ports=names or UNSET)
    await daemon.set_owner_rules(canonical(parse_owner_rules(canonical(changed))).decode())

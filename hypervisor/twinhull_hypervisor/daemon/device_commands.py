"""What a person can ask of devices by hand. Every answer is bounded by what ``decide`` allows."""

from __future__ import annotations

import asyncio
import logging

import msgspec
from twinhull_policy.api.types import DeviceInfo, KillSwitch
from twinhull_policy.errors import TwinhullError, printable
from twinhull_policy.evaluate import Answer, answer_key, has_blocks
from twinhull_policy.names import Partition
from twinhull_policy.parse import canonical

from ..devices.results import PciFacts
from .device_errors import (
    CannotRemember,
    NoDevice,
    NotAllowed,
    NotAsked,
    NotAttached,
    NotGiven,
    PciOnlyAtStart,
    ReadOnlyOnlyForStorage,
    ScreenLocked,
    SwitchIncomplete,
)
from .device_pci import pci_grants, pci_infos, pci_senses
from .device_plan import Choice, Device, Situation, holder, place
from .device_ports import Devd
from .device_view import twins
from .devices import DeviceManager
from .partition_errors import NotRunning

logger = logging.getLogger(__name__)


class DeviceCommands:
    """The bus's methods about devices."""

    def __init__(self, manager: DeviceManager, devd: Devd) -> None:
        self._manager = manager
        self._devd = devd

    async def infos(self) -> list[DeviceInfo]:
        """Every device, USB first; without devd only what was last known of USB."""
        facts = await self._pci()
        if facts is None:
            return self._manager.infos()
        held = {
            address: partition.value
            for partition, guest in self._manager.machines().items()
            for address in guest.pci
        }
        return self._manager.infos() + pci_infos(facts, self._manager.rules(), held)

    async def attach(self, port: str, partition: Partition, *, read_only: bool) -> None:
        """Send a device to a partition and wait until it is there.

        Raises:
            NoDevice, PciOnlyAtStart, ReadOnlyOnlyForStorage, NotAllowed, ScreenLocked, NotRunning,
            NotGiven, DevicesNotFollowed.
        """
        async with self._manager.hands_on() as now:
            device = _find(now, port)
            decision = now.decisions[device.port]
            if partition.value not in decision.targets:
                raise NotAllowed(
                    port=device.port, target=partition.value, reason=decision.reason, rule=decision.rule
                )
            if read_only and not has_blocks(device.facts):
                raise ReadOnlyOnlyForStorage(port=device.port)
            _require_unlocked(device, now)
            if partition not in now.running:
                raise NotRunning(partition=partition.value)
            self._manager.plugged.choose(device.identity, Choice(partition, read_only))
            after = await self._manager.settle()
            if holder(device, after) is not partition:
                reason = self._manager.plugged.failure(device.identity) or _reason(device, after)
                self._manager.plugged.forget(device.identity)
                raise NotGiven(port=device.port, partition=partition.value, reason=reason)

    async def detach(self, port: str) -> None:
        """Take a device back until it is attached by hand or plugged in again.

        Raises:
            NoDevice, PciOnlyAtStart, NotAttached, DevicesNotFollowed.
        """
        async with self._manager.hands_on() as now:
            device = _find(now, port)
            if place(device, now).partition is None and holder(device, now) is None:
                raise NotAttached(port=device.port)
            self._manager.plugged.choose(device.identity, None)
            await self._manager.settle()

    async def answer(self, port: str, answer: Answer, *, remember: bool) -> None:
        """Say where a device goes that is asked about.

        Raises:
            NoDevice, PciOnlyAtStart, NotAsked, NotAllowed, ScreenLocked, CannotRemember, DevicesNotFollowed.
        """
        async with self._manager.hands_on() as now:
            device = _find(now, port)
            decision = self._manager.rules().decide(device.facts, {})
            if decision.verdict != "ask":
                raise NotAsked(port=device.port, reason=decision.reason, rule=decision.rule)
            if answer != "deny" and answer not in decision.targets:
                raise NotAllowed(port=device.port, target=answer, reason=decision.reason, rule=decision.rule)
            if remember and answer_key(device.facts) in twins(now.devices):
                raise CannotRemember(port=device.port)
            if answer != "deny":
                _require_unlocked(device, now)
            self._manager.plugged.forget(device.identity)
            if remember:
                self._manager.memory.remember(device.facts, answer)
            else:
                self._manager.memory.forget_answer(device.facts)
                choice = None if answer == "deny" else Choice(Partition(answer))
                self._manager.plugged.choose(device.identity, choice)
            await self._manager.settle()

    async def forget(self, port: str) -> None:
        """Forget what a port has seen and the answer for its device. Raises DevicesNotFollowed."""
        async with self._manager.hands_on() as now:
            device = next((d for d in now.devices if _is_called(d, port)), None)
            self._manager.memory.forget_port(port.removeprefix("usb-"))
            if device is not None:
                self._manager.memory.forget_answer(device.facts)
                self._manager.plugged.forget(device.identity)
            await self._manager.settle()

    async def switch(self, kind: KillSwitch, *, off: bool) -> None:
        """Set a kill switch; it holds from now on, whatever is raised.

        Raises:
            SwitchIncomplete: a partition still has what was switched off.
            DevicesNotFollowed: devd or libvirt does not answer, so this is not known.
        """
        self._manager.memory.switch(kind, off=off)
        self._manager.poke()
        async with self._manager.hands_on():
            now = await self._manager.settle()
            if not off:
                return
            for device in now.devices:
                if kind in device.senses and holder(device, now) is not None:
                    raise SwitchIncomplete(kind=kind, what=f"the device in port {device.port}")
            await self._manager.pci.settle()
            await self._manager.settle()
            held = {address for guest in self._manager.machines().values() for address in guest.pci}
            facts = await self._pci() if held else None
            for function in facts.functions if facts else ():
                if function.address in held and kind in pci_senses(function.class_code):
                    raise SwitchIncomplete(kind=kind, what=f"the PCI device {function.address}")

    def owner_rules(self) -> str:
        """The owner's document, indented JSON."""
        return msgspec.json.format(canonical(self._manager.memory.owner).decode(), indent=2)

    def set_owner_rules(self, document: str) -> None:
        """Replace the owner's document, or put the defaults back with an empty one. Raises PolicyError."""
        self._manager.memory.set_owner(document.encode())
        self._manager.poke()

    async def pci_for(self, partition: Partition) -> tuple[list[str], dict[str, list[str]]]:
        """The PCI functions a partition is to be started with, and those it may not have with the reasons."""
        facts = await self._pci()
        if facts is None:
            return [], {}
        off = self._manager.memory.switched_off
        return pci_grants(facts, self._manager.rules(), partition.value, off)

    async def _pci(self) -> PciFacts | None:
        """What devd says of PCI; None when it does not, and then nothing of it goes anywhere."""
        try:
            return await asyncio.to_thread(self._devd.pci)
        except TwinhullError as error:
            logger.warning("PCI devices: %s", error.message)
            return None


def _require_unlocked(device: Device, now: Situation) -> None:
    """Refuse by hand what no machine may have now. Raises ScreenLocked, NotAllowed."""
    if now.locked:
        raise ScreenLocked
    for kind in sorted(device.senses & now.switched_off):
        reason = f"the {kind} is switched off."
        raise NotAllowed(port=device.port, target="any partition", reason=reason, rule=f"host:{kind}-off")


def _find(now: Situation, untrusted_port: str) -> Device:
    device = next((d for d in now.devices if _is_called(d, untrusted_port)), None)
    if device is not None:
        return device
    if untrusted_port.removeprefix("pci-").count(":") == 2:
        raise PciOnlyAtStart
    raise NoDevice(port=printable(untrusted_port, 40))


def _is_called(device: Device, untrusted_port: str) -> bool:
    return untrusted_port in (device.port, f"usb-{device.port}")


def _reason(device: Device, now: Situation) -> str:
    again = next((d for d in now.devices if d.identity == device.identity), None)
    return "It was pulled out." if again is None else place(again, now).reason

"""The devices of this laptop: looks, decides, acts, and looks again.

One loop owns everything. Whatever happens only says that there is something to look at, and how often it is
said makes no difference: a thousand plugs a minute are one look after the other, each bounded by what is
plugged in at that moment. What to do comes from :mod:`device_plan`; devd compares again, through the handle
it writes to, that a device is the one that was decided on, and the look that follows every action takes back
what is not.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.errors import TwinhullError
from twinhull_policy.evaluate import answer_key
from twinhull_policy.model import OwnerRules, Policy
from twinhull_policy.names import Partition

from ..devices.results import UsbDevice
from ..domain.errors import HypervisorUnreachable
from ..domain.hostdev import Guest, Holding
from ..ipc import HelperUnreachable
from .device_errors import DevicesNotFollowed
from .device_journal import DeviceJournal
from .device_memory import DeviceMemory
from .device_pci_taking import PciTaking
from .device_plan import (
    Action,
    Admit,
    Detach,
    Device,
    Give,
    Host,
    Identity,
    Revoke,
    Situation,
    holder,
    place,
    plan,
)
from .device_plugged import NEVER, Admission, Plugged
from .device_ports import Devd, Guests
from .device_view import decide_all, twins, usb_info
from .session import Screen

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""Wait before devd is tried again after it went away, and between looks at a locked screen."""
LOOKS = 6
"""Looks in one round; what has taken no effect by then waits for the next round."""


class DeviceManager:
    """Follows devices and puts each where it belongs.

    Attributes:
        problem: why devices cannot be followed now, a sentence; empty when they can.
        memory: what is remembered of devices that are not plugged in.
        plugged: what is true of those that are.
        pci: functions that are being taken from machines.

    Args:
        policy: the corporate policy in force, or None.
        on_change: called when what :meth:`infos` says has changed.
        report: told of each device whose place has changed.
    """

    def __init__(
        self,
        *,
        devd: Devd,
        guests: Guests,
        memory: DeviceMemory,
        journal: DeviceJournal,
        screen: Screen,
        policy: Callable[[], Policy | None],
        on_change: Callable[[], object],
        report: Callable[[DeviceInfo], object],
    ) -> None:
        self.problem = ""
        self.memory = memory
        self.plugged = Plugged(memory.choices)
        self._devd = devd
        self._guests = guests
        self._journal = journal
        self._screen = screen
        self._policy = policy
        self._on_change = on_change
        self._report = report
        self._lock = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._rules = CompiledPolicy(None, OwnerRules())
        self._now = Situation()
        self._early = False
        self._listed = False
        self._machines: dict[Partition, Guest] | None = None
        self._infos: list[DeviceInfo] = []
        self.pci = PciTaking(devd, guests, journal.note_pci, self._later)

    def infos(self) -> list[DeviceInfo]:
        """The USB devices as they were when last looked at."""
        return list(self._infos)

    def machines(self) -> Mapping[Partition, Guest]:
        """The machines as they were when last looked at."""
        return self._machines or {}

    def rules(self) -> CompiledPolicy:
        """The documents in force, made ready anew when one of them is another."""
        policy, owner = self._policy(), self.memory.owner
        if policy is not self._rules.policy or owner is not self._rules.owner:
            self._rules = CompiledPolicy(policy, owner)
        return self._rules

    # What makes it look

    def poke(self) -> None:
        """Something may have changed: look soon. Cheap, and as often as anybody likes."""
        self._dirty.set()

    async def run(self) -> None:
        """Follow devices until cancelled."""
        self.poke()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work())
            tasks.create_task(self._forever(self._follow))
            tasks.create_task(self._forever(self._sleep_and_wake))

    async def _work(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                async with self._lock:
                    await self._round()
            except TwinhullError as error:
                logger.warning("devices: %s", error.message)
            except Exception:
                logger.exception("devices: unexpected")
                await asyncio.sleep(RETRY_SECONDS)

    async def _forever(self, follow: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await follow()
            except TwinhullError as error:
                logger.info("devices: %s", error.message)
            except Exception:
                logger.exception("devices: unexpected")
            self.poke()
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        # A devd that was started anew waits for no code any more.
        self.plugged.admissions.clear()
        async for event in self._devd.watch():
            self.plugged.hear(event)
            self.poke()

    async def _sleep_and_wake(self) -> None:
        async for sleeping in self._screen.sleeps():
            if sleeping:
                self.plugged.sleep(self._now.devices)
            else:
                self.plugged.wake(_time())
                self.poke()

    def _later(self, seconds: float) -> None:
        if seconds < NEVER:
            asyncio.get_running_loop().call_later(seconds, self.poke)

    # Looking

    async def _look(self) -> Situation:
        """Everything as it is now, or as it was last known where somebody does not answer."""
        problems = []
        try:
            rows, self._early = await asyncio.to_thread(self._devd.usb)
            self.plugged.take(rows, _time())
            self._listed = True
        except TwinhullError as error:
            problems.append(error.message)
        try:
            self._machines = dict(await asyncio.to_thread(self._guests.guests))
        except TwinhullError as error:
            problems.append(error.message)
        self.problem = " ".join(problems)
        locked = await self._screen.locked()
        machines, plugged, rules = self.machines(), self.plugged, self.rules()
        devices = tuple(self._device(row, identity) for identity, row in plugged.rows.items())
        self.memory.save_seen()
        if self._listed:
            self.memory.keep_choices(plugged.choices)
        self._now = Situation(
            devices=devices,
            decisions=decide_all(devices, rules, self.memory.answers),
            running=frozenset(name for name, guest in machines.items() if guest.running),
            up=frozenset(machines),
            holdings=tuple(holding for guest in machines.values() for holding in guest.holdings),
            choices=dict(plugged.choices),
            admitting=frozenset(plugged.admissions),
            suspended=frozenset(plugged.suspended),
            failed=plugged.failed(_time()),
            hosted=frozenset(plugged.hosted),
            switched_off=self.memory.switched_off,
            locked=locked,
        )
        return self._now

    def _device(self, row: UsbDevice, identity: Identity) -> Device:
        seen = self.plugged.seen[identity]
        return Device(
            identity,
            self.memory.see(seen.facts, identity.sha256),
            authorised=row.authorised,
            driver_bound=row.driver_bound,
            trusted=row.at_boot or identity in self.plugged.trusted,
            in_use=row.at_boot and row.driver_bound and not self._early,
            senses=seen.senses,
        )

    # Acting

    async def _round(self) -> None:
        """Look and act until nothing is left to do; then tell whoever wants to know."""
        for _ in range(LOOKS):
            if not await self._do(self._possible(plan(await self._look()))):
                break
        else:
            await self._look()
            self._later(RETRY_SECONDS)
        self._tell()
        await self.pci.look(self.machines(), self.rules(), self.memory.switched_off)

    def _possible(self, actions: list[Action]) -> list[Action]:
        """Before anybody has looked at what is plugged in, or at the machines, nothing is taken from them."""
        if not self._listed:
            return []
        if self._machines is None:
            return [action for action in actions if isinstance(action, Host | Admit)]
        return actions

    async def _do(self, actions: list[Action]) -> bool:
        """Act; whether anything came of it, so that another look is worth while."""
        stuck: set[str] = set()
        done = False
        for action in actions:
            if isinstance(action, Give) and action.device.port in stuck:
                continue
            try:
                await self._act(action)
                done = True
            except TwinhullError as error:
                logger.warning("%s: %s", action, error.message)
                if isinstance(action, Detach):
                    # Until it has let go, nobody else gets it.
                    stuck.add(action.holding.port)
                if isinstance(error, HelperUnreachable | HypervisorUnreachable):
                    self.problem = error.message
                elif isinstance(action, Detach | Revoke):
                    self._later(RETRY_SECONDS)
                else:
                    self._later(self.plugged.fail(action.device, error.message, _time()))
                    done = True
        return done

    async def _act(self, action: Action) -> None:
        match action:
            case Detach(holding):
                await asyncio.to_thread(self._guests.detach, holding)
            case Revoke(identity):
                await asyncio.to_thread(self._devd.revoke, identity.port)
            case Host(identity):
                await asyncio.to_thread(self._devd.authorise, self.plugged.rows[identity], "host")
                self.plugged.hosted.add(identity)
            case Admit(identity):
                await self._admit(identity)
            case Give(identity, partition, read_only):
                await self._give(identity, partition, read_only=read_only)

    async def _admit(self, identity: Identity) -> None:
        row = self.plugged.rows[identity]
        if row.authorised:
            # An admission that was broken off, or whose code a process before this one knew; ended before
            # another one begins.
            await asyncio.to_thread(self._devd.revoke, identity.port)
            return
        code = f"{secrets.randbelow(10**6):06d}"
        # Known before it begins: how it ends may be heard before the call that began it has returned.
        self.plugged.admissions[identity] = Admission(code)
        try:
            await asyncio.to_thread(self._devd.admit, row, code)
        except BaseException:
            self.plugged.admissions.pop(identity, None)
            raise

    async def _give(self, identity: Identity, partition: Partition, *, read_only: bool) -> None:
        row, socket = self.plugged.rows[identity], ""
        if read_only:
            socket = await asyncio.to_thread(self._devd.lend, row, partition)
        else:
            await asyncio.to_thread(self._devd.authorise, row, "guest")
        holding = Holding(partition, identity.port, identity.busnum, identity.devnum, read_only)
        try:
            await asyncio.to_thread(self._guests.attach, holding, socket)
        except TwinhullError:
            await asyncio.to_thread(self._devd.revoke, identity.port)
            raise
        self.plugged.succeed(identity)

    # Telling

    def _tell(self) -> None:
        now, infos, waits = self._now, [], False
        alike = twins(now.devices)
        for device in now.devices:
            placement = place(device, now)
            admission = self.plugged.admissions.get(device.identity, Admission())
            info = usb_info(
                device,
                self.plugged.seen[device.identity],
                now.decisions[device.port],
                placement,
                owner=self._rules.owner,
                held=holder(device, now) is not None,
                code=admission.code,
                typed=admission.typed,
                twin=answer_key(device.facts) in alike,
            )
            infos.append(info)
            waits = waits or info.state in ("asking", "waiting")
            outcome = replace(placement, state=info.state)
            if self._journal.tell(info.name, device.identity, device.facts, outcome):
                self._report(info)
        self._journal.keep_only({device.port for device in now.devices})
        if waits and now.locked:
            self._later(RETRY_SECONDS)
        if infos != self._infos:
            self._infos = infos
            self._on_change()

    # What a person asks for (device_commands)

    @asynccontextmanager
    async def hands_on(self) -> AsyncIterator[Situation]:
        """Look, and let the caller change what the person wants; nothing happens in between.

        Raises:
            DevicesNotFollowed: devd or libvirt does not answer, so what is there is not known.
        """
        async with self._lock:
            now = await self._look()
            if self.problem:
                raise DevicesNotFollowed(reason=self.problem)
            yield now

    async def settle(self) -> Situation:
        """Inside ``hands_on``: act on it now; the situation that came of it."""
        await self._round()
        return self._now


def _time() -> float:
    return asyncio.get_running_loop().time()

"""The core's devices on a model laptop: manager, state and socket are real, ports and machines models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import structs
from twinhull_hypervisor.daemon.device_commands import DeviceCommands
from twinhull_hypervisor.daemon.device_journal import DeviceJournal
from twinhull_hypervisor.daemon.device_memory import DeviceMemory
from twinhull_hypervisor.daemon.devices import DeviceManager
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.devices.client import DevdClient
from twinhull_policy.api.types import DeviceInfo
from twinhull_policy.example import example_policy
from twinhull_policy.model import DeviceRule, Match, OwnerRule, OwnerRules, Policy
from twinhull_policy.names import Partition
from twinhull_policy.parse import canonical

from tests.support.devd_model import Machines, Ports, running_devd

SOON = 60.0
"""Seconds after which what was waited for does not come any more."""
TICK = 0.005


class ModelScreen:
    """A person's session, as a test says it is."""

    def __init__(self) -> None:
        self.is_locked = False
        self.sleep: asyncio.Queue[bool] = asyncio.Queue()

    async def locked(self) -> bool:
        return self.is_locked

    async def sleeps(self) -> AsyncIterator[bool]:
        while True:
            yield await self.sleep.get()


class DeviceLaptop:
    """A laptop whose core follows devices.

    Attributes:
        ports: what is plugged in, behind devd's socket.
        machines: both machines.
        policy: the corporate policy in force; ``set_rules`` makes one.
        reports: what was told for the fleet server.
        changes: how often the bus would have said so.
        goal: state and partition that a device is to get to, for :meth:`arrives`.
    """

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "devd.sock"
        self.state = State(directory / "state.sqlite")
        self.ports = Ports()
        self.machines = Machines(self.ports)
        self.screen = ModelScreen()
        self.policy: Policy | None = None
        self.reports: list[DeviceInfo] = []
        self.changes = 0
        self.goal = ("attached", "personal")
        self.boot = "boot-1"
        self._devd = ExitStack()
        self._task: asyncio.Task[None] | None = None
        self.start_devd()
        self.new_core()

    def start_devd(self) -> None:
        """devd comes."""
        self._devd.enter_context(running_devd(self.ports, self.socket))

    def stop_devd(self) -> None:
        """devd goes."""
        self._devd.close()

    def new_core(self) -> None:
        """A core that has just started, over the same state."""
        client = DevdClient(self.socket, timeout=SOON)
        self.manager = DeviceManager(
            devd=client,
            guests=self.machines,
            memory=DeviceMemory(self.state, self.boot),
            journal=DeviceJournal(self.state),
            screen=self.screen,
            policy=lambda: self.policy,
            on_change=self._changed,
            report=self.reports.append,
        )
        self.commands = DeviceCommands(self.manager, client)

    def _changed(self) -> None:
        self.changes += 1

    async def start_core(self) -> None:
        """Let it follow devices."""
        self._task = asyncio.create_task(self.manager.run())

    async def stop_core(self) -> None:
        """It ends; machines and devd go on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def restart_core(self) -> None:
        """It ends and comes back."""
        await self.stop_core()
        self.new_core()
        await self.start_core()

    def set_rules(self, **rules: tuple[str, Match]) -> None:
        """A corporate policy with these rules: name -> (verdict, match); the verdict may add an access."""
        made = []
        for name, (words, match) in rules.items():
            verdict, _, access = words.partition(" ")
            fields = {"name": name.replace("_", "-"), "match": match, "verdict": verdict}
            made.append(msgspec.convert(fields | ({"access": access} if access else {}), DeviceRule))
        self.policy = structs.replace(example_policy(), devices=tuple(made))
        self.manager.poke()

    def set_owner(self, to: str, match: Match | None = None) -> None:
        """The owner's document with one rule; ``to`` may add an access."""
        to, _, access = to.partition(" ")
        fields = {"name": "o", "match": match or Match(), "to": to}
        rule = msgspec.convert(fields | ({"access": access} if access else {}), OwnerRule)
        self.commands.set_owner_rules(canonical(OwnerRules(devices=(rule,))).decode())

    async def goes_to_sleep(self) -> None:
        """The computer goes to sleep, and the core has heard of it."""
        await self.screen.sleep.put(True)
        await self.until(self.screen.sleep.empty)
        await asyncio.sleep(TICK)

    def info(self, port: str) -> DeviceInfo | None:
        """A device as the bus shows it."""
        return next((info for info in self.manager.infos() if info.port == port), None)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so; AssertionError when it does not come about."""
        for _ in range(round(SOON / TICK)):
            if true():
                return
            await asyncio.sleep(TICK)
        raise AssertionError(f"not so: {self.manager.infos()} {self.machines.history}")

    async def becomes(self, port: str, state: str, attached_to: str = "") -> DeviceInfo:
        """Wait until a device is somewhere, seen by a look that begins now; how it is then."""
        if not self.manager.problem:
            await self.rest()

        def there() -> bool:
            info = self.info(port)
            return info is not None and (info.state, info.attached_to) == (state, attached_to)

        await self.until(there)
        info = self.info(port)
        assert info is not None
        return info

    async def arrives(self, port: str) -> DeviceInfo:
        """Wait until a device is where this test says that it gets."""
        return await self.becomes(port, *self.goal)

    async def is_out(self, port: str) -> None:
        """Wait until a device is known, and nobody may use it."""
        await self.until(
            lambda: (info := self.info(port)) is not None and info.state in ("waiting", "blocked")
        )
        await self.until(lambda: not self.ports.at(port).authorised)

    async def rest(self) -> None:
        """Everything that is going to happen now has happened when this returns."""
        async with self.manager.hands_on():
            await self.manager.settle()

    def lines(self) -> list[str]:
        """The owner's log on devices."""
        return [entry.text for entry in self.state.read_log(1000)]

    def close(self) -> None:
        """Take everything down."""
        self.stop_devd()
        self.state.close()


@asynccontextmanager
async def device_laptop(directory: Path) -> AsyncIterator[DeviceLaptop]:
    """A laptop with both machines running and its core following devices."""
    laptop = DeviceLaptop(directory)
    laptop.machines.start(*Partition)
    try:
        await laptop.start_core()
        yield laptop
    finally:
        await laptop.stop_core()
        laptop.close()

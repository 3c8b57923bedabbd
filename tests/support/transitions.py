"""The core, killed before any named transition of something that is being done, and started again.

A transition is whatever changes something that outlives the process: what is written down (a transaction, by
the documents in it), a verb of netd's, a call that changes a machine, a file that is renamed or removed. Each
runs in a process of its own over a copy of the same laptop; machines, which libvirt keeps, are put back as
they were when the core died.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sdbus import sd_bus_open_system
from twinhull_hypervisor.daemon import partitions, specs
from twinhull_hypervisor.daemon.main import build
from twinhull_hypervisor.daemon.state import State
from twinhull_hypervisor.domain.machine import Machine
from twinhull_hypervisor.network.client import NetdClient
from twinhull_hypervisor.settings import HostSettings
from twinhull_hypervisor.storage import base
from twinhull_policy.model import LeaseSection
from twinhull_policy.names import Partition

from tests.support.core_laptop import LIBVIRT, CoreLaptop, SetClocks
from tests.support.hypervisor import QUICK
from tests.support.logind import Logind
from tests.support.signing import Corporate

LEASE = LeaseSection(offline_hours=168, warning_hours=24, network_hours=6)
MACHINE = (
    "<domain type='test'><name>{}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>"
    "<os><type>hvm</type></os></domain>"
)
CHANGES = ("os.rename", "os.remove", "os.truncate")
"""Audit events (PEP 578), beside ``open`` for writing."""
Machines = dict[str, str]
"""What each machine does: running, paused or absent."""
RUNNING: Machines = {name.value: "running" for name in Partition}


class Killer:
    """Counts transitions of this process; kills it before the chosen one and says which that is.

    Args:
        number: of the transition, from 0; None to go to the end.
        tell: a pipe's descriptor.
    """

    def __init__(self, number: int | None, tell: int, machines: Callable[[], Machines]) -> None:
        self._number = number
        self._tell = tell
        self._machines = machines
        self.steps: list[str] = []
        self.armed = False
        self._one = threading.Lock()

    def step(self, name: str) -> None:
        """Before a transition."""
        if not self.armed:
            return
        with self._one:
            if len(self.steps) == self._number:
                self._kill(name)
            self.steps.append(name)

    def now(self) -> None:
        """At this instant, unless the work has ended."""
        if self.armed:
            self._kill("an instant")

    def _kill(self, step: str) -> None:
        told = {"step": step, "machines": self._machines()}
        os.write(self._tell, json.dumps(told).encode())
        os.kill(os.getpid(), signal.SIGKILL)


def watch(killer: Killer, directory: Path) -> None:
    """Have every transition in this process be a step; for good, so only where the process ends with it."""
    names: list[str] = []
    put, forget, log, transaction = State.put_bytes, State.forget, State.log, State.transaction
    write_copy = State._write_copy

    def named(method: Any, name: Callable[..., str]) -> Any:
        def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
            with self.transaction():
                names.append(name(*arguments))
                return method(self, *arguments, **more)

        return wrapped

    @contextmanager
    def watched(self: State) -> Iterator[None]:
        with self._lock:
            nested = self._connection.in_transaction
            if not nested:
                names.clear()
            with transaction(self):
                yield
                if not nested and names and self._copy is not None and not self._changed:
                    killer.step("commit " + ", ".join(dict.fromkeys(names)))

    def copied(self: State) -> None:
        killer.step("copy " + ", ".join(dict.fromkeys(names)))
        write_copy(self)
        killer.step("commit " + ", ".join(dict.fromkeys(names)))

    for attribute, wrapper in (
        ("put_bytes", named(put, lambda name, _: name)),
        ("forget", named(forget, lambda *gone: "no " + ", no ".join(gone))),
        ("log", named(log, lambda kind, *_: f"log ({kind})")),
        ("transaction", watched),
        ("_write_copy", copied),
    ):
        setattr(State, attribute, wrapper)

    def before(owner: Any, attribute: str, name: Callable[..., str]) -> None:
        method = getattr(owner, attribute)

        def wrapped(*arguments: Any, **more: Any) -> Any:
            killer.step(name(*arguments))
            return method(*arguments, **more)

        setattr(owner, attribute, wrapped)

    before(NetdClient, "_call", lambda _, verb, *__: f"netd {verb}")
    for verb in ("start_paused", "resume", "suspend", "shutdown", "destroy"):
        before(Machine, verb, lambda *_, verb=verb: f"machine {verb}")
    before(partitions, "start_paused", lambda *_: "machine start_paused")

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if (writes or event in CHANGES) and str(directory) in str(arguments[0]):
            path = Path(os.fsdecode(arguments[1 if event == "os.rename" else 0]))
            if "volumes" in path.parts or path.name.startswith("state.sqlite"):
                killer.step(f"{'write' if writes else event.removeprefix('os.')} {_kind(path)}")

    sys.addaudithook(audit)


def _kind(path: Path) -> str:
    """A file by what it is, without what is random or a time in its name."""
    name = path.name.split(".damaged")[0] + ("(damaged)" if ".damaged" in path.name else "")
    if name.lstrip(".").startswith("header-"):
        return "header backup"
    if path.parent.name.startswith(("s-", ".s-")):
        return f"snapshot's {name}"
    return "snapshot" if name.startswith(("s-", ".s-")) else name


class Laptop(CoreLaptop):
    """A laptop whose core runs in this process, with no bus before it.

    Attributes:
        killer: counts what it does.
    """

    async def boot(self, machines: Machines) -> None:
        """Machines are there as libvirt has kept them; the core starts and has brought all together."""
        for name, doing in machines.items():
            if doing != "absent":
                domain = self.hypervisor.connection().createXML(MACHINE.format(f"twinhull-{name}"), 0)
                if doing == "paused":
                    domain.suspend()
        bus = sd_bus_open_system()
        loop = asyncio.get_running_loop()
        self.core, hypervisor = build(
            self.paths,
            HostSettings(allow_unconfined=True),
            Path("/nonexistent/kernel"),
            loop,
            bus,
            release="0",
            clocks=self.clocks,
            libvirt_uri=LIBVIRT,
        )
        self._closing = [hypervisor.close, bus.close]
        await self.recover()

    async def recover(self) -> None:
        """What ``Core.run`` begins with."""
        core = self.core
        await core.wipes.finish()
        await core._enforce_lease()
        await core.partitions.reconcile()
        await core.fleet.accept()
        await core._commands.carry_out(core._corporate)
        await core._enforce_lease()

    def machines(self) -> Machines:
        """What libvirt says now."""
        return {name.value: self.machine(name) for name in Partition}


@dataclass(frozen=True)
class Base:
    """A laptop's directory, and what is known of it elsewhere.

    ``seq`` and ``last`` are the server's: number and hash of its last statement.
    """

    directory: Path
    company: Corporate
    clocks: SetClocks
    machines: Machines
    seq: int = 0
    last: str = ""
    enrolled: bool = True


def laptop_of(base: Base, directory: Path) -> Laptop:
    """The laptop in a directory that is a copy of the base's."""
    laptop = Laptop(directory, Logind(), LEASE, enrolled=False, company=base.company)
    clocks = base.clocks
    laptop.clocks = SetClocks(wall=clocks.wall, boottime=clocks.boottime, boot=clocks.boot)
    laptop._seq, laptop._last = base.seq, base.last
    return laptop


class Account:
    """Whom a machine would run as."""

    pw_uid, pw_gid = 65534, 65534


def played_guests() -> tuple[tuple[Any, str, Any], ...]:
    """Module, name and stand-in of what has a start go through: libvirt's test driver has neither QEMU nor
    secrets, so it makes a machine of its own.
    """

    def start_paused(hypervisor: Any, machine: Any, *_: Any) -> None:
        # It knows no flag to start paused.
        hypervisor.connection().createXML(MACHINE.format(f"twinhull-{machine._partition}"), 0).suspend()

    accounts = type("Accounts", (), {"getpwnam": staticmethod(lambda _: Account)})
    return (
        (partitions, "start_paused", start_paused),
        (partitions, "forget_secret", lambda *_: None),
        (specs, "pwd", accounts),
        (base, "for_this_machine", lambda: QUICK),
    )


def in_child(work: Callable[[int], Awaitable[object]]) -> tuple[str, int]:
    """Do work in a process of its own: what it told the pipe, and how it ended (as ``os.waitpid`` says)."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        status = 3
        try:
            os.close(told)
            for module, name, stand_in in played_guests():
                setattr(module, name, stand_in)
            asyncio.run(_whole(work(tell)))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(tell)
    with os.fdopen(told) as pipe:
        text = pipe.read()
    return text, os.waitpid(child, 0)[1]


async def _whole(work: Awaitable[object]) -> None:
    await work


def copy(base: Base, to: Path) -> Path:
    """The base's laptop, to be worked on; nothing in it says where it is but the overlays' backing files."""
    if to.exists():
        shutil.rmtree(to)
    shutil.copytree(base.directory, to, ignore=shutil.ignore_patterns("*.sock"))
    return to


def killed_at(
    base: Base,
    directory: Path,
    number: int | None,
    work: Callable[[Laptop], Awaitable[object]],
    *,
    after: float | None = None,
) -> tuple[str | None, Machines, list[str]]:
    """Do ``work`` on a copy of the base's laptop and kill the core before the transition of that number.

    Args:
        after: or so many seconds after it has begun, wherever it is then.

    Returns:
        The transition, None when the work came to its end before it; what the machines did then; and in that
        case all transitions there were.
    """
    copy(base, directory)

    async def child(tell: int) -> None:
        laptop = laptop_of(base, directory)
        await laptop.boot(base.machines)
        killer = Killer(number, tell, laptop.machines)
        watch(killer, directory)
        killer.armed = True
        if after is not None:
            timer = threading.Timer(after, killer.now)
            timer.daemon = True
            timer.start()
        await work(laptop)
        killer.armed = False
        told = {"step": None, "machines": laptop.machines(), "steps": killer.steps}
        os.write(tell, json.dumps(told).encode())

    text, status = in_child(child)
    told = json.loads(text)
    assert (os.WIFSIGNALED(status), status) != (False, 3), text
    assert os.WIFSIGNALED(status) == (told["step"] is not None)
    return told["step"], told["machines"], told.get("steps", [])


def restarted(
    base: Base,
    directory: Path,
    machines: Machines,
    look: Callable[[Laptop], Awaitable[object]],
) -> Any:
    """The core starts on what is in the directory; what ``look`` says of it, as JSON."""

    async def child(tell: int) -> None:
        laptop = laptop_of(base, directory)
        await laptop.boot(machines)
        os.write(tell, msgspec.json.encode(await look(laptop)))

    text, status = in_child(child)
    assert status == 0, "the core did not start again"
    return json.loads(text)

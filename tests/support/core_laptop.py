"""A laptop whose core is the real one: on its own bus, over libvirt's test driver, with clocks a test sets.

Real: the service and its bus, the state database, the inbox with a company that signs, the socket to netd and
logind's interface. Stood in for: polkit, which allows everything; netd behind its socket, which only
remembers; and the guests, which libvirt's own test driver plays. fetch and devd are away, as they may be.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt  # type: ignore[import-untyped]
import msgspec
from msgspec import UNSET, UnsetType
from sdbus import SdBus, sd_bus_open_system
from twinhull_hypervisor.daemon.authority import Polkit
from twinhull_hypervisor.daemon.inbox import Inbox
from twinhull_hypervisor.daemon.main import build
from twinhull_hypervisor.daemon.paths import Paths
from twinhull_hypervisor.daemon.service import DaemonService
from twinhull_hypervisor.daemon.state import PARTITION_DOCUMENTS, Identity, PartitionRecord, State
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.ipc import listening_socket, serve
from twinhull_hypervisor.network.results import NetworkStatus, SideStatus, TunnelStatus
from twinhull_hypervisor.settings import HostSettings
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH, DaemonError, DaemonInterface
from twinhull_policy.api.types import Status
from twinhull_policy.errors import ErrorReport
from twinhull_policy.example import example_policy
from twinhull_policy.lease import HOUR, Reading
from twinhull_policy.model import LeaseSection
from twinhull_policy.names import Partition
from twinhull_policy.trust.documents import ImageReference, Images
from twinhull_policy.trust.envelope import envelope_hash

from tests.support.logind import Logind, running_logind
from tests.support.polkit import running_polkit
from tests.support.private_bus import private_bus
from tests.support.signing import DEVICE, Corporate

IMAGE = ImageReference(target="images/corporate-0.qcow2", sha256="ab" * 32, length=1000)
LIBVIRT = "test:///default"
ANSWERS = {"tap": {"tap": "th-corp0"}, "identity": {"public_key": "A" * 42 + "8="}}
"""What the netd that only remembers answers; nothing to every other verb."""
SOON = 60.0
"""Seconds after which what was waited for does not come any more."""


@dataclass
class SetClocks:
    """Clocks that stand still until a test moves them; the wall clock begins at the true time."""

    wall: int = field(default_factory=lambda: int(time.time()))
    boottime: int = 1000
    boot: int = 1

    def read(self) -> Reading:
        """All of them now."""
        return Reading(wall=self.wall, boottime=self.boottime, boot_id=f"boot-{self.boot}")

    def go_on(self, hours: float) -> None:
        """Time goes by, awake or asleep."""
        self.wall += int(hours * HOUR)
        self.boottime += int(hours * HOUR)

    def reboot(self, off_hours: float = 0) -> None:
        """The computer was off and comes up again."""
        self.wall += int(off_hours * HOUR)
        self.boottime = 10
        self.boot += 1


class RecordingNetd:
    """netd's socket and verbs, with nothing behind them but a list of what was asked for."""

    def __init__(self, path: Path) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.tunnel = False
        self._listener = listening_socket(path)
        verbs = ("identity", "corporate_up", "corporate_cut", "personal_up", "adopt", "down", "status", "tap")
        handlers = {verb: self._verb(verb) for verb in verbs}
        self._thread = threading.Thread(
            target=serve,
            args=(self._listener, lambda _: handlers, frozenset({os.getuid()})),
            kwargs={"connections": 8},
        )
        self._thread.start()

    def _verb(self, verb: str) -> Callable[[dict[str, Any], list[int]], Any]:
        def handle(arguments: dict[str, Any], _: list[int]) -> Any:
            if verb == "status":
                state: Any = "up" if self.tunnel else "down"
                side = SideStatus(built=self.tunnel, interfaces=["lo", "th-wg0"] if self.tunnel else [])
                return NetworkStatus(
                    state=state,
                    reason="",
                    corporate=side,
                    personal=SideStatus(built=True),
                    tunnel=TunnelStatus(),
                )
            self.calls.append((verb, arguments))
            if verb == "corporate_up":
                self.tunnel = True
            elif verb == "corporate_cut" or (verb == "down" and arguments["partition"] == "corporate"):
                self.tunnel = False
            return ANSWERS.get(verb, {})

        return handle

    def of(self, partition: Partition) -> list[tuple[str, dict[str, Any]]]:
        """What was asked for one partition."""
        return [
            (verb, arguments)
            for verb, arguments in self.calls
            if arguments.get("partition", verb.partition("_")[0]) == partition.value
        ]

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(2)
        self._thread.join()
        self._listener.close()


class CoreLaptop:
    """The laptop.

    Attributes:
        clocks: what the time is.
        netd: what netd was asked for.
        logind: the computer's sleep.
        core: the running core; ``daemon`` the same, over the bus.
        announced: what the signal ``changed`` said, in order.
    """

    def __init__(
        self,
        directory: Path,
        logind: Logind,
        lease: LeaseSection,
        *,
        enrolled: bool = True,
        company: Corporate | None = None,
    ) -> None:
        self.clocks = SetClocks()
        self.logind = logind
        self.announced: list[str] = []
        self.company = company or Corporate()
        self.paths = Paths(state=directory / "core", fetch=directory / "fetch", run=directory / "run")
        for path in (
            self.paths.state,
            self.paths.run,
            self.paths.inbox / "bodies",
            self.paths.metadata / "root_history",
        ):
            path.mkdir(parents=True, exist_ok=True)
        self.netd = RecordingNetd(self.paths.netd_socket)
        self.hypervisor = Hypervisor(LIBVIRT)
        self.lease = lease
        self.escrow_key: str | UnsetType = UNSET
        """What the next statement's policy names."""
        self.image = IMAGE
        """What the next statement names for the corporate partition."""
        self._seq, self._last = 0, ""
        if enrolled:
            self._enrol()
        self._tasks: list[asyncio.Task[Any]] = []
        self._buses: list[SdBus] = []
        self._closing: list[Callable[[], object]] = []

    def _enrol(self) -> None:
        root = self.company.root()
        (self.paths.metadata / "root_history/1.root.json").write_bytes(root)
        self._publish([IMAGE], 1)
        state = State(self.paths.database)
        state.put(
            "identity",
            Identity(
                server="https://fleet.example",
                tenant=DEVICE.tenant,
                device_id=DEVICE.device_id,
                enrol_epoch=DEVICE.enrol_epoch,
                enrolled_at=float(self.clocks.wall),
            ),
        )
        for number, name in enumerate(Partition):
            state.put(
                PARTITION_DOCUMENTS[name],
                PartitionRecord(
                    uuid=f"00000000-0000-4000-8000-00000000000{number}",
                    image=IMAGE.target,
                    image_sha256=IMAGE.sha256,
                    disk_gib=8,
                    created=True,
                    wanted="running",
                ),
            )
        Inbox(state, self.paths).pin_root(hashlib.sha256(root).hexdigest())
        state.close()
        self.statement()

    def statement(
        self, hours_ago: float = 0, true_time: int | None = None, commands: Sequence[str] = ()
    ) -> None:
        """The server's next statement comes into the inbox, issued so long ago by its own clock."""
        policy = msgspec.structs.replace(example_policy(), lease=self.lease)
        partition = msgspec.structs.replace(policy.partition, escrow_key=self.escrow_key)
        policy = msgspec.structs.replace(policy, partition=partition)
        body = self.company.body(policy)
        (self.paths.inbox / "bodies" / envelope_hash(body)).write_bytes(body)
        self._seq += 1
        issued = (true_time or self.clocks.wall) - int(hours_ago * HOUR)
        raw = self.company.statement(
            seq=self._seq,
            prev_hash=self._last,
            issued_at=issued,
            expires_at=issued + 30 * 24 * HOUR,
            policies=[envelope_hash(body)],
            images=Images(corporate=self.image),
            commands=list(commands),
        )
        self._last = envelope_hash(raw)
        (self.paths.inbox / "statement.dsse").write_bytes(raw)

    def _publish(self, images: Sequence[ImageReference], version: int) -> None:
        repository = self.company.repository(images, versions=(version, version, version))
        for name in ("timestamp", "snapshot", "targets"):
            (self.paths.metadata / f"{name}.json").write_bytes(getattr(repository, name))

    def offer(self, file: Path, target: str) -> None:
        """The server's next statement names another image; ``file`` is that, which is here already."""
        self.image = ImageReference(target=target, sha256=file.stem, length=file.stat().st_size)
        shutil.copy(file, self.paths.images)
        self._publish([IMAGE, self.image], 2)
        self.statement()

    async def contact(self, hours_ago: float = 0, true_time: int | None = None) -> None:
        """The server is heard of."""
        self.statement(hours_ago, true_time)
        await self.core.fleet.accept()

    async def start_core(self) -> None:
        """The core starts, and has taken the name on the bus."""
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
        self._service = DaemonService(self.core, Polkit(bus))
        handle = self._service.export_to_dbus(OBJECT_PATH, bus)
        await bus.request_name_async(BUS_NAME, 0)
        self.client: SdBus = sd_bus_open_system()
        # When a closed bus is collected, sdbus 0.14 takes its descriptor's reader out of the loop,
        # and by then that number may be the next one's: none is collected before the loop has ended.
        self._buses += [bus, self.client]
        self.daemon = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, self.client)
        self._tasks = [
            asyncio.create_task(self._listen()),
            asyncio.create_task(self.core.run()),
        ]
        self._closing = [
            handle.stop,
            self.core.partitions.close,
            hypervisor.close,
            self.client.close,
            bus.close,
        ]
        await self.core.fleet.accept()
        await self.look()

    async def stop_core(self) -> None:
        """It is killed: nothing is put in order."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.core.on_change = lambda _: None
        for close in self._closing:
            close()

    async def _listen(self) -> None:
        async for what in self.daemon.changed:
            self.announced.append(what)

    def create(self, name: Partition) -> Any:
        """Put a running machine there, as one that was started before this core."""
        return self.hypervisor.connection().createXML(
            f"<domain type='test'><name>twinhull-{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>"
            "<os><type>hvm</type></os></domain>",
            0,
        )

    def machine(self, name: Partition) -> str:
        """What libvirt says of a machine."""
        with suppress(libvirt.libvirtError):
            state = self.hypervisor.connection().lookupByName(f"twinhull-{name}").state()[0]
            return {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_PAUSED: "paused"}.get(
                state, "?"
            )
        return "absent"

    async def look(self) -> None:
        """The core has looked at its lease and done what follows from it."""
        await self.core.partitions.enforce_lease()

    async def passes(self, hours: float) -> None:
        """Time goes by, and the core has noticed."""
        self.clocks.go_on(hours)
        await self.look()

    async def status(self) -> Status:
        """As anybody gets it over the bus."""
        return msgspec.json.decode(await self.daemon.get_status(), type=Status)

    async def stage(self) -> str:
        """The lease's stage, over the bus."""
        return (await self.status()).lease.stage

    async def refusal(self, call: Any) -> ErrorReport:
        """How a call over the bus is refused; AssertionError when it is not."""
        try:
            await call
        except DaemonError as error:
            return msgspec.json.decode(str(error), type=ErrorReport)
        raise AssertionError("it was not refused")

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so; AssertionError when it does not come about."""
        for _ in range(round(SOON / 0.01)):
            if true():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come about")

    def log(self) -> list[str]:
        """The owner's log, what it says of the lease."""
        state = State(self.paths.database)
        try:
            return [entry.text for entry in state.read_log(1000) if entry.text.startswith("Lease")]
        finally:
            state.close()


@asynccontextmanager
async def core_laptop(
    directory: Path,
    lease: LeaseSection | None = None,
    *,
    start: bool = True,
    enrolled: bool = True,
    polkit: Callable[[], AbstractAsyncContextManager[None]] = running_polkit,
) -> AsyncIterator[CoreLaptop]:
    """A laptop with both machines running and its core looking after them."""
    lease = lease or LeaseSection(offline_hours=168, warning_hours=24, network_hours=6)
    with private_bus(directory):
        async with polkit(), running_logind() as logind:
            laptop = CoreLaptop(directory, logind, lease, enrolled=enrolled)
            for name in Partition:
                laptop.create(name)
            try:
                if start:
                    await laptop.start_core()
                yield laptop
            finally:
                await laptop.stop_core()
                for name in Partition:
                    with suppress(libvirt.libvirtError):
                        laptop.hypervisor.connection().lookupByName(f"twinhull-{name}").destroy()
                laptop.hypervisor.close()
                laptop.netd.close()

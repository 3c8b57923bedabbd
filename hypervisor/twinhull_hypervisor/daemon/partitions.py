"""The partitions' life: unlock, start, stop, pause, and what they are now. Their disks are ``disks``' part.

A start is a stack of steps, each with its undo; whatever fails, what was done before is taken back. The order
is the guarantee: confinement, the base's hash, the volume's key, the network, the machine with its processors
stopped, the namespace check, and only then the first instruction of the guest (R25).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec
from twinhull_policy.api.types import PartitionInfo
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..domain.builder import domain_xml
from ..domain.connection import Event, EventKind, Hypervisor
from ..domain.machine import Machine, MachineState, forget_secret
from ..domain.spec import domain_name
from ..storage.base import PartitionVolume
from ..storage.interface import VolumeState
from .bases import Bases
from .fleet import Fleet
from .images import ImageStore
from .lease import LeaseKeeper, lease_step
from .network import Networks
from .partition_errors import NotRunning, NotStopped, PassphraseNeeded
from .partition_view import partition_info, volume_view
from .slot import LOCKING_SECONDS, MakeRoom, PciFor, Prepare, Slot, granted_pci, shut_down, start_paused
from .specs import Specs
from .state import PARTITION_DOCUMENTS, PartitionRecord, State

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 180.0
"""How long a guest may take to shut down before the person is told to force it."""
SETTLE_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Waits before records and reality are brought together again after that failed; the last one repeats."""


class Partitions:
    """Both partitions.

    Args:
        lease: says whether the corporate one may run.
        on_change: told "partitions" whenever a state changed.
        pci_for: says which PCI functions a partition starts with, and which it may not have and why.
        make_room: has the other one give up the memory that a start needs.
    """

    def __init__(
        self,
        *,
        state: State,
        hypervisor: Hypervisor,
        fleet: Fleet,
        images: ImageStore,
        networks: Networks,
        specs: Specs,
        volumes: Mapping[Partition, PartitionVolume],
        on_change: Callable[[str], None],
        pci_for: PciFor,
        lease: LeaseKeeper,
        make_room: MakeRoom,
    ) -> None:
        self._state = state
        self.bases = Bases(state, images, volumes)
        self._make_room = make_room
        self._lease = lease
        self._asleep = False
        self._pci_for = pci_for
        self._hypervisor = hypervisor
        self._fleet = fleet
        self._images = images
        self._networks = networks
        self._specs = specs
        self._volumes = volumes
        self._machines = {name: Machine(hypervisor, name) for name in Partition}
        self._slots = {name: Slot() for name in Partition}
        self._on_change = on_change
        self._tasks: set[asyncio.Task[None]] = set()

    def lock_of(self, name: Partition) -> asyncio.Lock:
        """Held while something is done with a partition."""
        return self._slots[name].lock

    def record(self, name: Partition) -> PartitionRecord | None:
        """What is written down of a partition, also of one that is not whole yet."""
        return self._state.get(PARTITION_DOCUMENTS[name], PartitionRecord)

    def existing(self, name: Partition) -> PartitionRecord:
        """Raises NotCreated."""
        return self.bases.existing(name)

    def keep(self, name: Partition, record: PartitionRecord) -> None:
        """Write it down."""
        self.bases.keep(name, record)

    def require_allowed(self, name: Partition) -> None:
        """Refuse what would open a locked partition's volume. Raises LeaseEnded, LockedByCommand."""
        self._lease.require(name)

    async def machine_state(self, name: Partition) -> MachineState:
        """What libvirt says now."""
        return await asyncio.to_thread(self._machines[name].state)

    def is_up(self, name: Partition) -> bool:
        """Whether a partition is meant to be up now, from the record; cheap."""
        record = self.record(name)
        return record is not None and record.wanted != "stopped"

    async def infos(self) -> list[PartitionInfo]:
        """Both partitions as a person sees them; what libvirt says now decides, not what was last known."""
        return [await self._info(name) for name in Partition]

    async def _info(self, name: Partition) -> PartitionInfo:
        record = self.record(name)
        slot = self._slots[name]
        volume = self._volumes[name]
        if record is None or not record.created:
            return PartitionInfo(name=name, state=slot.doing or "absent")
        try:
            machine = await self.machine_state(name)
        except TwinhullError as error:
            return PartitionInfo(name=name, state="failed", reason=error.message)
        return partition_info(
            name,
            record,
            machine,
            doing=slot.doing,
            volume=await asyncio.to_thread(volume_view, volume),
            resources=self._specs.resources(name, self._fleet.inbox.in_force),
            barred=slot.note or self._lease.barred(name),
            wanted=self._fleet.image_here(name),
        )

    def tell(self, name: Partition, note: str) -> None:
        """Show what is being done with a partition meanwhile; "" when it is done."""
        self._slots[name].note = note
        self._on_change("partitions")

    # What can be done

    async def start(self, name: Partition, passphrase: bytearray, prepare: Prepare | None = None) -> None:
        """Start a partition, or resume it if it is paused; nothing to do when it runs.

        Args:
            prepare: what is to be done with its open volume first, as it is off; else ``bases.settle``.

        Raises:
            NotCreated, PassphraseNeeded, LeaseEnded, NotStopped, and whatever refuses a step.
        """
        slot = self._slots[name]
        async with slot.lock:
            record = self.existing(name)
            machine = await self.machine_state(name)
            if prepare is not None and machine is not MachineState.ABSENT:
                raise NotStopped(partition=name)
            if machine is MachineState.RUNNING:
                return
            self._lease.require(name)
            if machine is MachineState.PAUSED and record.wanted != "stopped":
                await self._resume(name, record)
                return
            slot.doing = "starting"
            self._on_change("partitions")
            try:
                volume = self._volumes[name]
                if volume.state() is not VolumeState.UNLOCKED:
                    await asyncio.to_thread(volume.check_header)
                    if not passphrase:
                        raise PassphraseNeeded(partition=name)
                    await asyncio.to_thread(volume.unlock, bytes(passphrase))
                await asyncio.to_thread(self._machines[name].destroy)  # one that was half started
                record = await asyncio.to_thread(prepare or self.bases.settle, name)
                await self._start(name, record)
            except TwinhullError as error:
                self._state.log("refused", f"The {name} partition was not started: {error.code}")
                raise
            finally:
                slot.doing = None
                self._on_change("partitions")

    async def _start(self, name: Partition, record: PartitionRecord) -> None:
        machine, volume = self._machines[name], self._volumes[name]
        await asyncio.to_thread(self._specs.require_host, name, self._fleet.inbox.in_force)
        accelerator = await asyncio.to_thread(self._specs.accelerator)
        base = await asyncio.to_thread(self._images.verify, record.image_sha256)
        # Before the machine is there: however this process ends, what is on record then fits what is left.
        record = msgspec.structs.replace(
            record, wanted="stopped", failure="", accelerator=accelerator.value, started_at=time.time()
        )
        self.keep(name, record)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._networks.down, name)
            undo.push_async_callback(asyncio.to_thread, machine.destroy)
            await self._networks.bring_up(name, self._fleet.inbox.in_force)
            tap = await self._networks.tap(name)
            pci = await granted_pci(name, self._pci_for, self._state)
            spec = self._specs.domain(
                name,
                record,
                accelerator=accelerator,
                volume=volume,
                base=base,
                tap=tap,
                in_force=self._fleet.inbox.in_force,
                pci=pci,
            )
            await self._make_room(name, spec.memory_mib)
            await asyncio.to_thread(start_paused, self._hypervisor, machine, volume, domain_xml(spec))
            await self._networks.adopt(name)
            self._slots[name].stopped.clear()
            self._lease.require(name)
            await asyncio.to_thread(machine.resume)
            self.keep(name, msgspec.structs.replace(record, wanted="running"))
            undo.pop_all()
        self._state.log("done", f"The {name} partition was started ({accelerator.value})")

    async def stop(self, name: Partition, *, force: bool) -> None:
        """Shut a partition down and wait; with ``force`` cut its power. Nothing to do when it is off.

        Raises:
            StillRunning: the guest did not obey in time.
            LeaseEnded: it is paused and may not run, not even to shut down; its power can be cut.
        """
        slot = self._slots[name]
        async with slot.lock:
            self.existing(name)
            machine = await self.machine_state(name)
            if machine is MachineState.ABSENT:
                await self._has_stopped(name)
                return
            slot.doing = "stopping"
            self._on_change("partitions")
            try:
                if not force:
                    if machine is MachineState.PAUSED:
                        self._lease.require(name)
                        await self._networks.adopt(name)
                        await asyncio.to_thread(self._machines[name].resume)
                    await shut_down(name, self._machines[name], slot, SHUTDOWN_SECONDS)
                await self.end(name)
            finally:
                slot.doing = None
                self._on_change("partitions")

    async def end(self, name: Partition) -> None:
        """Cut a machine's power, if it has any, and write down that it is off; the caller holds the lock."""
        await asyncio.to_thread(self._machines[name].destroy)
        # Only now: a guest still there with "stopped" on record counts as never having run.
        self.keep(name, msgspec.structs.replace(self.existing(name), wanted="stopped"))
        await self._has_stopped(name)

    async def _has_stopped(self, name: Partition) -> None:
        """The machine is gone: take its network away and write down that it is off."""
        await self._networks.down(name)
        record = self.existing(name)
        if record.wanted != "stopped":
            self._state.log("done", f"The {name} partition shut itself down")
            self.keep(name, msgspec.structs.replace(record, wanted="stopped"))

    async def suspend(self, name: Partition) -> None:
        """Pause a running partition in memory. Raises NotRunning."""
        async with self._slots[name].lock:
            record = self.existing(name)
            if await self.machine_state(name) is not MachineState.RUNNING:
                raise NotRunning(partition=name)
            await asyncio.to_thread(self._machines[name].suspend)
            self.keep(name, msgspec.structs.replace(record, wanted="paused"))
        self._on_change("partitions")

    async def resume(self, name: Partition) -> None:
        """Let a paused partition go on. Raises NotRunning when it is off, LeaseEnded."""
        async with self._slots[name].lock:
            record = self.existing(name)
            if await self.machine_state(name) is not MachineState.PAUSED:
                raise NotRunning(partition=name)
            await self._resume(name, record)

    async def _resume(self, name: Partition, record: PartitionRecord) -> None:
        self._lease.require(name)
        await self._networks.connect(name, self._fleet.inbox.in_force, build=True)
        await asyncio.to_thread(self._machines[name].resume)
        self.keep(name, msgspec.structs.replace(record, wanted="running"))
        self._on_change("partitions")

    @asynccontextmanager
    async def standing_still(self, name: Partition) -> AsyncIterator[None]:
        """Hold a machine's processors for as long; QEMU has then written all it holds of the disk (vm_stop).

        One that is off or paused stays so. The caller holds :meth:`lock_of`. A machine that may not go on
        afterwards, as its network does not pass or its lease has ended, is left paused; the log says why.

        Raises:
            NotStopped: it is neither running, paused nor off.
        """
        state = await self.machine_state(name)
        if state is MachineState.RUNNING:
            # First, so that whatever ends this process, the next one knows whom to let go on.
            self.keep(name, msgspec.structs.replace(self.existing(name), wanted="running", stilled=True))
            await asyncio.to_thread(self._machines[name].suspend)
        if await self.machine_state(name) not in (MachineState.PAUSED, MachineState.ABSENT):
            raise NotStopped(partition=name)
        try:
            yield
        finally:
            if state is MachineState.RUNNING:
                await self._go_on(name)

    async def _go_on(self, name: Partition) -> None:
        record = msgspec.structs.replace(self.existing(name), stilled=False)
        try:
            await self._resume(name, record)
        except TwinhullError as error:
            self._state.log("refused", f"The {name} partition stays paused: {error.message}")
            self.keep(name, msgspec.structs.replace(record, wanted="paused"))

    async def open_display(self, name: Partition) -> int:
        """A new connection to a running partition's screen. Raises NotRunning, LeaseEnded."""
        self.existing(name)
        self._lease.require(name)
        if await self.machine_state(name) not in (MachineState.RUNNING, MachineState.PAUSED):
            raise NotRunning(partition=name)
        return await asyncio.to_thread(self._machines[name].open_graphics_fd)

    # What happens by itself

    async def settle(self) -> None:
        """Bring records and reality together, trying until libvirt and netd have answered for both."""
        for attempt in range(1_000_000):
            if await self.reconcile():
                return
            await asyncio.sleep(SETTLE_SECONDS[min(attempt, len(SETTLE_SECONDS) - 1)])

    async def reconcile(self) -> bool:
        """Bring records and reality together after a start of this process or of libvirtd.

        Guests that run go on, and paused ones stay paused, whoever paused them: libvirt does so when the
        disk is full. One that core itself held for a snapshot goes on, its network checked. Only a machine
        that is paused while the record says "stopped" is ended: this process died while starting it, so it
        has not run an instruction.

        Returns:
            Whether that was done for both; it is not while libvirt or netd is away.
        """
        done = True
        for name in Partition:
            async with self._slots[name].lock:
                # Read under the lock: a start that it waited for has changed it.
                record = self.record(name)
                if record is None or not record.created:
                    continue
                try:
                    await self._reconcile_one(name, record)
                except TwinhullError as error:
                    logger.warning("%s: %s", name, error.message)
                    done = False
        self._on_change("partitions")
        return done

    async def _reconcile_one(self, name: Partition, record: PartitionRecord) -> None:
        machine = await self.machine_state(name)
        await asyncio.to_thread(forget_secret, self._hypervisor, self._volumes[name].secret_uuid)
        if machine is MachineState.ABSENT:
            await self._has_stopped(name)
        elif machine is MachineState.PAUSED and record.wanted == "stopped":
            logger.warning("%s was half started; ending it", name)
            await asyncio.to_thread(self._machines[name].destroy)
            await self._has_stopped(name)
        elif machine is MachineState.PAUSED and record.stilled and record.wanted == "running":
            await self._go_on(name)
        elif machine is MachineState.PAUSED:
            self.keep(name, msgspec.structs.replace(record, wanted="paused"))
        elif machine is MachineState.RUNNING:
            await self._networks.bring_up(name, self._fleet.inbox.in_force)
            self.keep(name, msgspec.structs.replace(record, wanted="running", stilled=False))

    def handle(self, event: Event) -> None:
        """Take an event of libvirt's; called in the loop's thread."""
        if event.kind is EventKind.RECONNECTED:
            self._spawn(self.settle())
            return
        name = next((name for name in Partition if domain_name(name) == event.name), None)
        if name is not None and event.kind in (EventKind.STOPPED, EventKind.CRASHED):
            self._slots[name].stopped.set()
            self._spawn(self._after_stop(name))
        elif name is not None and event.kind in (EventKind.STARTED, EventKind.RESUMED):
            self._spawn(self._after_resume(name))
        self._on_change("partitions")

    async def _after_stop(self, name: Partition) -> None:
        async with self._slots[name].lock:
            if self.record(name) is None:
                return
            try:
                if await self.machine_state(name) is MachineState.ABSENT:
                    await self._has_stopped(name)
            except TwinhullError as error:
                logger.warning("%s: %s", name, error.message)
                self._spawn(self.settle())
        self._on_change("partitions")

    async def _after_resume(self, name: Partition) -> None:
        """A machine runs, whoever let it: not on, unless its network passes the check (R25)."""
        async with self._slots[name].lock:
            try:
                if await self.machine_state(name) is not MachineState.RUNNING:
                    return
                await self._networks.connect(name, self._fleet.inbox.in_force)
            except TwinhullError as error:
                self._state.log("refused", f"The {name} partition was paused again: {error.message}")
                with suppress(TwinhullError):  # it has ended meanwhile
                    await asyncio.to_thread(self._machines[name].suspend)
        self._on_change("partitions")

    def refresh_network(self) -> None:
        """The policy changed: bring the corporate network to what it says now."""
        self._spawn(self.repair_network())

    async def repair_network(self) -> None:
        """Rebuild the tunnel around the running machine; until it stands the guest is cut off."""
        async with self._slots[Partition.CORPORATE].lock:
            try:
                if await self.machine_state(Partition.CORPORATE) is MachineState.RUNNING:
                    in_force = self._fleet.inbox.in_force
                    await self._networks.connect(Partition.CORPORATE, in_force, build=True)
            except TwinhullError as error:
                logger.warning("the corporate network is not up: %s", error.message)
        self._on_change("vpn")

    async def enforce_lease(self) -> None:
        """Bring the corporate machine to what its lease allows now; idempotent."""
        name = Partition.CORPORATE
        async with self._slots[name].lock:
            record = self.record(name)
            if record is None or not record.created:
                return
            machine = await self.machine_state(name)
            step = lease_step(self._lease.effects(), machine, held=self._lease.held, asleep=self._asleep)
            if step.cut:
                await self._networks.bring_up(name, self._fleet.inbox.in_force)
            if step.pause:
                self._lease.hold(True)
                await asyncio.to_thread(self._machines[name].suspend)
                self.keep(name, msgspec.structs.replace(record, wanted="paused"))
                self._on_change("partitions")
            if step.go_on:
                await self._resume(name, record)
            if step.forget:
                self._lease.hold(False)
            if step.evict:
                await self._evict(name, record, machine)

    async def _evict(self, name: Partition, record: PartitionRecord, machine: MachineState) -> None:
        """End a locked partition's machine and close its volume; nothing once that was done.

        A guest that stands still does not run again for it. What is raised is tried again at the next look.
        """
        slot, volume = self._slots[name], self._volumes[name]
        if machine is not MachineState.ABSENT:
            slot.doing = "stopping"
            self._on_change("partitions")
            try:
                if machine is MachineState.RUNNING:
                    with suppress(TwinhullError):
                        await shut_down(name, self._machines[name], slot, LOCKING_SECONDS)
                await self.end(name)
            finally:
                slot.doing = None
                self._on_change("partitions")
        if await asyncio.to_thread(volume.state) is VolumeState.UNLOCKED:
            await asyncio.to_thread(volume.lock)
            self._state.log("done", f"The {name} volume was closed. {self._lease.barred(name)}")
            self._on_change("partitions")
        await asyncio.to_thread(volume.keys.forget_share)

    async def sleeps(self, asleep: bool) -> None:
        """The computer is about to sleep, or woke up: its lease is looked at before a guest goes on."""
        self._asleep = asleep
        await self.enforce_lease()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Forget every key; guests go on."""
        for volume in self._volumes.values():
            volume.let_go()

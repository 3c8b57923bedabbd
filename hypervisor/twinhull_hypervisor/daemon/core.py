"""The core: puts the rooms together and answers what the bus service asks.

Start-up and recovery are the same code (P9): read the state, look at what libvirt and netd have now, go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import msgspec
from twinhull_policy.api.types import (
    EnrolmentInfo,
    Grade,
    GrantProgress,
    GrantPrompt,
    Log,
    PolicyInfo,
    StateRecovered,
    Status,
    VpnProof,
)
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

from ..settings import HostSettings
from .commands import Commands, CorporateSide
from .device_commands import DeviceCommands
from .devices import DeviceManager
from .disks import Disks
from .exchanges import Exchanges
from .fleet import Fleet
from .host import Host
from .key_slots import KeySlots
from .lease import LOOK_SECONDS, LeaseKeeper
from .memory import MemoryKeeper
from .network import Networks
from .partitions import Partitions
from .safe_mode import NotInSafeMode, SafeMode
from .session import Sleep
from .state import PARTITION_DOCUMENTS, State
from .updates import Updates
from .vpn import VpnCare
from .wipes import Wipes

logger = logging.getLogger(__name__)


SHARE_SECONDS = 60.0
"""Between looks whether the server's part of the corporate key is here."""
RENEWAL_SECONDS = 0.1
"""Between an answer and the end of the core that gave it."""


class Core:
    """Everything the daemon does.

    Attributes:
        partitions: starts and stops them.
        disks: what is done with their disks.
        updates: their golden images, when there are newer ones.
        fleet: follows the server.
        devices: what can be asked of devices.
        vpn: looks after the corporate tunnel.
        key_slots: what opens the volumes.
        wipes: their end, asked for by the owner.
        exchanges: what crosses between the partitions.
        safe_mode: there when the state cannot be relied on.
        renewal: set once this core is to end and another one to begin.
        on_change: told the name of what changed; the bus service makes it a signal.
    """

    def __init__(
        self,
        *,
        version: str,
        settings: HostSettings,
        state: State,
        fleet: Fleet,
        networks: Networks,
        partitions: Partitions,
        disks: Disks,
        updates: Updates,
        vpn: VpnCare,
        host: Host,
        device_manager: DeviceManager,
        devices: DeviceCommands,
        lease: LeaseKeeper,
        memory: MemoryKeeper,
        sleep: Sleep,
        commands: Commands,
        corporate: CorporateSide,
        key_slots: KeySlots,
        wipes: Wipes,
        exchanges: Exchanges,
        renew_share: Callable[[], object],
        safe_mode: SafeMode | None = None,
    ) -> None:
        self.partitions = partitions
        self.disks = disks
        self.updates = updates
        self.fleet = fleet
        self.devices = devices
        self.vpn = vpn
        self.key_slots = key_slots
        self.wipes = wipes
        self.exchanges = exchanges
        self.safe_mode = safe_mode
        self.renewal = asyncio.Event()
        self._device_manager = device_manager
        self.on_change: Callable[[str], object] = lambda _: None
        self._version = version
        self._settings = settings
        self._state = state
        self._networks = networks
        self._host = host
        self._lease = lease
        self._memory = memory
        self._commands = commands
        self._corporate = corporate
        self._sleep = sleep
        self._lease_looked = asyncio.Event()
        self._renew_share = renew_share
        self._share_due = asyncio.Event()
        self._started_at = time.time()

    async def run(self) -> None:
        """Reconcile with what is there, then follow the server and look after the tunnel until cancelled."""
        await self.wipes.finish()
        await self._enforce_lease()
        settled = await self.partitions.reconcile()
        async with asyncio.TaskGroup() as tasks:
            if not settled:
                tasks.create_task(self.partitions.settle())
            tasks.create_task(self._try_kvm())
            tasks.create_task(self.fleet.run())
            tasks.create_task(self._device_manager.run())
            tasks.create_task(self.updates.run())
            tasks.create_task(self.vpn.run())
            tasks.create_task(self._keep_lease())
            tasks.create_task(self._keep_share())
            tasks.create_task(self._memory.run())
            tasks.create_task(self._commands.run(self._corporate))
            tasks.create_task(self._sleep_and_wake())

    def poke_lease(self) -> None:
        """Look at the lease now instead of within LOOK_SECONDS."""
        self._lease_looked.set()

    async def _keep_lease(self) -> None:
        while True:
            self._lease_looked.clear()
            await self._enforce_lease()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._lease_looked.wait()

    async def _keep_share(self) -> None:
        """Have the server's part of the corporate key while the lease lasts; its end is the lease's work."""
        while True:
            self._share_due.clear()
            if self._lease.effects().keys == "kept":  # one that comes as that ends goes at the next look
                await asyncio.to_thread(self._renew_share)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHARE_SECONDS):
                    await self._share_due.wait()

    async def _enforce_lease(self) -> None:
        try:
            await self.partitions.enforce_lease()
            await self._destroy_if_over()
        except TwinhullError as error:
            logger.warning("lease: %s", error.message)

    async def _destroy_if_over(self) -> None:
        """Destroy what a lease with the action ``wipe`` ends with; only signed server time gets it there."""
        there = self._state.get_bytes(PARTITION_DOCUMENTS[Partition.CORPORATE]) is not None
        if there and self._lease.effects().keys == "destroyed":
            await self._corporate.erase()
            self._state.log("done", "Lease: over; the corporate partition's keys and contents are destroyed")

    async def _sleep_and_wake(self) -> None:
        async for sleeping in self._sleep.phases():
            try:
                await self.partitions.sleeps(sleeping)
            except TwinhullError as error:
                logger.warning("sleep: %s", error.message)

    async def _try_kvm(self) -> None:
        """Find out early whether KVM works, so that neither a status nor a start has to wait for it."""
        try:
            await asyncio.to_thread(self._host.kvm)
        except TwinhullError as error:
            logger.warning("KVM was not tried: %s", error.message)
        self.on_change("grade")

    def changed(self, what: str) -> None:
        """Something a status shows has changed."""
        self.on_change(what)
        if what == "enrolment":
            self._commands.poke()
        if what == "partitions":
            self._memory.poke()
            self.updates.poke()
        if what in ("policy", "lease"):
            self._share_due.set()
        if what in ("policy", "partitions"):
            self._device_manager.poke()
            self.poke_lease()
        if what == "policy" and self.partitions.is_up(Partition.CORPORATE):
            self.partitions.refresh_network()

    async def status(self) -> Status:
        """Everything at a glance."""
        vpn, partitions = await asyncio.gather(self.vpn.info(), self.partitions.infos())
        return Status(
            version=self._version,
            started_at=self._started_at,
            enrolment=self.fleet.enrolment(),
            policy=self._policy(),
            vpn=vpn,
            partitions=partitions,
            images=self.fleet.image_infos(),
            grade=await asyncio.to_thread(self._host.grade),
            lease=self._lease.info(),
            owner_phrase=self._settings.owner_phrase,
            kill_switches=self._device_manager.memory.switches,
            devices_problem=self._device_manager.problem,
            safe_mode=self.safe_mode.reason if self.safe_mode else "",
        )

    def _policy(self) -> PolicyInfo:
        position = self._state.position()
        in_force = self.fleet.inbox.in_force
        if in_force is None:
            return PolicyInfo(last_refusal=position.last_refusal)
        return PolicyInfo(
            sequence=position.seq,
            name=in_force.policy.name,
            sha256=position.policy_sha256,
            applied_at=position.applied_at,
            expires_at=float(in_force.statement.expires_at),
            lease_ends_at=self._lease.ends_at(),
            document=msgspec.json.encode(in_force.policy).decode(),
            last_refusal=position.last_refusal,
            warnings=self.fleet.inbox.warnings(int(time.time())),
        )

    async def grade(self) -> Grade:
        """Look at the host now."""
        found = await asyncio.to_thread(self._host.grade)
        if self.safe_mode is None:
            return found
        return msgspec.structs.replace(found, checks=[self.safe_mode.check(), *found.checks])

    async def recover_state(self) -> StateRecovered:
        """Make a new state database, keep the damaged one, and begin anew.

        Raises:
            NotInSafeMode: the state is in order.
            StateUnusable: a new one cannot be written.
        """
        if self.safe_mode is None:
            raise NotInSafeMode
        recovered = await asyncio.to_thread(self.safe_mode.recover)
        # After the answer has left; whatever is being done with a partition ends as it does by a signal.
        asyncio.get_running_loop().call_later(RENEWAL_SECONDS, self.renewal.set)
        return StateRecovered(
            kept=str(recovered.kept or ""), source=self.safe_mode.source if recovered.kept else "database"
        )

    async def log(self, limit: int) -> Log:
        """The owner's log."""
        return Log(entries=await asyncio.to_thread(self._state.read_log, limit))

    async def enrol(self, url: str, token: bytearray) -> EnrolmentInfo:
        """Enrol this laptop; the caller wipes the token."""
        return await self.fleet.enrol(url, token, await self._networks.public_key())

    async def begin_grant(self, url: str, initiator: str, caller: str) -> GrantPrompt:
        """Ask a server to let this laptop in, for ``caller``."""
        return await self.fleet.begin_grant(url, initiator, caller)

    async def poll_grant(self, server_fingerprint: str, caller: str) -> GrantProgress:
        """What came of it; enrols once it was granted."""
        return await self.fleet.poll_grant(server_fingerprint, caller, await self._networks.public_key())

    async def prove_vpn(self) -> VpnProof:
        """Run the leak canaries and keep their result in the owner's log."""
        return await self.vpn.prove()

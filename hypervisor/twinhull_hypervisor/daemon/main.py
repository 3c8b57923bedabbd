"""``twinhulld``: builds the core from its parts and serves it on the system bus."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from msgspec import UNSET
from sdbus import SdBus, sd_bus_open_system
from sdbus.exceptions import SdBusBaseError
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH
from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.trust.root import TrustedRoot
from twinhull_policy.trust.statement import DeviceIdentity

from ..devices.client import DevdClient
from ..disk.client import DiskdClient
from ..domain.connection import SYSTEM, Event, Hypervisor
from ..domain.hostdev import HostDevices
from ..domain.machine import Machine
from ..fetch.client import FetchClient, Outside
from ..network.client import NetdClient
from ..settings import SETTINGS_PATH, HostSettings, load_settings
from ..storage.choice import volume_of
from ..tpm.client import TpmClient
from .authority import Polkit
from .commands import Commands
from .core import Core
from .corporate_side import CorporateCommands
from .device_commands import DeviceCommands
from .device_journal import DeviceJournal
from .device_memory import DeviceMemory, boot_id
from .devices import DeviceManager
from .disks import Disks
from .erase import erase
from .exchanges import Exchanges
from .fleet import Fleet
from .gateways import Gateways
from .host import Host
from .images import ImageStore
from .inbox import Inbox
from .key_slots import KeySlots
from .lease import Clocks, LeaseKeeper, SystemClocks
from .memory import MemoryKeeper
from .network import Networks
from .partitions import Partitions
from .paths import Paths
from .safe_mode import SafeMode, open_usable
from .server_share import ServerShares
from .service import DaemonService
from .session import LogindScreen, LogindSleep
from .specs import Specs
from .state import State
from .state_file import StateUnusable, words
from .updates import Updates
from .vpn import VpnCare
from .wipes import Wipes

logger = logging.getLogger(__name__)

RESTART = 75
"""Exit status, EX_TEMPFAIL of sysexits.h: nothing failed, and whoever started this is to start it again."""
PROBE_KERNEL = Path("/opt/twinhull/share/probe-kernel")


class BusUnreachable(TwinhullError):
    """The system bus cannot be used: {detail}."""

    code = "TH-DMN-012"
    blame = Blame.UNREACHABLE
    next_step = "Check that dbus runs and that Twinhull's bus policy is installed."


class NameTaken(TwinhullError):
    """Another Twinhull service is running already."""

    code = "TH-DMN-013"
    next_step = "Stop the other one first."


def build(
    paths: Paths,
    settings: HostSettings,
    probe_kernel: Path,
    loop: asyncio.AbstractEventLoop,
    bus: SdBus,
    *,
    release: str,
    clocks: Clocks | None = None,
    libvirt_uri: str = SYSTEM,
) -> tuple[Core, Hypervisor]:
    """Put the rooms together, in safe mode where the state cannot be relied on; nothing runs yet.

    Args:
        release: Twinhull's own version.
        clocks: the kernel's unless given.
        libvirt_uri: the system's libvirt unless given.
    """
    parts = partial(
        _build, paths, settings, probe_kernel, loop, bus, release, clocks or SystemClocks(), libvirt_uri
    )
    try:
        _own_directories(paths)
        return parts(open_usable(paths), None)
    except StateUnusable as error:
        safe = SafeMode(paths, error)
        return parts(safe.state, safe)


def _own_directories(paths: Paths) -> None:
    """QEMU's users pass through to their own files; said apart from mkdir, which the umask would narrow."""
    try:
        for directory in (paths.images, *(paths.volume(name) for name in Partition)):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o711)
            directory.parent.chmod(0o711)
    except OSError as error:
        raise StateUnusable(path=paths.state, detail=words(error)) from error


def _build(
    paths: Paths,
    settings: HostSettings,
    probe_kernel: Path,
    loop: asyncio.AbstractEventLoop,
    bus: SdBus,
    release: str,
    clocks: Clocks,
    libvirt_uri: str,
    state: State,
    safe: SafeMode | None,
) -> tuple[Core, Hypervisor]:

    def on_change(what: str) -> None:
        core.changed(what)

    def on_event(event: Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are on the way out
            loop.call_soon_threadsafe(partitions.handle, event)

    hypervisor = Hypervisor(libvirt_uri, on_event)
    images = ImageStore(paths.images)
    host = Host(hypervisor, settings, state, probe_kernel)
    inbox = Inbox(state, paths, verify_at=clocks.read().wall if safe else None)
    fetch = FetchClient(paths.fetch_socket)
    commands = Commands(state, fetch, paths.volume(Partition.PERSONAL), on_change)

    def on_commands(
        untrusted_envelopes: Sequence[str], root: TrustedRoot, device: DeviceIdentity, now: int
    ) -> None:
        commands.receive(untrusted_envelopes, root, device, now)
        with contextlib.suppress(RuntimeError):  # as above
            loop.call_soon_threadsafe(commands.poke)

    inbox.on_commands = on_commands
    lease = LeaseKeeper(
        state=state,
        clocks=clocks,
        in_force=lambda: inbox.in_force,
        on_change=on_change,
        locked=commands.locked,
        closed=lambda: safe.closed(inbox.in_force) if safe else "",
    )
    networks = Networks(
        NetdClient(paths.netd_socket), settings, lease.network_allowed, Gateways(fetch, state)
    )
    fleet = Fleet(state, paths, inbox, images, fetch, on_change, lambda: clocks.read().wall)
    tpm = TpmClient(paths.tpmd_socket)
    diskd = DiskdClient(paths.diskd_socket)
    shares = ServerShares(
        paths.server_share,
        fetch,
        state,
        wanted=lambda: inbox.in_force is not None and inbox.in_force.policy.lease.server_share is True,
    )
    volumes = {
        name: volume_of(name, paths.volume(name), diskd, tpm, paths.containers, shares) for name in Partition
    }
    host.encryption = volumes[Partition.CORPORATE].kind
    devd = DevdClient(paths.devd_socket)
    device_manager = DeviceManager(
        devd=devd,
        guests=HostDevices(hypervisor),
        memory=DeviceMemory(state, boot_id(), closed=safe is not None),
        journal=DeviceJournal(state),
        screen=LogindScreen(bus, settings.owner),
        policy=lambda: fleet.inbox.in_force.policy if fleet.inbox.in_force else None,
        on_change=lambda: on_change("devices"),
        report=fleet.report_device,
    )
    devices = DeviceCommands(device_manager, devd)
    specs = Specs(settings, host)
    memory = MemoryKeeper(Machine(hypervisor, Partition.PERSONAL))
    partitions = Partitions(
        state=state,
        hypervisor=hypervisor,
        fleet=fleet,
        images=images,
        networks=networks,
        specs=specs,
        volumes=volumes,
        on_change=on_change,
        pci_for=devices.pci_for,
        lease=lease,
        make_room=memory.make_room,
    )

    disks = Disks(
        state=state,
        fleet=fleet,
        images=images,
        specs=specs,
        volumes=volumes,
        partitions=partitions,
        on_change=on_change,
    )

    machines = {name: Machine(hypervisor, name) for name in Partition}
    updates = Updates(
        fleet=fleet, volumes=volumes, machines=machines, partitions=partitions, on_change=on_change
    )

    async def outside() -> Outside | None:
        in_force = fleet.inbox.in_force
        page = in_force.policy.vpn.portal_check if in_force is not None else UNSET
        return None if page is UNSET else await asyncio.to_thread(fetch.portal, page)

    vpn = VpnCare(
        networks=networks,
        state=state,
        is_up=lambda: partitions.is_up(Partition.CORPORATE) and lease.network_allowed(Partition.CORPORATE),
        repair=partitions.repair_network,
        report=fleet.report_vpn,
        outside=outside,
        on_change=on_change,
    )
    destroy = partial(
        erase,
        Partition.CORPORATE,
        state,
        hypervisor,
        Machine(hypervisor, Partition.CORPORATE),
        volumes[Partition.CORPORATE],
        networks,
    )
    key_slots = KeySlots(
        state=state,
        volumes=volumes,
        machines=machines,
        lock_of=partitions.lock_of,
        escrow_target=fleet.escrow_target,
        may_run=lease.require,
        pcrs=settings.tpm_pcrs,
        on_change=on_change,
    )
    wipes = Wipes(
        state=state,
        hypervisor=hypervisor,
        networks=networks,
        partitions=partitions,
        volumes=volumes,
        client=fetch,
        on_change=on_change,
    )
    core = Core(
        version=release,
        settings=settings,
        state=state,
        fleet=fleet,
        networks=networks,
        partitions=partitions,
        disks=disks,
        updates=updates,
        vpn=vpn,
        host=host,
        device_manager=device_manager,
        devices=devices,
        lease=lease,
        memory=memory,
        sleep=LogindSleep(bus),
        commands=commands,
        key_slots=key_slots,
        wipes=wipes,
        renew_share=lambda: shares.renew(volumes[Partition.CORPORATE].keys.shared()),
        exchanges=Exchanges(state, lambda: inbox.in_force.policy if inbox.in_force else None),
        corporate=CorporateCommands(partitions, networks, inbox, fetch, destroy, on_change),
        safe_mode=safe,
    )
    return core, hypervisor


async def serve(bus: SdBus, paths: Paths, settings: HostSettings, probe_kernel: Path) -> int:
    """Serve until SIGTERM or SIGINT, or until the core has to start anew; guests go on after it.

    Returns:
        The exit status: 0, or RESTART.
    """
    loop = asyncio.get_running_loop()
    core, hypervisor = build(paths, settings, probe_kernel, loop, bus, release=version("twinhull"))
    service = DaemonService(core, Polkit(bus))
    service.export_to_dbus(OBJECT_PATH, bus)
    try:
        await bus.request_name_async(BUS_NAME, 0)
    except SdBusBaseError as error:
        raise NameTaken from error
    work = asyncio.create_task(core.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    logger.info("serving %s", BUS_NAME)
    try:
        renewal = asyncio.create_task(core.renewal.wait())
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
        renewal.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        core.partitions.close()
        hypervisor.close()
    return RESTART if core.renewal.is_set() else 0


def main(argv: list[str] | None = None) -> int:
    """The program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="twinhulld", description="The core of Twinhull.")
    parser.add_argument("--settings", type=Path, default=SETTINGS_PATH)
    parser.add_argument("--state-dir", type=Path, default=Paths.state)
    parser.add_argument("--fetch-dir", type=Path, default=Paths.fetch)
    parser.add_argument("--run-dir", type=Path, default=Paths.run)
    parser.add_argument("--probe-kernel", type=Path, default=PROBE_KERNEL)
    parser.add_argument("--check", action="store_true", help="only say whether the settings can be used")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # It tells of every key that did not sign, which a root signed by two of three always has.
    logging.getLogger("tuf").setLevel(logging.WARNING)
    try:
        settings = load_settings(options.settings)
        if options.check:
            return 0
        try:
            bus = sd_bus_open_system()
        except SdBusBaseError as error:
            raise BusUnreachable(detail=error) from error
        paths = Paths(state=options.state_dir, fetch=options.fetch_dir, run=options.run_dir)
        return asyncio.run(serve(bus, paths, settings, options.probe_kernel))
    except TwinhullError as error:
        sys.stderr.write(f"{error.message}\n{error.code}. {error.next_step}\n")
        return error.blame.exit_status


if __name__ == "__main__":
    sys.exit(main())

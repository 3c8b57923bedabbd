"""Partitions' machines on real libvirt and QEMU. Needs root, a system libvirtd and no running Twinhull."""

from __future__ import annotations

import os
import queue
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.domain.builder import domain_xml
from twinhull_hypervisor.domain.connection import Event, EventKind, Hypervisor
from twinhull_hypervisor.domain.devices import arguments, device_models, qemu_pid
from twinhull_hypervisor.domain.errors import HypervisorRefused, HypervisorUnreachable, NoMachine
from twinhull_hypervisor.domain.machine import Machine, MachineState, forget_secret, volume_secret
from twinhull_hypervisor.domain.spec import DomainSpec
from twinhull_hypervisor.storage.volume import QemuLuksVolume
from twinhull_policy.names import Partition

from tests.support.hypervisor import (
    PASSPHRASE,
    QEMU_GID,
    UIDS,
    make_base,
    make_volume,
    passable_directory,
    small_machine,
)

GOLDEN = Path(__file__).parent.parent / "data" / "domain"
EVENT_SECONDS = 60


class Bench:
    """Two partitions over one base, and libvirt's events."""

    def __init__(self, directory: Path) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.hypervisor = Hypervisor(on_event=self.events.put)
        self.base = make_base(directory)
        self.volumes = {partition: make_volume(directory, partition) for partition in Partition}
        self.machines = {partition: Machine(self.hypervisor, partition) for partition in Partition}

    def start(self, partition: Partition) -> DomainSpec:
        """Create the volume and start the machine paused."""
        volume = self.volumes[partition]
        volume.create(self.base, 1, PASSPHRASE)
        spec = small_machine(volume, self.base, partition)
        self.power_on(volume, spec)
        return spec

    def power_on(self, volume: QemuLuksVolume, spec: DomainSpec) -> None:
        """Start paused with the volume's key in libvirt for that long."""
        with volume_secret(
            self.hypervisor, volume.secret_uuid, str(volume.paths.overlay), volume.secret_value()
        ):
            self.machines[spec.partition].start_paused(domain_xml(spec))

    def await_event(self, kind: EventKind, name: str) -> None:
        """Wait for an event; queue.Empty when it does not come."""
        while self.events.get(timeout=EVENT_SECONDS) != Event(kind, name):
            pass


@pytest.fixture
def bench() -> Iterator[Bench]:
    with passable_directory() as directory:
        made = Bench(directory)
        assert {machine.state() for machine in made.machines.values()} == {MachineState.ABSENT}
        try:
            yield made
        finally:
            for machine in made.machines.values():
                machine.destroy()
            for volume in made.volumes.values():
                forget_secret(made.hypervisor, volume.secret_uuid)
            made.hypervisor.close()


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_two_partitions_share_a_base_and_nothing_else(bench: Bench, rewrite_golden: bool) -> None:
    base_before = bench.base.stat()
    pids = {}
    for partition in Partition:
        spec = bench.start(partition)
        assert bench.machines[partition].state() is MachineState.PAUSED
        pids[partition] = qemu_pid(spec.name)
    for partition, pid in pids.items():
        status = status_of(pid)
        uid = str(UIDS[partition])
        assert status["Uid"].split() == [uid] * 4
        assert status["Gid"].split() == [str(QEMU_GID)] * 4
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert Path(f"/proc/{pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
        overlay = bench.volumes[partition].paths.overlay.stat()
        assert overlay.st_uid == UIDS[partition]
        assert stat.S_IMODE(overlay.st_mode) == 0o600
        secret = bench.volumes[partition].secret_value()
        assert secret not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert secret not in Path(f"/proc/{pid}/environ").read_bytes()
    base_after = bench.base.stat()
    assert (base_after.st_uid, base_after.st_mode) == (base_before.st_uid, base_before.st_mode)

    models = device_models(arguments(Path(f"/proc/{pids[Partition.PERSONAL]}")))
    golden = GOLDEN / "devices-no-network.txt"
    if rewrite_golden:
        golden.write_text("".join(f"{model}\n" for model in models))
    assert models == golden.read_text().split()
    assert len(models) <= 20


def test_a_life(bench: Bench) -> None:
    spec = bench.start(Partition.CORPORATE)
    machine = bench.machines[Partition.CORPORATE]
    bench.await_event(EventKind.STARTED, spec.name)
    machine.resume()
    bench.await_event(EventKind.RESUMED, spec.name)
    assert machine.state() is MachineState.RUNNING
    machine.suspend()
    bench.await_event(EventKind.PAUSED, spec.name)
    assert machine.state() is MachineState.PAUSED
    machine.resume()
    machine.shutdown()
    machine.destroy()
    bench.await_event(EventKind.STOPPED, spec.name)
    assert machine.state() is MachineState.ABSENT
    machine.destroy()


def test_a_screen_is_a_connected_descriptor(bench: Bench) -> None:
    bench.start(Partition.PERSONAL)
    fd = bench.machines[Partition.PERSONAL].open_graphics_fd()
    try:
        assert stat.S_ISSOCK(os.fstat(fd).st_mode)
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_files_return_to_their_owner_and_start_again(bench: Bench) -> None:
    partition = Partition.CORPORATE
    volume = bench.volumes[partition]
    spec = bench.start(partition)
    bench.machines[partition].destroy()
    bench.await_event(EventKind.STOPPED, spec.name)
    assert volume.paths.overlay.stat().st_uid == os.getuid()
    volume.lock()
    volume.unlock(PASSPHRASE)
    bench.power_on(volume, spec)
    assert bench.machines[partition].state() is MachineState.PAUSED


def test_the_key_leaves_libvirt_once_the_machine_has_started(bench: Bench) -> None:
    bench.start(Partition.CORPORATE)
    uuids = bench.hypervisor.connection().listSecrets()
    assert str(bench.volumes[Partition.CORPORATE].secret_uuid) not in uuids


def test_a_wrong_key_starts_nothing(bench: Bench) -> None:
    partition = Partition.CORPORATE
    volume = bench.volumes[partition]
    volume.create(bench.base, 1, PASSPHRASE)
    spec = small_machine(volume, bench.base, partition)
    with (
        volume_secret(bench.hypervisor, volume.secret_uuid, str(volume.paths.overlay), b"0" * 64),
        pytest.raises(HypervisorRefused),
    ):
        bench.machines[partition].start_paused(domain_xml(spec))
    assert bench.machines[partition].state() is MachineState.ABSENT


@pytest.mark.parametrize("action", ["resume", "suspend", "shutdown", "open_graphics_fd"])
def test_acting_on_no_machine_says_so(bench: Bench, action: str) -> None:
    with pytest.raises(NoMachine, match="personal is not running"):
        getattr(bench.machines[Partition.PERSONAL], action)()


def test_no_libvirtd_is_one_plain_error(capfd: pytest.CaptureFixture[str]) -> None:
    hypervisor = Hypervisor("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
    with pytest.raises(HypervisorUnreachable):
        hypervisor.connection()
    assert capfd.readouterr() == ("", "")

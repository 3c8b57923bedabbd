"""A snapshot of a running machine, on real libvirt and QEMU: needs root and a system libvirtd."""

from __future__ import annotations

import libvirt_qemu  # type: ignore[import-untyped]
import pytest
from twinhull_hypervisor.domain.machine import MachineState
from twinhull_policy.names import Partition

from tests.api.test_machine_lifecycle import Bench, bench
from tests.api.test_storage_rotation import io

__all__ = ["bench"]
NODE = "/machine/peripheral/virtio-disk0/virtio-backend"


def guest_writes(machine: Bench, value: int) -> None:
    """Write to the disk through QEMU's own block layer, where a guest's writes go."""
    domain = machine.hypervisor.connection().lookupByName("twinhull-personal")
    command = f'qemu-io -d {NODE} "write -P {value} 0 256k"'
    said = libvirt_qemu.qemuMonitorCommand(domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
    assert said == ""  # what went well is told on QEMU's own standard output


@pytest.mark.parametrize("again", [False, True])
def test_what_it_wrote_is_in_it(bench: Bench, again: bool) -> None:
    """Also when the clusters were there before; and QEMU goes on with the disk it has."""
    bench.start(Partition.PERSONAL)
    volume, machine = bench.volumes[Partition.PERSONAL], bench.machines[Partition.PERSONAL]
    machine.resume()
    for value in (0x11, 0x22) if again else (0x22,):
        guest_writes(bench, value)
    machine.suspend()
    kept = volume.snapshot("while it runs")
    machine.resume()
    guest_writes(bench, 0x33)
    assert machine.state() is MachineState.RUNNING
    machine.destroy()
    io(volume, "read -P 0x33 0 256k")
    volume.roll_back(kept.id)
    io(volume, "read -P 0x22 0 256k")

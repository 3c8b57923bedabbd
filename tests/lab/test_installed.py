"""What the quickstart makes of a machine with systemd, an IOMMU, a TPM and kernel WireGuard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .machine import Machine

UNITS = {"twinhulld": 1.0, "twinhull-fetch": 1.5, "twinhull-netd": 3.0, "twinhull-devd": 3.0}
"""The worst exposure each unit may have: design.md, section 2."""


def status(machine: Machine) -> dict[str, Any]:
    """What ``twinhull status`` says there."""
    result: dict[str, Any] = json.loads(machine.ssh("twinhull", "status", "--json"))
    return result


def qemu_pids(machine: Machine) -> dict[str, str]:
    """The process of each partition's machine."""
    found = machine.ssh("pgrep", "-a", "-f", "guest=twinhull-").splitlines()
    return {
        line.split("guest=twinhull-")[1].split(",")[0]: line.split()[0]
        for line in found
        if "qemu-system" in line.split()[1]
    }


def test_systemd_runs_it_all(machine: Machine) -> None:
    """Process 1 is systemd, the units are active under it, and none has failed."""
    assert machine.ssh("cat", "/proc/1/comm").strip() == "systemd"
    for unit in UNITS:
        assert machine.ssh("systemctl", "is-active", f"{unit}.service").strip() == "active"
    assert machine.ssh("systemctl", "--failed", "--no-legend", "--plain").strip() == ""


@pytest.mark.parametrize(("unit", "worst"), UNITS.items())
def test_units_are_hardened(machine: Machine, unit: str, worst: float) -> None:
    """The running units score at or under what design.md asks, as systemd itself counts."""
    said = machine.ssh("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    overall = next(line for line in said.splitlines() if "Overall exposure level" in line)
    assert float(overall.split(":")[1].split()[0]) <= worst


def test_both_partitions_run(machine: Machine) -> None:
    """Both run under KVM, as the grade says, and the tunnel is the kernel's WireGuard, confined."""
    now = status(machine)
    assert {p["accelerator"] for p in now["partitions"]} == {"kvm"}
    (accelerator,) = (check for check in now["grade"]["checks"] if check["name"] == "accelerator")
    assert accelerator["passed"], accelerator
    for partition in qemu_pids(machine):
        described = machine.ssh("virsh", "dumpxml", f"twinhull-{partition}")
        assert described.startswith("<domain type='kvm'"), described[:200]
    assert {p["name"]: p["state"] for p in now["partitions"]} == {
        "corporate": "running",
        "personal": "running",
    }
    assert now["vpn"]["state"] == "up"
    assert now["vpn"]["kind"] == "wireguard-kernel"
    assert now["vpn"]["confined"]
    assert machine.try_ssh("pgrep", "wireguard-go").returncode == 1


def test_guests_are_confined(machine: Machine) -> None:
    """Each QEMU has a user of its own, no capability, a seccomp filter and an enforced AppArmor profile."""
    pids = qemu_pids(machine)
    assert set(pids) == {"corporate", "personal"}
    for partition, pid in pids.items():
        fields = dict(
            line.split(":\t", 1)
            for line in machine.ssh("cat", f"/proc/{pid}/status").splitlines()
            if ":\t" in line
        )
        owner = machine.ssh("id", "-u", f"th-{partition}").strip()
        assert fields["Uid"].split() == [owner] * 4
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == "2"
        profile = machine.ssh("cat", f"/proc/{pid}/attr/current").strip("\0\n")
        assert profile.startswith("libvirt-")
        assert profile.endswith("(enforce)")


def test_hardware_is_there(machine: Machine) -> None:
    """An IOMMU that remaps interrupts, a TPM 2.0, dm-crypt, and USB blocked from boot."""
    assert int(machine.ssh("sh", "-c", "ls /sys/kernel/iommu_groups | wc -l")) > 3
    assert "Enabled IRQ remapping" in machine.ssh("dmesg")
    assert "sha256" in machine.ssh("tpm2_pcrread", "sha256:0")
    machine.ssh(
        "sh",
        "-c",
        "truncate -s 32M /tmp/volume && printf key | cryptsetup luksFormat -q --pbkdf pbkdf2 /tmp/volume -",
    )
    machine.ssh(
        "sh", "-c", "printf key | cryptsetup open --key-file - /tmp/volume canary && cryptsetup close canary"
    )
    assert set(machine.ssh("sh", "-c", "cat /sys/bus/usb/devices/usb*/authorized_default").split()) == {"0"}


def test_killed_daemons_come_back_and_guests_go_on(machine: Machine) -> None:
    """systemd starts a killed daemon again; the guests are the same processes, and the status is true."""
    before = qemu_pids(machine)
    for unit in UNITS:
        machine.ssh("systemctl", "kill", "-s", "KILL", f"{unit}.service")
    machine.ssh(
        "sh",
        "-c",
        "for i in $(seq 60); do twinhull status --json >/dev/null 2>&1 && exit 0; sleep 1; done; exit 1",
    )
    assert qemu_pids(machine) == before
    now = status(machine)
    assert {p["state"] for p in now["partitions"]} == {"running"}


def test_second_quickstart_changes_nothing(machine: Machine) -> None:
    """Run again, it finds everything done."""
    said = machine.ssh(
        "/usr/src/twinhull/installer/quickstart", "--small", "--headless", "--yes", timeout=300
    )
    steps = [line for line in said.splitlines() if line.startswith("[")]
    assert len(steps) == 16
    assert all("done already" in line for line in steps)


def test_prove_finds_no_leak(machine: Machine) -> None:
    """The canaries pass with the kernel's WireGuard too."""
    proof = json.loads(machine.ssh("twinhull", "vpn", "prove", "--json", timeout=300))
    assert proof["passed"], proof

"""The isolation grade: facts of this host, read once, judged by a table.

:func:`read_facts` looks, :func:`grade` judges without looking. Each check that fails caps the grade; the
grade is the lowest cap, A when all pass.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinhull_policy.api.types import Grade, GradeCheck

from twinhull_hypervisor.domain.connection import Hypervisor, translated
from twinhull_hypervisor.domain.errors import Unconfined
from twinhull_hypervisor.domain.probe import ProbeResult
from twinhull_hypervisor.settings import HostSettings

Letter = Literal["A", "B", "C", "D", "E"]
Encryption = Literal["", "luks2-dm-crypt", "qemu-luks"]
MAC_DRIVERS = frozenset({"apparmor", "selinux"})


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the grade rests on. ``uncovered_swap``: swap areas whose contents would stay on disk in clear."""

    kvm: ProbeResult
    mac_driver: str
    iommu_groups: int
    interrupt_remapping: bool
    tpm: bool
    encryption: Encryption
    uncovered_swap: tuple[str, ...]
    lockdown: bool
    init_on_free: bool
    core_pattern: str
    vulnerable: tuple[str, ...]


def read_facts(
    hypervisor: Hypervisor, kvm: ProbeResult, encryption: Encryption, root: Path = Path("/")
) -> HostFacts:
    """Look at this host.

    Args:
        kvm: from probe_kvm; a boot is too dear to repeat here.
        encryption: kind of the partitions' volumes, "" when there is none yet.
        root: where proc and sys are, for tests.

    Raises:
        HypervisorUnreachable: libvirt does not answer.
    """
    groups = root / "sys/kernel/iommu_groups"
    vulnerabilities = root / "sys/devices/system/cpu/vulnerabilities"
    command_line = read(root / "proc/cmdline").split()
    return HostFacts(
        kvm=kvm,
        mac_driver=mac_driver(hypervisor),
        iommu_groups=sum(1 for _ in groups.iterdir()) if groups.is_dir() else 0,
        interrupt_remapping=remaps_interrupts(root),
        tpm=(root / "sys/class/tpm/tpm0").exists(),
        encryption=encryption,
        uncovered_swap=uncovered_swap(root),
        lockdown="[none]" not in read(root / "sys/kernel/security/lockdown", "[none]"),
        init_on_free="init_on_free=1" in command_line,
        core_pattern=read(root / "proc/sys/kernel/core_pattern"),
        vulnerable=tuple(
            sorted(entry.name for entry in vulnerabilities.iterdir() if read(entry).startswith("Vulnerable"))
        )
        if vulnerabilities.is_dir()
        else (),
    )


def read(path: Path, missing: str = "") -> str:
    """A kernel file's text, stripped; ``missing`` when the kernel has none."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return missing


def mac_driver(hypervisor: Hypervisor) -> str:
    """The mandatory access control driver libvirt confines QEMU with, "" for none."""
    connection = hypervisor.connection()
    with translated("list its capabilities"):
        capabilities = ET.fromstring(connection.getCapabilities())  # noqa: S314 - libvirtd is trusted
    models = {element.text or "" for element in capabilities.iterfind("./host/secmodel/model")}
    return next(iter(sorted(models & MAC_DRIVERS)), "")


def remaps_interrupts(root: Path) -> bool:
    """Whether devices cannot forge interrupts.

    ``Documentation/ABI/testing/sysfs-class-iommu-intel-iommu``: bit 3 of ecap is interrupt remapping support.
    Groups of type DMA-FQ or DMA alone do not show it, so VT-d is asked; AMD-Vi always remaps.
    """
    for unit in sorted((root / "sys/class/iommu").glob("*")):
        if unit.name.startswith("ivhd"):
            return True
        ecap = read(unit / "intel-iommu/ecap", "0")
        if int(ecap, 16) & (1 << 3):
            return "intremap=off" not in read(root / "proc/cmdline")
    return False


def uncovered_swap(root: Path) -> tuple[str, ...]:
    """Swap areas neither in memory (zram) nor on a dm-crypt device (proc(5), /proc/swaps)."""
    found = []
    for line in read(root / "proc/swaps").splitlines()[1:]:
        name = line.split()[0]
        device = Path(name).name
        crypt = read(root / f"sys/class/block/{device}/dm/uuid").startswith("CRYPT-")
        if not crypt and not device.startswith("zram"):
            found.append(name)
    return tuple(found)


def keeps_cores(core_pattern: str) -> bool:
    """Whether a crashed QEMU's memory would be kept.

    A relative pattern writes into QEMU's directory, /, where its user may not write; a pipe hands the memory
    to a program, and an absolute one to a directory (core(5)).
    """
    if core_pattern.startswith("|"):
        return Path(core_pattern[1:].split()[0] if core_pattern[1:].split() else "").name not in (
            "false",
            "true",
        )
    return core_pattern.startswith("/")


def grade(facts: HostFacts) -> Grade:
    """Judge the facts; no I/O."""
    swap, vulnerable = ", ".join(facts.uncovered_swap), ", ".join(facts.vulnerable)
    table: list[tuple[str, bool, Letter, str, str, str]] = [
        (
            "accelerator",
            facts.kvm.works,
            "E",
            facts.kvm.reason,
            f"{facts.kvm.reason} Guests run under software emulation, which is no security boundary.",
            "Enable virtualisation (VT-x, AMD-V) in the firmware; run on bare metal.",
        ),
        (
            "mandatory-access-control",
            bool(facts.mac_driver),
            "E",
            f"{facts.mac_driver} confines each virtual machine.",
            "Neither AppArmor nor SELinux confines the virtual machines.",
            "Boot with apparmor=1 security=apparmor.",
        ),
        (
            "memory-encryption-at-rest",
            not facts.uncovered_swap,
            "D",
            "No swap area would keep guest memory in clear.",
            f"Guest memory may be written in clear to swap: {swap}.",
            "Encrypt swap or turn it off.",
        ),
        (
            "disk-encryption",
            facts.encryption == "luks2-dm-crypt",
            "C",
            "Volumes are LUKS2 on dm-crypt.",
            "Volumes are encrypted by QEMU (LUKS1 format), not by LUKS2 on dm-crypt."
            if facts.encryption
            else "No volume exists yet.",
            "Use a kernel with device-mapper and dm-crypt."
            if facts.encryption
            else "Start a partition once.",
        ),
        (
            "iommu",
            facts.iommu_groups > 0,
            "C",
            f"The IOMMU is on: {facts.iommu_groups} groups.",
            "No IOMMU is in use, so a device can reach all memory.",
            "Enable VT-d or AMD-Vi in the firmware and intel_iommu=on.",
        ),
        (
            "interrupt-remapping",
            facts.interrupt_remapping,
            "C",
            "Device interrupts are remapped.",
            "Device interrupts are not remapped, so a device could forge one.",
            "Enable VT-d or AMD-Vi with interrupt remapping in the firmware.",
        ),
        (
            "core-dumps",
            not keeps_cores(facts.core_pattern),
            "C",
            "A crashed virtual machine leaves no core dump.",
            "A crashed virtual machine's process memory would be kept in a core dump.",
            "Set kernel.core_pattern=|/bin/false.",
        ),
        (
            "processor-flaws",
            not facts.vulnerable,
            "C",
            "All known processor flaws are mitigated.",
            f"Processor flaws without mitigation: {vulnerable}.",
            "Update the microcode and kernel; remove mitigations=off.",
        ),
        (
            "tpm",
            facts.tpm,
            "B",
            "A TPM can bind keys to this laptop.",
            "There is no TPM, so keys rest on the passphrase alone.",
            "Enable the TPM in the firmware.",
        ),
        (
            "kernel-lockdown",
            facts.lockdown,
            "B",
            "The kernel is locked down.",
            "The kernel is not locked down, so root may change it while it runs.",
            "Boot with lockdown=confidentiality or secure boot.",
        ),
        (
            "wipe-on-free",
            facts.init_on_free,
            "B",
            "Freed memory is wiped at once.",
            "Freed memory keeps its contents until it is used again.",
            "Boot with init_on_free=1.",
        ),
    ]
    checks = [
        GradeCheck(name=name, passed=ok, caps_at=cap, reason=good if ok else bad, fix="" if ok else fix)
        for name, ok, cap, good, bad, fix in table
    ]
    worst: Letter = max((check.caps_at for check in checks if not check.passed), default="A")
    return Grade(grade=worst, checks=checks)


def require_confinement(settings: HostSettings, driver: str) -> None:
    """Refuse to start a partition without mandatory access control unless the owner recorded otherwise (R5).

    Args:
        settings: this host's.
        driver: from :func:`mac_driver`.

    Raises:
        Unconfined: there is no driver and no override.
    """
    if not driver and not settings.allow_unconfined:
        raise Unconfined

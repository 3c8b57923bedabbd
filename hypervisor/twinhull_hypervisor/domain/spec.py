"""What a partition's virtual machine is: plain, frozen values, checked once, with no XML in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from twinhull_policy.names import Partition

from twinhull_hypervisor.domain.errors import BadMachine

AGENT_CHANNEL = "org.qemu.guest_agent.0"
"""The port that QEMU's guest agent opens (qemu-ga(8))."""

VCPUS = range(1, 65)
MEMORY_MIB = range(64, 1024 * 1024 + 1)
CPU_SHARES = range(2, 10001)
"""What both cgroup v1's cpu.shares and cgroup v2's cpu.weight take, as libvirt documents ``<shares>``."""
CGROUPS = {Partition.CORPORATE: "/twinhull/corporate", Partition.PERSONAL: "/twinhull_personal"}
"""Below which control group each machine is; with systemd, libvirt makes it the name of a slice
(``virSystemdMakeSliceName``), and installer/systemd has these."""
INTERFACE_NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
"""At most IFNAMSIZ - 1 characters."""
MAC_ADDRESS = re.compile(r"[0-9a-f][26ae](:[0-9a-f]{2}){5}")
"""Unicast and locally administered: never the address of a real card."""


PCI_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
"""Domain, bus, slot and function, as sysfs writes them."""

QEMU_USERS = {Partition.CORPORATE: "th-corporate", Partition.PERSONAL: "th-personal"}
"""As whom each partition's QEMU runs (installer/config/sysusers.conf)."""


class Accelerator(StrEnum):
    """What executes the guest's instructions."""

    KVM = "kvm"
    EMULATION = "emulation"


@dataclass(frozen=True, slots=True)
class Firmware:
    """UEFI: the code shared and read-only, the variables the partition's own."""

    nvram: Path
    code: Path = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
    """Debian's ovmf package; without secure boot, as that variant needs SMM."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The overlay over the golden base; encrypted itself, or inside a volume that is."""

    overlay: Path
    base: Path
    secret: UUID | None
    """The libvirt secret holding the overlay's key while the machine starts; None if it has none itself."""
    native_io: bool = True
    """Linux AIO on O_DIRECT; False where the file system has no O_DIRECT (tmpfs)."""


@dataclass(frozen=True, slots=True)
class Network:
    """The tap netd made; libvirt opens it and never configures it."""

    tap: str
    mac: str


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """One partition's virtual machine.

    Attributes:
        uid, gid: whom QEMU runs as, both above 0; no two partitions share them (security.md R1).
        cpu_shares: weight against the other partitions' 1024s, 2 to 10000; within one slice alone.
        slices: systemd runs here, so the machine goes into the slice of its partition.
        confined: a mandatory access control driver is there, so libvirt must confine QEMU with it too.
        agent_channel: the SPICE agent's channel, by which the guest learns the window's size and is
            asked for what was copied in it, and the port on which it is asked for a file; SPICE's own
            file transfer stays off whatever the guest says.
        pci: addresses of PCI functions that are the machine's while it runs.
    """

    partition: Partition
    uuid: UUID
    accelerator: Accelerator
    vcpus: int
    memory_mib: int
    uid: int
    gid: int
    firmware: Firmware
    disk: Disk
    network: Network | None
    cpu_shares: int = 1024
    confined: bool = False
    agent_channel: bool = False
    slices: bool = False
    pci: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what must never reach libvirt. Raises BadMachine."""
        paths = (self.firmware.code, self.firmware.nvram, self.disk.overlay, self.disk.base)
        checks = {
            "vcpus": self.vcpus in VCPUS,
            "memory_mib": self.memory_mib in MEMORY_MIB,
            "cpu_shares": self.cpu_shares in CPU_SHARES,
            "uid and gid": 0 < self.uid < 2**31 and 0 < self.gid < 2**31,
            "paths": all(path.is_absolute() and str(path).isprintable() for path in paths),
            "tap": self.network is None or INTERFACE_NAME.fullmatch(self.network.tap) is not None,
            "pci": all(PCI_ADDRESS.fullmatch(address) for address in self.pci),
            "mac": self.network is None or MAC_ADDRESS.fullmatch(self.network.mac) is not None,
        }
        for field, good in checks.items():
            if not good:
                raise BadMachine(partition=self.partition.value, field=field)

    @property
    def name(self) -> str:
        """The domain's name in libvirt."""
        return domain_name(self.partition)


def domain_name(partition: Partition) -> str:
    """The name a partition's machine has in libvirt."""
    return f"twinhull-{partition.value}"

"""From policy, settings and host facts to the machine a partition gets.

The corporate machine comes from the signed policy; the personal one from the owner's settings alone, so no
policy changes a byte of its definition (P6).
"""

from __future__ import annotations

import hashlib
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.names import Partition

from ..domain.spec import QEMU_USERS, Accelerator, Disk, DomainSpec, Firmware, Network
from ..settings import HostSettings
from ..storage.base import PartitionVolume
from .host import Host
from .inbox import InForce
from .partition_errors import NoImageOffered
from .state import PartitionRecord

PERSONAL_CPU_SHARES = 256
"""A quarter of the corporate machine's 1024: what holds where no systemd has slices for them (P8)."""
SYSTEMD = Path("/run/systemd/system")
"""There where systemd is the first process (sd_booted(3))."""


class QemuUserMissing(TwinhullError):
    """The system user {user}, which a partition's machine runs as, does not exist."""

    code = "TH-PAR-011"
    next_step = "Run installer/quickstart again, or 'systemd-sysusers'."


class GradeTooLow(TwinhullError):
    """This host's isolation grade is {grade} and the company's policy asks for {least} or better."""

    code = "TH-PAR-012"
    blame = Blame.DENIED
    next_step = "Run 'twinhull doctor' to see how to improve it."


@dataclass(frozen=True)
class Resources:
    """A partition's share of the machine."""

    vcpus: int
    memory_mib: int
    disk_gib: int


class Specs:
    """Makes machine definitions."""

    def __init__(self, settings: HostSettings, host: Host) -> None:
        self._settings = settings
        self._host = host

    def resources(self, name: Partition, in_force: InForce | None) -> Resources:
        """What a partition gets; zeros for the corporate one before the first policy."""
        if name is Partition.PERSONAL:
            own = self._settings.personal
            return Resources(own.vcpus, own.memory_mib, own.disk_gib)
        if in_force is None:
            return Resources(0, 0, 0)
        section = in_force.policy.partition
        return Resources(section.vcpus, section.memory_mib, section.disk_gib)

    def require_host(self, name: Partition, in_force: InForce | None) -> None:
        """Refuse a start on a host that is not good enough.

        Raises:
            Unconfined: no mandatory access control, and the owner did not accept that.
            GradeTooLow: the corporate policy demands a better grade.
        """
        self._host.require_confinement()
        if name is Partition.CORPORATE and in_force is not None:
            self._host.kvm()
            grade, least = self._host.grade().grade, in_force.policy.host.least_grade
            if grade > least:
                raise GradeTooLow(grade=grade, least=least)

    def accelerator(self) -> Accelerator:
        """KVM if a timed boot showed that it works here, else emulation."""
        return Accelerator.KVM if self._host.kvm().works else Accelerator.EMULATION

    def domain(
        self,
        name: Partition,
        record: PartitionRecord,
        *,
        accelerator: Accelerator,
        volume: PartitionVolume,
        base: Path,
        tap: str,
        in_force: InForce | None,
        pci: Sequence[str] = (),
    ) -> DomainSpec:
        """The machine's definition. Raises NoImageOffered for the corporate one without a policy."""
        resources = self.resources(name, in_force)
        if resources.vcpus == 0:
            raise NoImageOffered(partition=name)
        try:
            user = pwd.getpwnam(QEMU_USERS[name])
        except KeyError as error:
            raise QemuUserMissing(user=QEMU_USERS[name]) from error
        return DomainSpec(
            partition=name,
            uuid=UUID(record.uuid),
            accelerator=accelerator,
            vcpus=resources.vcpus,
            memory_mib=resources.memory_mib,
            uid=user.pw_uid,
            gid=user.pw_gid,
            firmware=Firmware(nvram=volume.paths.nvram),
            disk=Disk(
                overlay=volume.paths.overlay,
                base=base,
                secret=volume.secret_uuid if volume.kind == "qemu-luks" else None,
            ),
            network=Network(tap=tap, mac=mac_address(record.uuid)),
            cpu_shares=PERSONAL_CPU_SHARES if name is Partition.PERSONAL else 1024,
            confined=self._host.confined(),
            agent_channel=True,
            slices=SYSTEMD.is_dir(),
            pci=tuple(pci),
        )


def mac_address(uuid: str) -> str:
    """A stable, locally administered unicast address for a partition, from its UUID."""
    digest = hashlib.sha256(uuid.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x52, *digest[:5]))

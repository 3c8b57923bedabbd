"""One partition's running machine: start paused, resume, suspend, shut down, destroy, and its screen.

Domains are transient: libvirt keeps nothing of one that has stopped, so there is no stale definition to start
by mistake. Every call blocks (destroying takes seconds) and belongs in a worker thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import libvirt  # type: ignore[import-untyped]
from twinhull_policy.names import Partition

from twinhull_hypervisor.domain.connection import Hypervisor, is_absent, translated
from twinhull_hypervisor.domain.errors import HypervisorRefused, NoMachine
from twinhull_hypervisor.domain.memory import GuestMemory
from twinhull_hypervisor.domain.spec import AGENT_CHANNEL, domain_name


class MachineState(StrEnum):
    """What libvirt says of a machine."""

    ABSENT = "absent"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    CRASHED = "crashed"


STATES = {
    libvirt.VIR_DOMAIN_RUNNING: MachineState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: MachineState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: MachineState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: MachineState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: MachineState.STOPPING,
    libvirt.VIR_DOMAIN_SHUTOFF: MachineState.ABSENT,
    libvirt.VIR_DOMAIN_CRASHED: MachineState.CRASHED,
}


class Machine:
    """The machine of one partition.

    Args:
        hypervisor: the shared connection.
        partition: whose machine.
    """

    def __init__(self, hypervisor: Hypervisor, partition: Partition) -> None:
        self._hypervisor = hypervisor
        self._partition = partition
        self._name = domain_name(partition)

    def _domain(self) -> Any:
        try:
            with translated(f"look up {self._name}"):
                return self._hypervisor.connection().lookupByName(self._name)
        except HypervisorRefused as error:
            if is_absent(error):
                raise NoMachine(partition=self._partition.value) from error
            raise

    def start_paused(self, xml: str) -> None:
        """Create the machine with its processors stopped: nothing of the guest has run when this returns.

        Raises:
            HypervisorRefused, HypervisorUnreachable: it was not created.
        """
        flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_VALIDATE
        with translated(f"start {self._partition.value}"):
            self._hypervisor.connection().createXML(xml, flags)

    def resume(self) -> None:
        """Let the processors run. Raises NoMachine, HypervisorRefused."""
        domain = self._domain()
        with translated(f"resume {self._partition.value}"):
            domain.resume()

    def suspend(self) -> None:
        """Stop the processors, keep the memory. Raises NoMachine, HypervisorRefused."""
        domain = self._domain()
        with translated(f"suspend {self._partition.value}"):
            domain.suspend()

    def shutdown(self) -> None:
        """Ask the guest to shut down, by its agent if it has one, else by the power button.

        Returns at once; a STOPPED event tells when it is done. Raises NoMachine, HypervisorRefused.
        """
        domain = self._domain()
        try:
            with translated(f"ask {self._partition.value} to shut down"):
                domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
        except HypervisorRefused:
            with translated(f"ask {self._partition.value} to shut down"):
                domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def destroy(self) -> None:
        """End the machine now, whatever the guest does. No error when it has already ended."""
        try:
            domain = self._domain()
            with translated(f"stop {self._partition.value}"):
                domain.destroy()
        except NoMachine:
            return
        except HypervisorRefused as error:
            if not is_absent(error):
                raise

    def state(self) -> MachineState:
        """What the machine is doing; ABSENT when there is none."""
        try:
            domain = self._domain()
            with translated(f"tell the state of {self._partition.value}"):
                return STATES.get(domain.state()[0], MachineState.CRASHED)
        except NoMachine:
            return MachineState.ABSENT
        except HypervisorRefused as error:
            if is_absent(error):
                return MachineState.ABSENT
            raise

    def agent_is_there(self) -> bool:
        """Whether a program in the guest has opened its agent's channel, which takes a system that came up.

        No byte of the guest's is read for it. Raises NoMachine, HypervisorRefused.
        """
        domain = self._domain()
        with translated(f"look for the agent of {self._partition.value}"):
            definition = domain.XMLDesc(0)
        return agent_connected(definition)

    def memory(self) -> GuestMemory:
        """What the machine has of memory, as its guest says too. Raises NoMachine, HypervisorRefused."""
        domain = self._domain()
        with translated(f"look at the memory of {self._partition.value}"):
            most = domain.maxMemory()
            untrusted_said = domain.memoryStats()
        return guest_memory(most, untrusted_said)

    def set_memory(self, mib: int) -> None:
        """Ask the guest, by its balloon, to do with so much. Raises NoMachine, HypervisorRefused."""
        domain = self._domain()
        with translated(f"change the memory of {self._partition.value}"):
            domain.setMemoryFlags(mib * 1024, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def open_graphics_fd(self) -> int:
        """A fresh connected descriptor to the machine's SPICE server; the caller owns and closes it.

        Raises:
            NoMachine, HypervisorRefused: there is no machine or no screen.
        """
        domain = self._domain()
        with translated(f"open the screen of {self._partition.value}"):
            fd = int(domain.openGraphicsFD(0, 0))
        os.set_inheritable(fd, False)
        return fd


def agent_connected(xml: str) -> bool:
    """Whether a live definition says so of the agent's channel (formatdomain.html, "Channel")."""
    targets = ElementTree.fromstring(xml).iterfind("devices/channel/target")  # noqa: S314 - libvirt's own
    return any(
        target.get("name") == AGENT_CHANNEL and target.get("state") == "connected" for target in targets
    )


def guest_memory(most: int, untrusted_said: Mapping[str, int]) -> GuestMemory:
    """What libvirt's numbers say, in MiB.

    Args:
        most: what the machine was started with, in KiB.
        untrusted_said: virDomainMemoryStats, in KiB; ``available`` and ``usable`` are the guest's own words.
            Whether its total counts what the balloon took depends on the driver (virtio_balloon.c).
    """
    now = min(untrusted_said.get("actual", most), most)
    total, usable = untrusted_said.get("available"), untrusted_said.get("usable")
    used = None if total is None or usable is None else max(0, min(total, now) - usable) // 1024
    return GuestMemory(most=most // 1024, now=now // 1024, used=used)


@contextmanager
def volume_secret(hypervisor: Hypervisor, uuid: UUID, volume: str, value: bytes) -> Iterator[None]:
    """Hold a volume's key in libvirt while a machine starts, and not longer.

    The secret is ephemeral (never on disk) and private (libvirt never gives it back): security.md R28.

    Args:
        uuid: as in the machine's Disk.
        volume: path of the overlay, libvirt's name for the secret's use.
        value: what QEMU unlocks the overlay with; ASCII, as QEMU wants UTF-8.
    """
    root = ElementTree.Element("secret", ephemeral="yes", private="yes")
    ElementTree.SubElement(root, "uuid").text = str(uuid)
    usage = ElementTree.SubElement(root, "usage", type="volume")
    ElementTree.SubElement(usage, "volume").text = volume
    with translated("keep the volume's key"):
        secret = hypervisor.connection().secretDefineXML(ElementTree.tostring(root, encoding="unicode"), 0)
    try:
        with translated("keep the volume's key"):
            secret.setValue(value, 0)
        yield
    finally:
        forget_secret(hypervisor, uuid)


def forget_secret(hypervisor: Hypervisor, uuid: UUID) -> None:
    """Remove a volume's key from libvirt; no error when it is not there (also the recovery after a crash)."""
    try:
        with translated("forget the volume's key"):
            hypervisor.connection().secretLookupByUUID(uuid.bytes).undefine()
    except HypervisorRefused as error:
        if not is_absent(error):
            raise

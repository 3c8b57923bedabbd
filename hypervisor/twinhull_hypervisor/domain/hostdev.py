"""Devices of the host in a running machine: which it holds, giving one, taking one back.

libvirt's live definition is the only record of who holds what, so a daemon that starts again knows as much as
one that never stopped. Each device carries an alias of ours that names its port; libvirt keeps aliases that
begin with ``ua-``, of letters, digits, ``-`` and ``_`` (https://libvirt.org/formatdomain.html#devices).
"""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path

import libvirt  # type: ignore[import-untyped]
from twinhull_policy.names import Partition

from twinhull_hypervisor.domain.connection import Hypervisor, is_absent, translated
from twinhull_hypervisor.domain.errors import HypervisorRefused
from twinhull_hypervisor.domain.machine import STATES, MachineState
from twinhull_hypervisor.domain.spec import domain_name

USB_PORT = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}")
PCI_SECONDS = 10.0
"""How long a guest may take to let go of a PCI function; a Linux guest takes less than one."""
_PAUSE_SECONDS = 0.1
_ALIAS = "ua-usb-"
_BLOCKS = re.compile(r"ua-blocks-([0-9]+-[0-9_]+)-([0-9]+)-([0-9]+)")
"""The alias of a disk: port, bus and address of the stick whose blocks it has."""
_DISKS = tuple(f"sd{letter}" for letter in "abcdefghijklmnop")
"""Names libvirt knows disks by; not what a guest calls them. One for each port of the guest's controller."""


@dataclass(frozen=True, slots=True, order=True)
class Holding:
    """A USB device that a running machine holds.

    Attributes:
        partition: whose machine.
        port: where it was when it was given; empty for one that was not given by us.
        busnum, devnum: its address; a device that is plugged in again has another.
        read_only: it holds the blocks of a storage device, and not the device.
        lost: nobody serves these blocks any more, so that reading fails.
    """

    partition: Partition
    port: str
    busnum: int
    devnum: int
    read_only: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Guest:
    """A machine that is there: whether it runs (else it is paused), and what it holds.

    Attributes:
        holdings: USB devices.
        pci: addresses of PCI functions.
    """

    running: bool
    holdings: tuple[Holding, ...] = ()
    pci: tuple[str, ...] = ()


class StillHeld(HypervisorRefused):
    """The partition {partition} did not let go of the device in port {port}."""

    code = "TH-PAR-106"
    next_step = "Stop the partition with 'twinhull partition stop'; then nothing is left in it."


class PciStillHeld(HypervisorRefused):
    """The partition {partition} did not let go of the PCI device {address}."""

    code = "TH-PAR-107"
    next_step = "Stop the partition with 'twinhull partition stop'; then nothing is left in it."


class HostDevices:
    """Devices in machines, through libvirt. Blocking; safe to use from several threads.

    Every method raises HypervisorUnreachable when libvirt does not answer and HypervisorRefused when it says
    no.
    """

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def guests(self) -> dict[Partition, Guest]:
        """The machines there are now, with what each holds."""
        found = {}
        for partition in Partition:
            guest = self._guest(partition)
            if guest is not None:
                found[partition] = guest
        return found

    def _guest(self, partition: Partition) -> Guest | None:
        try:
            with translated(f"tell what {partition.value} holds"):
                domain = self._hypervisor.connection().lookupByName(domain_name(partition))
                state = STATES.get(domain.state()[0], MachineState.CRASHED)
                xml = domain.XMLDesc(0)
        except HypervisorRefused as error:
            if is_absent(error):
                return None
            raise
        if state in (MachineState.ABSENT, MachineState.CRASHED):
            return None
        return Guest(state is MachineState.RUNNING, holdings(partition, xml), pci_held(xml))

    def attach(self, holding: Holding, socket: str = "") -> None:
        """Give a USB device to a running machine; it is there when this returns.

        Args:
            holding: which, and to which machine.
            socket: where its blocks are served, if only those are given.
        """
        with translated(f"give a device to {holding.partition.value}"):
            domain = self._hypervisor.connection().lookupByName(domain_name(holding.partition))
            xml = disk_xml(holding, socket, domain.XMLDesc(0)) if holding.read_only else usb_xml(holding)
            domain.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def detach(self, holding: Holding) -> None:
        """Take a USB device from a machine, also one that was pulled out; nothing to do is success.

        Raises:
            StillHeld: libvirt said yes and the machine holds it all the same.
        """
        try:
            with translated(f"take a device from {holding.partition.value}"):
                domain = self._hypervisor.connection().lookupByName(domain_name(holding.partition))
                xml = held_disk(holding, domain.XMLDesc(0)) if holding.read_only else usb_xml(holding)
                if xml:
                    domain.detachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except HypervisorRefused as error:
            cause = error.__cause__
            if is_absent(error) or (
                isinstance(cause, libvirt.libvirtError)
                and cause.get_error_code() == libvirt.VIR_ERR_DEVICE_MISSING
            ):
                return
            raise
        guest = self._guest(holding.partition)
        if guest is not None and holding in guest.holdings:
            raise StillHeld(partition=holding.partition.value, port=holding.port)

    def detach_pci(self, partition: Partition, address: str) -> None:
        """Ask a machine to give a PCI function back, and wait a while; nothing to do is success.

        A guest has to let go of one (ACPI and native PCI Express hot-plug both ask it), so this can fail.

        Raises:
            PciStillHeld: it has not.
        """
        with translated(f"take a PCI device from {partition.value}"):
            domain = self._hypervisor.connection().lookupByName(domain_name(partition))
            xml = pci_element(domain.XMLDesc(0), address)
            if xml:
                domain.detachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        until = time.monotonic() + PCI_SECONDS
        while (guest := self._guest(partition)) is not None and address in guest.pci:
            if time.monotonic() > until:
                raise PciStillHeld(partition=partition.value, address=address)
            time.sleep(_PAUSE_SECONDS)


def pci_element(xml: str, address: str) -> str:
    """The element of a live definition that is this PCI function; empty if there is none."""
    for element in _devices(xml).iterfind("hostdev[@type='pci']"):
        if address in _pci_addresses(element):
            return ET.tostring(element, encoding="unicode")
    return ""


def usb_xml(holding: Holding) -> str:
    """The ``hostdev`` element of a USB device: by address, and never bound or unbound by libvirt."""
    root = ET.Element("hostdev", mode="subsystem", type="usb", managed="no")
    source = ET.SubElement(root, "source")
    ET.SubElement(source, "address", bus=str(holding.busnum), device=str(holding.devnum))
    if holding.port:
        ET.SubElement(root, "alias", name=_ALIAS + holding.port.replace(".", "_"))
    return ET.tostring(root, encoding="unicode")


def disk_xml(holding: Holding, socket: str, live: str) -> str:
    """The ``disk`` element of a stick's blocks: read-only, raw and said to be so, over NBD.

    It is a USB disk in the guest as it would be plugged in: QEMU takes it away at once and asks no guest.

    Args:
        holding: which.
        socket: of its NBD export.
        live: the machine's definition, for a name that is free.

    Raises:
        HypervisorRefused: the machine has no place for more.
    """
    taken = {target.get("dev") for target in _devices(live).iterfind("disk/target")}
    name = next((name for name in _DISKS if name not in taken), None)
    if name is None:
        raise HypervisorRefused(action="give storage to the machine", reason="it has enough")
    root = ET.Element("disk", type="network", device="disk")
    ET.SubElement(root, "driver", name="qemu", type="raw", cache="writeback", rerror_policy="report")
    source = ET.SubElement(root, "source", protocol="nbd")
    ET.SubElement(source, "host", transport="unix", socket=socket)
    ET.SubElement(root, "target", dev=name, bus="usb", removable="on")
    ET.SubElement(root, "readonly")
    port = holding.port.replace(".", "_")
    ET.SubElement(root, "alias", name=f"ua-blocks-{port}-{holding.busnum}-{holding.devnum}")
    return ET.tostring(root, encoding="unicode")


def held_disk(holding: Holding, live: str) -> str:
    """The element of a live definition that is this disk, empty if there is none."""
    for element in _devices(live).iterfind("disk"):
        found = _disk_holding(holding.partition, element)
        if found is not None and replace(found, lost=holding.lost) == holding:
            return ET.tostring(element, encoding="unicode")
    return ""


def holdings(partition: Partition, xml: str) -> tuple[Holding, ...]:
    """The USB devices in a live definition, and those whose blocks are, sorted."""
    devices = _devices(xml)
    found = [_usb_holding(partition, element) for element in devices.iterfind("hostdev[@type='usb']")]
    found += [_disk_holding(partition, element) for element in devices.iterfind("disk")]
    return tuple(sorted(holding for holding in found if holding is not None))


def _usb_holding(partition: Partition, element: ET.Element) -> Holding | None:
    address = element.find("source/address")
    if address is None:
        return None
    name = _alias(element)
    port = name.removeprefix(_ALIAS).replace("_", ".") if name.startswith(_ALIAS) else ""
    bus, device = (int(address.get(field, "0"), 0) for field in ("bus", "device"))
    return Holding(partition, port if USB_PORT.fullmatch(port) else "", bus, device)


def _disk_holding(partition: Partition, element: ET.Element) -> Holding | None:
    named = _BLOCKS.fullmatch(_alias(element))
    if named is None:
        return None
    host = element.find("source/host")
    lost = host is None or not Path(host.get("socket", "")).is_socket()
    port = named[1].replace("_", ".")
    return Holding(partition, port, int(named[2]), int(named[3]), read_only=True, lost=lost)


def _alias(element: ET.Element) -> str:
    alias = element.find("alias")
    return "" if alias is None else alias.get("name", "")


def _devices(xml: str) -> ET.Element:
    devices = ET.fromstring(xml).find("devices")  # noqa: S314 - libvirt's own
    return ET.Element("devices") if devices is None else devices


def pci_held(xml: str) -> tuple[str, ...]:
    """The addresses of the PCI functions in a live definition, sorted."""
    elements = _devices(xml).iterfind("hostdev[@type='pci']")
    return tuple(sorted(address for element in elements for address in _pci_addresses(element)))


def _pci_addresses(element: ET.Element) -> list[str]:
    found = []
    for address in element.iterfind("source/address"):
        parts = (int(address.get(name, "0"), 0) for name in ("domain", "bus", "slot", "function"))
        domain, bus, slot, function = parts
        found.append(f"{domain:04x}:{bus:02x}:{slot:02x}.{function}")
    return found

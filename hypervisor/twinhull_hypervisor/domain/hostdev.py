"""Devices of the host in a running machine: which it holds, giving one, taking one back.

libvirt's live definition is the only record of who holds what, so a daemon that starts again knows as much as
one that never stopped. Each device carries an alias of ours that names its port; libvirt keeps aliases that
begin with ``ua-``, of letters, digits, ``-`` and ``_`` (https://libvirt.org/formatdomain.html#devices).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import libvirt  # type: ignore[import-untyped]
from twinhull_policy.names import Partition

from twinhull_hypervisor.domain.connection import Hypervisor, is_absent, translated
from twinhull_hypervisor.domain.errors import HypervisorRefused
from twinhull_hypervisor.domain.machine import STATES, MachineState
from twinhull_hypervisor.domain.spec import domain_name

USB_PORT = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}")
_ALIAS = "ua-usb-"


@dataclass(frozen=True, slots=True, order=True)
class Holding:
    """A USB device that a running machine holds.

    Attributes:
        partition: whose machine.
        port: where it was when it was given; empty for one that was not given by us.
        busnum, devnum: its address; a device that is plugged in again has another.
    """

    partition: Partition
    port: str
    busnum: int
    devnum: int


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

    def attach(self, holding: Holding) -> None:
        """Give a USB device to a running machine; it is there when this returns."""
        with translated(f"give a device to {holding.partition.value}"):
            domain = self._hypervisor.connection().lookupByName(domain_name(holding.partition))
            domain.attachDeviceFlags(usb_xml(holding), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def detach(self, holding: Holding) -> None:
        """Take a USB device from a machine, also one that was pulled out; nothing to do is success.

        Raises:
            StillHeld: libvirt said yes and the machine holds it all the same.
        """
        try:
            with translated(f"take a device from {holding.partition.value}"):
                domain = self._hypervisor.connection().lookupByName(domain_name(holding.partition))
                domain.detachDeviceFlags(usb_xml(holding), libvirt.VIR_DOMAIN_AFFECT_LIVE)
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


def usb_xml(holding: Holding) -> str:
    """The ``hostdev`` element of a USB device: by address, and never bound or unbound by libvirt."""
    root = ET.Element("hostdev", mode="subsystem", type="usb", managed="no")
    source = ET.SubElement(root, "source")
    ET.SubElement(source, "address", bus=str(holding.busnum), device=str(holding.devnum))
    if holding.port:
        ET.SubElement(root, "alias", name=_ALIAS + holding.port.replace(".", "_"))
    return ET.tostring(root, encoding="unicode")


def holdings(partition: Partition, xml: str) -> tuple[Holding, ...]:
    """The USB devices in a live definition, sorted."""
    found = []
    for element in ET.fromstring(xml).iterfind("devices/hostdev[@type='usb']"):  # noqa: S314 - libvirt's own
        address, alias = element.find("source/address"), element.find("alias")
        name = "" if alias is None else alias.get("name", "")
        port = name.removeprefix(_ALIAS).replace("_", ".") if name.startswith(_ALIAS) else ""
        if address is not None:
            found.append(
                Holding(
                    partition,
                    port if USB_PORT.fullmatch(port) else "",
                    int(address.get("bus", "0"), 0),
                    int(address.get("device", "0"), 0),
                )
            )
    return tuple(sorted(found))


def pci_held(xml: str) -> tuple[str, ...]:
    """The addresses of the PCI functions in a live definition, sorted."""
    found = []
    root = ET.fromstring(xml)  # noqa: S314 - libvirt's own
    for address in root.iterfind("devices/hostdev[@type='pci']/source/address"):
        parts = (int(address.get(name, "0"), 0) for name in ("domain", "bus", "slot", "function"))
        domain, bus, slot, function = parts
        found.append(f"{domain:04x}:{bus:02x}:{slot:02x}.{function}")
    return tuple(sorted(found))

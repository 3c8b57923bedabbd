"""What a machine holds, from libvirt's own live definition; and what libvirt is asked to give it."""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.domain.errors import HypervisorRefused
from twinhull_hypervisor.domain.hostdev import (
    Guest,
    Holding,
    HostDevices,
    disk_xml,
    held_disk,
    holdings,
    pci_element,
    pci_held,
    usb_xml,
)
from twinhull_hypervisor.run import run
from twinhull_policy.names import Partition

DEEP = Holding(Partition.PERSONAL, "1-2.3.4", 1, 17)
FOREIGN = "<hostdev mode='subsystem' type='usb'><source><address bus='3' device='9'/></source></hostdev>"
CARD = (
    "<hostdev mode='subsystem' type='pci' managed='yes'><source>"
    "<address domain='0x0000' bus='0x3b' slot='0x1f' function='0x7'/></source></hostdev>"
)


def machine(*devices: str, name: str = "twinhull-personal") -> str:
    return (
        f"<domain type='test'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>"
        f"<os><type>hvm</type></os><devices>{''.join(devices)}</devices></domain>"
    )


NODE = """<node>
<cpu><mhz>1000</mhz><model>i686</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores>
<threads>1</threads></cpu><memory>1000000</memory></node>"""


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[Hypervisor]:
    """libvirt's test driver for this test alone: all of a process's ``test:///default`` are one."""
    node = tmp_path / "node.xml"
    node.write_text(NODE)
    hypervisor = Hypervisor(f"test://{node}")
    yield hypervisor
    hypervisor.close()


def test_what_is_given_is_found_again(hypervisor: Hypervisor) -> None:
    hypervisor.connection().createXML(machine(usb_xml(DEEP), FOREIGN, CARD), 0)
    devices = HostDevices(hypervisor)
    stranger = Holding(Partition.PERSONAL, "", 3, 9)
    guest = Guest(running=True, holdings=(stranger, DEEP), pci=("0000:3b:1f.7",))
    assert devices.guests() == {Partition.PERSONAL: guest}
    hypervisor.connection().lookupByName("twinhull-personal").suspend()
    assert not devices.guests()[Partition.PERSONAL].running


def test_no_machine_holds_nothing_and_gives_back_nothing(hypervisor: Hypervisor) -> None:
    devices = HostDevices(hypervisor)
    assert devices.guests() == {}
    devices.detach(DEEP)
    with pytest.raises(HypervisorRefused):
        devices.attach(DEEP)


def test_libvirts_no_is_told_in_its_words(hypervisor: Hypervisor) -> None:
    """libvirt's test driver cannot give devices to a machine, which is a refusal like another."""
    hypervisor.connection().createXML(machine(), 0)
    with pytest.raises(HypervisorRefused, match="not supported"):
        HostDevices(hypervisor).attach(DEEP)


@pytest.mark.parametrize("port", ["1-2", "1-2.3", "15-14.13.12.11.10.9"])
def test_a_port_survives_being_an_alias(port: str) -> None:
    holding = Holding(Partition.CORPORATE, port, 1, 2)
    assert holdings(Partition.CORPORATE, machine(usb_xml(holding))) == (holding,)


@pytest.mark.parametrize("alias", ["ua-usb-", "ua-usb-x", "ua-other-1-2", "hostdev0", "ua-usb-1-2/../3"])
def test_an_alias_that_is_not_ours_names_no_port(alias: str) -> None:
    element = ET.fromstring(usb_xml(DEEP))  # noqa: S314 - our own output
    found = element.find("alias")
    assert found is not None
    found.set("name", alias)
    changed = machine(ET.tostring(element, encoding="unicode"))
    assert [holding.port for holding in holdings(Partition.PERSONAL, changed)] == [""]


def test_libvirt_never_binds_a_usb_device_by_itself(tmp_path: Path) -> None:
    element = ET.fromstring(usb_xml(DEEP))  # noqa: S314 - our own output
    assert element.get("managed") == "no"
    assert element.find("source/vendor") is None
    file = tmp_path / "machine.xml"
    file.write_text(machine(usb_xml(DEEP)).replace("type='test'", "type='qemu'"))
    done = run(["virt-xml-validate", file, "domain"], timeout=60, check=False)
    assert done.status == 0, done.stderr.decode()


def test_a_pci_function_is_found_by_its_address_and_taken_as_it_is() -> None:
    assert "0x3b" in pci_element(machine(CARD), "0000:3b:1f.7")
    assert pci_element(machine(CARD), "0000:3b:1f.6") == ""


def test_a_function_that_is_not_there_is_taken_already(hypervisor: Hypervisor) -> None:
    hypervisor.connection().createXML(machine(), 0)
    HostDevices(hypervisor).detach_pci(Partition.PERSONAL, "0000:3b:1f.7")


def test_storage_that_is_read_is_found_again_and_never_a_whole_device(
    hypervisor: Hypervisor, tmp_path: Path
) -> None:
    """libvirt's schema knows the disk; ours is read back from it, lost once its socket is gone."""
    stick = replace(DEEP, read_only=True)
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        xml = machine(disk_xml(stick, str(path), machine()), usb_xml(replace(DEEP, devnum=9)))
        file = tmp_path / "machine.xml"
        file.write_text(xml.replace("type='test'", "type='qemu'"))
        done = run(["virt-xml-validate", file, "domain"], timeout=60, check=False)
        assert done.status == 0, done.stderr.decode()
        assert holdings(Partition.PERSONAL, xml) == (replace(DEEP, devnum=9), stick)
        assert "<readonly" in held_disk(stick, xml) and held_disk(DEEP, xml) == ""
    path.unlink()
    assert replace(stick, lost=True) in holdings(Partition.PERSONAL, xml)
    assert held_disk(replace(stick, lost=True), xml)
    full = machine(*(f"<disk type='file'><target dev='sd{letter}'/></disk>" for letter in "abcdefghijklmnop"))
    with pytest.raises(HypervisorRefused):
        disk_xml(stick, str(path), full)


def test_a_machine_without_devices_holds_none() -> None:
    assert holdings(Partition.PERSONAL, machine()) == ()
    assert pci_held(machine()) == ()

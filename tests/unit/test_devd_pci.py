"""When a PCI function may be passed through: R18 as tables, and the facts from directories like sysfs'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor.devices.pci import read_facts, refusals, unsafe_options
from twinhull_hypervisor.devices.results import PciFacts, PciFunction

NIC = PciFunction(
    address="0000:03:00.0",
    vendor="8086",
    device="10d3",
    class_code="02:00:00",
    group="7",
    group_members=["0000:03:00.0"],
    reset_methods=["flr", "bus"],
    driver="e1000e",
    boot_vga=False,
    removable=False,
)
SOUND = msgspec.structs.replace(NIC, address="0000:03:00.1", class_code="04:03:00")
PORT = msgspec.structs.replace(NIC, address="0000:00:1c.0", class_code="06:04:00")
FACTS = PciFacts(remapping=True, unsafe=[], functions=[NIC, SOUND, PORT])


def test_a_function_alone_in_its_group_may_go() -> None:
    assert refusals(NIC, FACTS) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"group": "", "group_members": []}, "no IOMMU group"),
        ({"group_members": [NIC.address, SOUND.address]}, "also holds 0000:03:00.1"),
        ({"group_members": [NIC.address, "0000:09:00.0"]}, "also holds 0000:09:00.0"),
        ({"reset_methods": []}, "cannot be reset"),
        ({"boot_vga": True}, "screen"),
        ({"class_code": "06:04:00"}, "bridge"),
    ],
)
def test_a_function_is_refused_for_one_reason(change: dict[str, Any], word: str) -> None:
    (reason,) = refusals(msgspec.structs.replace(NIC, **change), FACTS)
    assert word in reason


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"remapping": False}, "not remapped"),
        ({"unsafe": ["allow_unsafe_interrupts"]}, "allow_unsafe_interrupts"),
        ({"unsafe": ["pcie_acs_override"]}, "pcie_acs_override"),
        ({"unsafe": ["relaxed_acs_check"]}, "relaxed_acs_check"),
    ],
)
def test_every_function_of_an_unsafe_machine_is_refused(change: dict[str, Any], word: str) -> None:
    (reason,) = refusals(NIC, msgspec.structs.replace(FACTS, **change))
    assert word in reason


def test_a_group_goes_whole_and_bridges_stay() -> None:
    both = [NIC.address, SOUND.address]
    nic = msgspec.structs.replace(NIC, group_members=[*both, PORT.address])
    assert refusals(nic, FACTS) != []
    assert refusals(nic, FACTS, both) == []


@pytest.mark.parametrize(
    ("line", "reasons"),
    [
        ("quiet intel_iommu=on iommu=pt intremap=on", []),
        ("vfio_iommu_type1.allow_unsafe_interrupts=1", ["allow_unsafe_interrupts"]),
        ("vfio-iommu-type1.allow-unsafe-interrupts=Y", ["allow_unsafe_interrupts"]),
        ("vfio_iommu_type1.allow_unsafe_interrupts=0", []),
        ("pcie_acs_override=downstream,multifunction", ["pcie_acs_override"]),
        ("pci=noaer,pcie_acs_override=downstream", ["pcie_acs_override"]),
        ("intel_iommu=on,relax_rmrr", ["relaxed_rmrr"]),
        ("intel_iommu=relaxed_acs_check", ["relaxed_acs_check"]),
        ("relaxed_acs_check=1", ["relaxed_acs_check"]),
        ("vfio_pci.relaxed_acs_check=0", []),
        ("pci=disable_acs_redir=0000:00:1c.0", ["disable_acs_redir"]),
        ("pci=config_acs=10@0000:00:1c.0", ["config_acs"]),
        ("intremap=nosid", ["intremap"]),
        ("intremap=off", ["intremap"]),
        ("pcie_acs_override=downstream pcie_acs_override=id:1234:5678", ["pcie_acs_override"]),
    ],
)
def test_what_on_the_command_line_is_unsafe(line: str, reasons: list[str]) -> None:
    assert unsafe_options(line.split()) == reasons


class Machine:
    """A directory like sysfs' PCI part."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.command_line = root / "cmdline"
        self.command_line.write_text("quiet\n")

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")

    def function(self, address: str, class_code: str, group: str = "", **attributes: str) -> None:
        where = f"bus/pci/devices/{address}"
        self.write(f"{where}/class", class_code)
        self.write(f"{where}/vendor", "0x8086")
        self.write(f"{where}/device", "0x10d3")
        for name, value in attributes.items():
            self.write(f"{where}/{name}", value)
        if group:
            members = self.root / f"kernel/iommu_groups/{group}/devices"
            (members / address).mkdir(parents=True)
            (self.root / where / "iommu_group").symlink_to(members.parent)

    def facts(self) -> PciFacts:
        return read_facts(self.root, self.command_line)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_pci_has_no_functions(machine: Machine) -> None:
    assert machine.facts() == PciFacts(remapping=False, unsafe=[], functions=[])


def test_functions_are_read(machine: Machine) -> None:
    machine.function("0000:03:00.0", "0x020000", "7", reset_method="flr bus", boot_vga="0")
    machine.function("0000:03:00.1", "0x040300", "7", reset_method="")
    machine.function("0000:04:00.0", "0x030000", reset="", boot_vga="1", removable="removable")
    (machine.root / "drivers/e1000e").mkdir(parents=True)
    (machine.root / "bus/pci/devices/0000:03:00.0/driver").symlink_to(machine.root / "drivers/e1000e")
    nic, sound, screen = machine.facts().functions
    together = ["0000:03:00.0", "0000:03:00.1"]
    assert nic == msgspec.structs.replace(NIC, group_members=together)
    assert (sound.class_code, sound.reset_methods, sound.group_members) == ("04:03:00", [], together)
    assert (screen.group, screen.group_members, screen.reset_methods) == ("", [], ["unknown"])
    assert (screen.boot_vga, screen.removable, screen.driver) == (True, True, "")


@pytest.mark.parametrize(
    ("units", "line", "remapping"),
    [
        ({"dmar0/intel-iommu/ecap": "f000da"}, "", True),
        ({"dmar0/intel-iommu/ecap": "f000d2"}, "", False),
        ({"dmar0/intel-iommu/ecap": "f000da", "dmar1/intel-iommu/ecap": "f000d2"}, "", False),
        ({"dmar0/intel-iommu/ecap": "nonsense"}, "", False),
        ({"dmar0/intel-iommu/ecap": "f000da"}, "intel_iommu=on intremap=off", False),
        ({"dmar0/intel-iommu/ecap": "f000da"}, "nointremap", False),
        ({"dmar0/intel-iommu/ecap": "f000da"}, "intremap=on", True),
        ({"ivhd0/amd-iommu/cap": "0"}, "", True),
        ({"ivhd0/amd-iommu/cap": "0"}, "amd_iommu=off", False),
        ({}, "", False),
    ],
)
def test_whether_interrupts_are_remapped(
    machine: Machine, units: dict[str, str], line: str, remapping: bool
) -> None:
    for name, content in units.items():
        machine.write(f"class/iommu/{name}", content)
    machine.command_line.write_text(line)
    assert machine.facts().remapping is remapping


@pytest.mark.parametrize(("flags", "remapping"), [(1, True), (3, True), (0, False), (2, False)])
def test_the_firmware_may_say_that_it_is_not_to_be_used(
    machine: Machine, flags: int, remapping: bool
) -> None:
    machine.write("class/iommu/dmar0/intel-iommu/ecap", "f000da")
    table = machine.root / "firmware/acpi/tables/DMAR"
    table.parent.mkdir(parents=True)
    table.write_bytes(b"DMAR".ljust(36, b"\0") + bytes([38, flags]) + bytes(10))
    assert machine.facts().remapping is remapping


@pytest.mark.parametrize(
    ("parameter", "value", "unsafe"),
    [
        ("vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y", ["allow_unsafe_interrupts"]),
        ("vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N", []),
        ("vfio_pci/parameters/relaxed_acs_check", "Y", ["relaxed_acs_check"]),
        ("vfio_pci/parameters/relaxed_acs_check", "N", []),
    ],
)
def test_what_a_module_says_of_itself_counts(
    machine: Machine, parameter: str, value: str, unsafe: list[str]
) -> None:
    machine.write(f"module/{parameter}", value)
    assert machine.facts().unsafe == unsafe

"""The domain XML, golden. After a wanted change: pytest tests/unit/test_domain_xml.py --rewrite-golden."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from pathlib import Path
from uuid import UUID

import pytest
from twinhull_hypervisor.domain.builder import domain_xml
from twinhull_hypervisor.domain.devices import device_models
from twinhull_hypervisor.domain.errors import BadMachine
from twinhull_hypervisor.domain.hostdev import pci_held
from twinhull_hypervisor.domain.spec import CGROUPS, Accelerator, Disk, DomainSpec, Firmware, Network
from twinhull_hypervisor.run import run
from twinhull_policy.names import Partition

GOLDEN = Path(__file__).parent.parent / "data" / "domain"
SLICES = Path(__file__).parents[2] / "installer/systemd"
IMAGES = Path("/var/lib/twinhull/images")
VOLUMES = Path("/var/lib/twinhull/volumes")

CORPORATE = DomainSpec(
    partition=Partition.CORPORATE,
    uuid=UUID("0b0a8c1e-8a53-4c1b-9f0e-5d1d6f9f1a01"),
    accelerator=Accelerator.KVM,
    vcpus=4,
    memory_mib=4096,
    uid=70001,
    gid=70001,
    firmware=Firmware(VOLUMES / "corporate/nvram.fd"),
    disk=Disk(
        VOLUMES / "corporate/overlay.qcow2",
        IMAGES / f"{'ab' * 32}.qcow2",
        UUID("5d0f2c7e-1111-4222-8333-444455556666"),
    ),
    network=Network("th-corp0", "52:54:00:10:13:01"),
    cpu_shares=4096,
    confined=True,
    slices=True,
    pci=("0000:03:00.0",),
)
PERSONAL = dataclasses.replace(
    CORPORATE,
    partition=Partition.PERSONAL,
    uuid=UUID("0b0a8c1e-8a53-4c1b-9f0e-5d1d6f9f1a02"),
    accelerator=Accelerator.EMULATION,
    vcpus=2,
    memory_mib=1024,
    uid=70002,
    gid=70002,
    firmware=Firmware(VOLUMES / "personal/nvram.fd", Path("/usr/share/OVMF/OVMF_CODE.fd")),
    disk=Disk(
        VOLUMES / "personal/overlay.qcow2",
        IMAGES / f"{'cd' * 32}.qcow2",
        UUID("5d0f2c7e-1111-4222-8333-777788889999"),
        native_io=False,
    ),
    network=Network("th-pers0", "52:54:00:10:13:02"),
    cpu_shares=1024,
    confined=False,
    agent_channel=True,
    slices=False,
    pci=(),
)
CASES = {
    "corporate-kvm": CORPORATE,
    "personal-emulation": PERSONAL,
    "corporate-in-a-volume": dataclasses.replace(
        CORPORATE, disk=dataclasses.replace(CORPORATE.disk, secret=None), pci=()
    ),
    "personal-slice": dataclasses.replace(PERSONAL, slices=True),
    "corporate-no-network": dataclasses.replace(CORPORATE, network=None, confined=False, pci=()),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, rewrite_golden: bool) -> None:
    path = GOLDEN / f"{name}.xml"
    made = domain_xml(CASES[name])
    if rewrite_golden:
        path.write_text(made)
    assert made == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_golden_file_is_valid_for_libvirt(name: str) -> None:
    done = run(["virt-xml-validate", GOLDEN / f"{name}.xml", "domain"], timeout=60, check=False)
    assert done.status == 0, done.stderr.decode()


def flatten(value: object, prefix: str) -> dict[str, object]:
    """Every field of a spec and of what it holds, by dotted name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found: dict[str, object] = {}
        for field in dataclasses.fields(value):
            found |= flatten(getattr(value, field.name), f"{prefix}.{field.name}")
        return found
    return {prefix: value}


def test_every_field_is_exercised() -> None:
    """Each modelled field differs between two golden cases: none can stop having an effect unnoticed."""
    corporate, personal = flatten(CORPORATE, "spec"), flatten(PERSONAL, "spec")
    assert corporate.keys() == personal.keys()
    assert [name for name in corporate if corporate[name] == personal[name]] == []


def parsed(name: str) -> ET.Element:
    """A case's XML, read back."""
    return ET.fromstring(domain_xml(CASES[name]))  # noqa: S314 - our own output


FORBIDDEN = {
    ".//{http://libvirt.org/schemas/domain/qemu/1.0}commandline": "raw QEMU arguments",
    ".//filesystem": "shared directory",
    ".//redirdev": "USB redirection by the viewer",
    ".//hostdev[@type='usb']": "USB device before anybody decided",
    ".//hostdev[@type='scsi']": "host disk",
    ".//hostdev[@managed='no']": "PCI function that nobody gives back",
    ".//serial": "serial port nobody reads",
    ".//sound": "sound card",
    ".//interface[@type='user']": "slirp",
    ".//interface[@type='network']": "libvirt's own bridge",
    ".//listen[@type='address']": "display on TCP",
    ".//acceleration[@accel3d='yes']": "virgl",
    ".//disk[@device='floppy']": "floppy",
    ".//disk[@device='cdrom']": "CD-ROM",
}


@pytest.mark.parametrize("path", FORBIDDEN, ids=FORBIDDEN.values())
@pytest.mark.parametrize("name", CASES)
def test_attack_surface_that_must_never_appear(name: str, path: str) -> None:
    assert parsed(name).findall(path) == []


@pytest.mark.parametrize("name", CASES)
def test_host_devices_are_the_functions_that_were_asked_for(name: str) -> None:
    assert pci_held(domain_xml(CASES[name])) == CASES[name].pci


@pytest.mark.parametrize("name", CASES)
def test_every_disk_layer_names_its_format(name: str) -> None:
    disk = parsed(name).find(".//disk")
    assert disk is not None
    assert disk.find("driver[@type='qcow2']") is not None
    assert disk.find("backingStore/format[@type='qcow2']") is not None
    end = disk.find("backingStore/backingStore")
    assert end is not None
    assert len(end) == 0
    assert end.attrib == {}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("vcpus", {"vcpus": 0}),
        ("vcpus", {"vcpus": 65}),
        ("memory_mib", {"memory_mib": 63}),
        ("memory_mib", {"memory_mib": 2**21}),
        ("cpu_shares", {"cpu_shares": 1}),
        ("uid and gid", {"uid": 0}),
        ("uid and gid", {"gid": 0}),
        ("uid and gid", {"uid": -1}),
        ("paths", {"firmware": Firmware(Path("nvram.fd"))}),
        ("paths", {"firmware": Firmware(Path("/a\nb"))}),
        ("paths", {"disk": Disk(Path("/a/\0"), Path("/b"), CORPORATE.disk.secret)}),
        ("tap", {"network": Network("../tap", "52:54:00:10:13:01")}),
        ("tap", {"network": Network("a" * 16, "52:54:00:10:13:01")}),
        ("tap", {"network": Network("tap'/><x", "52:54:00:10:13:01")}),
        ("pci", {"pci": ("0000:03:00.8",)}),
        ("pci", {"pci": ("0000:03:00.0", "03:00.0")}),
        ("pci", {"pci": ("0000:03:00.0'/><x",)}),
        ("mac", {"network": Network("tap0", "53:54:00:10:13:01")}),
        ("mac", {"network": Network("tap0", "00:16:3e:10:13:01")}),
        ("mac", {"network": Network("tap0", "52:54:00:10:13:01\n")}),
    ],
)
def test_out_of_bounds_is_refused(field: str, change: dict[str, object]) -> None:
    with pytest.raises(BadMachine, match=f"its {field} is out of bounds"):
        dataclasses.replace(CORPORATE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("partition", "path"), CGROUPS.items())
def test_each_machine_goes_into_a_slice_that_is_installed(partition: Partition, path: str) -> None:
    """libvirt writes a path's slashes as hyphens (virsystemd.c, virSystemdMakeSliceName)."""
    made = domain_xml(dataclasses.replace(CORPORATE, partition=partition))
    assert f"<partition>{path}</partition>" in made
    assert (SLICES / f"{path[1:].replace('/', '-')}.slice").exists()


def test_the_services_are_in_the_slice_that_memory_is_held_for() -> None:
    """All but the server's, and those that only run a command once."""
    units = {path.name: path.read_text() for path in SLICES.glob("*.service")}
    services = [text for name, text in units.items() if "server" not in name and "Type=oneshot" not in text]
    assert len(services) == 7
    assert [text for text in services if "\nSlice=twinhull.slice\nOOMScoreAdjust=-500\n" not in text] == []


def test_device_models_reads_both_notations() -> None:
    argv = ["qemu", "-device", '{"driver":"virtio-rng-pci"}', "-device", "isa-serial,x=1", "-machine", "q35"]
    assert device_models(argv) == ["isa-serial", "virtio-rng-pci"]

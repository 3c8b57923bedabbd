"""What the machine with an IOMMU is asked for: to judge its PCI functions, and to give one to a partition.

Runs in it, as root. Says one line of JSON for each thing that it was asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from twinhull_hypervisor.daemon.device_pci import pci_grants, pci_infos
from twinhull_hypervisor.devices.pci import read_facts
from twinhull_hypervisor.domain.builder import domain_xml
from twinhull_hypervisor.domain.connection import Hypervisor
from twinhull_hypervisor.domain.hostdev import HostDevices
from twinhull_hypervisor.domain.machine import Machine
from twinhull_hypervisor.domain.spec import Accelerator, Disk, DomainSpec, Firmware
from twinhull_policy.compiled import CompiledPolicy
from twinhull_policy.model import Match, OwnerRule, OwnerRules
from twinhull_policy.names import Partition

from tests.support.hypervisor import QEMU_GID, UIDS

SYSFS = Path("/sys")
PLACE = Path("/var/tmp/partition")  # noqa: S108 - the machine's own memory
GUEST_SAID = PLACE / "console.txt"
SECONDS = 900.0
PERSONAL = Partition.PERSONAL
EVERYTHING = OwnerRules(devices=(OwnerRule(name="everything", match=Match(bus="pci"), to="personal"),))
"""An owner who sends every PCI function to the personal partition."""
RULES = CompiledPolicy(None, EVERYTHING)


def judged() -> dict[str, tuple[str, str]]:
    """Each function's state and the reason, as ``twinhull device list --pci`` has them."""
    infos = pci_infos(read_facts(SYSFS), RULES, {})
    return {info.port: (info.state, info.reason) for info in infos}


def granted() -> list[str]:
    """What the partition would get at its start."""
    return pci_grants(read_facts(SYSFS), RULES, PERSONAL, frozenset())[0]


def until(true: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.5)


def libvirt() -> None:
    """Start libvirt's two daemons."""
    for program, path in (("virtlogd", "virtlogd-sock"), ("libvirtd", "libvirt-sock")):
        subprocess.run([f"/usr/sbin/{program}", "--daemon"], check=True)
        until((Path("/run/libvirt") / path).exists)


def driver(address: str) -> str:
    """What holds a function."""
    link = SYSFS / "bus/pci/devices" / address / "driver"
    return link.readlink().name if link.is_symlink() else ""


def definition(addresses: Sequence[str], guest: Path) -> str:
    """Twinhull's machine with these functions, but without UEFI and with a serial port."""
    PLACE.mkdir(mode=0o711)
    base, overlay = PLACE / "base", PLACE / "overlay"
    made = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", guest, base], check=True)
    subprocess.run([*made, "-b", base, "-F", "qcow2", overlay], check=True)
    base.chmod(0o444)
    spec = DomainSpec(
        partition=PERSONAL,
        uuid=uuid4(),
        accelerator=Accelerator.EMULATION,
        vcpus=1,
        memory_mib=128,
        uid=UIDS[PERSONAL],
        gid=QEMU_GID,
        firmware=Firmware(PLACE / "nvram"),
        disk=Disk(overlay, base, None),
        network=None,
        pci=tuple(addresses),
    )
    root = ET.fromstring(domain_xml(spec))  # noqa: S314 - our own
    system, devices = root.find("os"), root.find("devices")
    assert system is not None and devices is not None
    for name in ("loader", "nvram"):
        element = system.find(name)
        assert element is not None
        system.remove(element)
    for disk in devices.iterfind("disk/driver"):
        disk.attrib |= {"cache": "writeback", "io": "threads"}  # files in memory know no O_DIRECT
    serial = ET.SubElement(devices, "serial", type="file")
    ET.SubElement(serial, "source", path=str(GUEST_SAID))
    return ET.tostring(root, encoding="unicode")


def given(guest: str, *addresses: str) -> dict[str, object]:
    """Give functions to a machine until its guest has used one, and take the machine away."""

    def drivers() -> list[str]:
        return [driver(address) for address in addresses]

    def said() -> str:
        return GUEST_SAID.read_text(errors="replace").strip() if GUEST_SAID.exists() else ""

    before = drivers()
    libvirt()
    hypervisor = Hypervisor()
    machine, devices = Machine(hypervisor, PERSONAL), HostDevices(hypervisor)
    machine.start_paused(definition(addresses, Path(guest)))
    machine.resume()
    until(said)
    held, during = devices.guests()[PERSONAL].pci, drivers()
    machine.destroy()
    until(lambda: drivers() == before)
    return {"said": said(), "held": held, "before": before, "during": during}


ASKED: dict[str, Callable[..., object]] = {"judged": judged, "granted": granted, "given": given}


if __name__ == "__main__":
    said = ASKED[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    os._exit(0)

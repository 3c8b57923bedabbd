"""A DomainSpec as libvirt domain XML.

Built element by element, in the order of https://libvirt.org/formatdomain.html, never from text. What
QEMU or libvirt would add by default is turned off by name; tests/data/domain holds the whole result, and the
list of device models QEMU is then started with.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from twinhull_hypervisor.domain.spec import AGENT_CHANNEL, CGROUPS, Accelerator, Disk, DomainSpec, Network

EMULATOR = "/usr/bin/qemu-system-x86_64"
EMULATION_CPU = "Nehalem"
"""SSE4.2 and no AVX: all a distribution needs, and what emulation translates fastest."""
EMULATION_VENDOR = "AuthenticAMD"
"""A maker none of whose processors Linux takes for open to Meltdown (CVE-2017-5754; the list is in
arch/x86/kernel/cpu/common.c). For others it changes page tables at each system call, and at each change the
emulator forgets its translations of addresses: about a sixth of a boot. Emulation checks each access in
software, so the defence defends nothing there; under KVM the guest knows its real processor."""
SLOTS = ("video", "disk", "network", "usb", "serial", "keyboard", "tablet", "balloon", "rng")
"""Who is where on the root bus, from slot 1 on.

Left to itself libvirt gives each device a root port of its own: nine bridges more to emulate, and for the
firmware and the guest's kernel to search at each boot. Ports serve devices that are plugged in later; on PCI
there are none of those.
"""
FILES_PORT = "org.twinhull.files.0"
"""Where a program in the guest is asked for a file, or given one; the viewer is at the other end."""
STATISTICS_SECONDS = 10
"""How often a guest's balloon driver says how much memory it uses."""
METADATA_CACHE_BYTES = 8 * 1024 * 1024
"""All level 2 tables of 64 GiB: 128 KiB clusters with extended_l2 take 16 bytes each.

From QEMU's docs/interop/qcow2.txt."""


def domain_xml(spec: DomainSpec) -> str:
    """The domain XML of one partition, indented, with no declaration.

    Args:
        spec: already checked by its own constructor.
    """
    kvm = spec.accelerator is Accelerator.KVM
    root = ET.Element("domain", type="kvm" if kvm else "qemu")
    text(root, "name", spec.name)
    text(root, "uuid", str(spec.uuid))
    text(root, "memory", str(spec.memory_mib), unit="MiB", dumpCore="off")
    backing = ET.SubElement(root, "memoryBacking")
    ET.SubElement(backing, "nosharepages")
    ET.SubElement(backing, "source", type="anonymous")
    text(root, "vcpu", str(spec.vcpus), placement="static")
    text(root, "iothreads", "1")
    text(ET.SubElement(root, "cputune"), "shares", str(spec.cpu_shares))
    if spec.slices:
        text(ET.SubElement(root, "resource"), "partition", CGROUPS[spec.partition])
    add_boot(root, spec)
    add_features(root, kvm)
    add_cpu(root, spec)
    add_clock(root, kvm)
    text(root, "on_poweroff", "destroy")
    text(root, "on_reboot", "restart")
    text(root, "on_crash", "destroy")
    power = ET.SubElement(root, "pm")
    ET.SubElement(power, "suspend-to-mem", enabled="no")
    ET.SubElement(power, "suspend-to-disk", enabled="no")
    add_devices(root, spec)
    add_security(root, spec)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def text(parent: ET.Element, tag: str, value: str, **attributes: str) -> ET.Element:
    """Append an element holding text."""
    element = ET.SubElement(parent, tag, attributes)
    element.text = value
    return element


def place(element: ET.Element, name: str) -> None:
    """Put a device into its slot of the root bus."""
    slot = f"0x{SLOTS.index(name) + 1:02x}"
    ET.SubElement(element, "address", type="pci", domain="0x0000", bus="0x00", slot=slot, function="0x0")


def add_boot(root: ET.Element, spec: DomainSpec) -> None:
    """UEFI from flash; boots from the disk and nothing else."""
    system = ET.SubElement(root, "os")
    text(system, "type", "hvm", arch="x86_64", machine="q35")
    text(system, "loader", str(spec.firmware.code), readonly="yes", secure="no", type="pflash")
    text(system, "nvram", str(spec.firmware.nvram))
    ET.SubElement(system, "bootmenu", enable="no")


def add_features(root: ET.Element, kvm: bool) -> None:
    """ACPI for orderly shutdown; neither performance counters nor VMware's backdoor port."""
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if kvm:
        ET.SubElement(features, "pmu", state="off")
    ET.SubElement(features, "vmport", state="off")


def add_cpu(root: ET.Element, spec: DomainSpec) -> None:
    """The host's own processor under KVM, a plain 64-bit one under emulation."""
    if spec.accelerator is Accelerator.KVM:
        cpu = ET.SubElement(root, "cpu", mode="host-passthrough", check="none", migratable="off")
    else:
        cpu = ET.SubElement(root, "cpu", mode="custom", match="exact", check="none")
        text(cpu, "model", EMULATION_CPU, fallback="forbid", vendor_id=EMULATION_VENDOR)
    ET.SubElement(cpu, "topology", sockets="1", dies="1", cores=str(spec.vcpus), threads="1")


def add_clock(root: ET.Element, kvm: bool) -> None:
    """UTC; ticks that the host missed are made up for, and the slow HPET is absent."""
    clock = ET.SubElement(root, "clock", offset="utc")
    ET.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    ET.SubElement(clock, "timer", name="pit", tickpolicy="delay")
    ET.SubElement(clock, "timer", name="hpet", present="no")
    if kvm:
        ET.SubElement(clock, "timer", name="kvmclock", present="yes")


def add_devices(root: ET.Element, spec: DomainSpec) -> None:
    """Every device the guest sees, each a piece of attack surface with a reason."""
    devices = ET.SubElement(root, "devices")
    text(devices, "emulator", EMULATOR)
    add_disk(devices, spec.disk, spec.vcpus)
    # Devices that policy sends here are plugged into it; libvirt cannot add a controller later, and qemu-xhci
    # has no more ports than 15.
    place(ET.SubElement(devices, "controller", type="usb", model="qemu-xhci", ports="15"), "usb")
    place(ET.SubElement(devices, "controller", type="virtio-serial", index="0"), "serial")
    if spec.network is not None:
        add_network(devices, spec.network)
    agent = ET.SubElement(devices, "channel", type="unix")
    ET.SubElement(agent, "target", type="virtio", name=AGENT_CHANNEL)
    if spec.agent_channel:
        channel = ET.SubElement(devices, "channel", type="spicevmc")
        ET.SubElement(channel, "target", type="virtio", name="com.redhat.spice.0")
        files = ET.SubElement(devices, "channel", type="spiceport")
        ET.SubElement(files, "source", channel=FILES_PORT)
        ET.SubElement(files, "target", type="virtio", name=FILES_PORT)
    for name in ("keyboard", "tablet"):
        place(ET.SubElement(devices, "input", type=name, bus="virtio"), name)
    add_graphics(devices)
    ET.SubElement(devices, "audio", id="1", type="none")
    video = ET.SubElement(devices, "video")
    model = ET.SubElement(video, "model", type="virtio", heads="1", primary="yes")
    ET.SubElement(model, "acceleration", accel3d="no")
    place(video, "video")
    balloon = ET.SubElement(devices, "memballoon", model="virtio", autodeflate="on", freePageReporting="on")
    ET.SubElement(balloon, "stats", period=str(STATISTICS_SECONDS))
    place(balloon, "balloon")
    for address in spec.pci:
        add_pci(devices, address)
    rng = ET.SubElement(devices, "rng", model="virtio")
    text(rng, "backend", "/dev/urandom", model="random")
    place(rng, "rng")


def add_disk(devices: ET.Element, disk: Disk, queues: int) -> None:
    """The overlay and, beneath it, the base: both formats given, so nothing is ever probed (security.md R6).

    The base is not relabelled: partitions of different users share it, and it is world-readable already.
    """
    element = ET.SubElement(devices, "disk", type="file", device="disk")
    driver = ET.SubElement(
        element,
        "driver",
        name="qemu",
        type="qcow2",
        cache="none" if disk.native_io else "writeback",
        io="native" if disk.native_io else "threads",
        discard="unmap",
        detect_zeroes="unmap",
        iothread="1",
        queues=str(queues),
    )
    cache = ET.SubElement(ET.SubElement(driver, "metadata_cache"), "max_size", unit="bytes")
    cache.text = str(METADATA_CACHE_BYTES)
    source = ET.SubElement(element, "source", file=str(disk.overlay))
    if disk.secret is not None:
        encryption = ET.SubElement(source, "encryption", format="luks")
        ET.SubElement(encryption, "secret", type="passphrase", uuid=str(disk.secret))
    backing = ET.SubElement(element, "backingStore", type="file")
    ET.SubElement(backing, "format", type="qcow2")
    base = ET.SubElement(backing, "source", file=str(disk.base))
    ET.SubElement(base, "seclabel", model="dac", relabel="no")
    ET.SubElement(backing, "backingStore")
    ET.SubElement(element, "target", dev="vda", bus="virtio")
    ET.SubElement(element, "boot", order="1")
    place(element, "disk")


def add_network(devices: ET.Element, network: Network) -> None:
    """The one card, on a tap that exists already and that libvirt leaves as it is."""
    interface = ET.SubElement(devices, "interface", type="ethernet")
    ET.SubElement(interface, "mac", address=network.mac)
    ET.SubElement(interface, "target", dev=network.tap, managed="no")
    ET.SubElement(interface, "model", type="virtio")
    ET.SubElement(interface, "rom", enabled="no")
    place(interface, "network")


def add_graphics(devices: ET.Element) -> None:
    """SPICE with no listener: a viewer gets a connected descriptor or nothing.

    Uncompressed, as the viewer is on the same machine. Mouse mode "server" turns the guest agent's pointer
    off; the tablet brings absolute positions without it. Clipboard messages end in the sandboxed viewer,
    which passes none on unless a person asks for it on the host; they are let through for both partitions
    whatever the policy says, because no policy changes a byte of the personal machine (P6).
    """
    graphics = ET.SubElement(devices, "graphics", type="spice")
    ET.SubElement(graphics, "listen", type="none")
    ET.SubElement(graphics, "image", compression="off")
    ET.SubElement(graphics, "jpeg", compression="never")
    ET.SubElement(graphics, "zlib", compression="never")
    ET.SubElement(graphics, "playback", compression="off")
    ET.SubElement(graphics, "streaming", mode="off")
    ET.SubElement(graphics, "mouse", mode="server")
    ET.SubElement(graphics, "clipboard", copypaste="yes")
    ET.SubElement(graphics, "filetransfer", enable="no")


def add_pci(devices: ET.Element, address: str) -> None:
    """Append the ``hostdev`` element of a PCI function, ``0000:03:00.0``, without its option ROM.

    Managed: libvirt binds vfio-pci before the machine starts and gives the function back when it has ended.
    """
    domain, bus, slot, function = re.split("[:.]", address)
    root = ET.SubElement(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
    ET.SubElement(root, "driver", name="vfio")
    source = ET.SubElement(root, "source")
    ET.SubElement(
        source, "address", domain=f"0x{domain}", bus=f"0x{bus}", slot=f"0x{slot}", function=f"0x{function}"
    )
    ET.SubElement(root, "rom", enabled="no")


def add_security(root: ET.Element, spec: DomainSpec) -> None:
    """QEMU runs as the partition's own user and owns only its files; plus AppArmor where there is one."""
    label = ET.SubElement(root, "seclabel", type="static", model="dac", relabel="yes")
    text(label, "label", f"+{spec.uid}:+{spec.gid}")
    if spec.confined:
        ET.SubElement(root, "seclabel", type="dynamic", model="apparmor", relabel="yes")

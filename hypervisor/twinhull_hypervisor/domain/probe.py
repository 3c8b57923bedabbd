"""Does an accelerator really run a guest? Boot a kernel with it and read what it prints.

A ``/dev/kvm`` that exists, and that libvirt believes in, may still be unable to run a stock kernel (nested
virtualisation done halfway). So what libvirt reports and a timed boot decide together. The kernel gets no
disk and no initrd: it works when it gets as far as panicking because it cannot mount a root file system.
"""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import libvirt  # type: ignore[import-untyped]
from twinhull_policy.errors import TwinhullError, printable

from twinhull_hypervisor.domain.builder import EMULATION_CPU, EMULATOR, text
from twinhull_hypervisor.domain.connection import Hypervisor, translated
from twinhull_hypervisor.domain.spec import Accelerator

BANNER = b"Linux version "
"""linux_banner in the kernel's init/version.c."""
ROOT_SEARCH = b"VFS: Unable to mount root fs"
"""The panic of mount_block_root in the kernel's init/do_mounts.c."""
OUTPUT_LIMIT = 1024 * 1024
COMMAND_LINE = "console=ttyS0,115200 panic=-1 root=/dev/none"
MEMORY_MIB = 256


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether the accelerator works, and a sentence saying how that is known."""

    works: bool
    reason: str


def probe_kvm(
    hypervisor: Hypervisor,
    kernel: Path,
    *,
    timeout_seconds: float,
    uid: int,
    gid: int,
    accelerator: Accelerator = Accelerator.KVM,
) -> ProbeResult:
    """Boot ``kernel`` once and say whether it ran. Never raises for a machine that does not work.

    Args:
        kernel: a bzImage that ``uid`` may read (libvirt does not change its owner), with a serial console.
        timeout_seconds: how long the boot may take, 1 to 120; KVM needs 1 to 2.
        uid, gid: whom QEMU runs as; under KVM it must be allowed to open /dev/kvm.
        accelerator: EMULATION shows that the probe itself finds a working machine working.

    Raises:
        HypervisorUnreachable: libvirt is not there, so nothing is known.
    """
    connection = hypervisor.connection()
    if accelerator is Accelerator.KVM and not offers_kvm(connection):
        return ProbeResult(False, "libvirt offers no KVM on this machine (no usable /dev/kvm).")
    try:
        untrusted_output = boot(connection, probe_xml(kernel, accelerator, uid, gid), timeout_seconds)
    except TwinhullError as error:
        return ProbeResult(False, f"A test machine could not be started: {error.message}")
    return judge(untrusted_output, timeout_seconds)


def offers_kvm(connection: Any) -> bool:
    """Whether libvirt lists KVM among what it can do for 64-bit PCs."""
    with translated("list its capabilities"):
        capabilities = ET.fromstring(connection.getCapabilities())  # noqa: S314 - libvirtd is trusted
    return capabilities.find("./guest/arch[@name='x86_64']/domain[@type='kvm']") is not None


def judge(untrusted_output: bytes, timeout_seconds: float) -> ProbeResult:
    """What the serial output proves.

    Args:
        untrusted_output: everything the machine printed.
        timeout_seconds: how long it was given, for the sentence.
    """
    if ROOT_SEARCH in untrusted_output:
        return ProbeResult(True, "A test kernel booted until it looked for its root file system.")
    if BANNER in untrusted_output:
        lines = untrusted_output.decode(errors="replace").split("\n")
        last = next((printable(line.strip(), 120) for line in reversed(lines) if line.strip()), "")
        return ProbeResult(
            False, f"A test kernel started but got no further in {timeout_seconds:g} s than: {last}"
        )
    said = "printed nothing" if not untrusted_output.strip() else "never reached its banner"
    return ProbeResult(
        False, f"A test kernel {said} in {timeout_seconds:g} s, so the accelerator does not work."
    )


def boot(connection: Any, xml: str, timeout_seconds: float) -> bytes:
    """Run the machine until it is done, has said enough or time is up; it is gone when this returns.

    The console is attached while the machine is paused, so no byte is missed. A timer destroys the machine,
    which ends the stream: that is what wakes the blocking read.
    """
    with translated("start the test machine"):
        domain = connection.createXML(
            xml, libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
        )
    timer = threading.Timer(timeout_seconds, destroy, [domain])
    output = bytearray()
    try:
        with translated("read the test machine's console"):
            stream = connection.newStream(0)
            domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            domain.resume()
        timer.start()
        while len(output) < OUTPUT_LIMIT and ROOT_SEARCH not in output:
            try:
                chunk = stream.recv(4096)
            except libvirt.libvirtError:
                break  # the machine has gone
            if not chunk:
                break
            output += chunk
    finally:
        timer.cancel()
        destroy(domain)
    return bytes(output)


def destroy(domain: Any) -> None:
    """End a machine that may have ended already."""
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
            raise


def probe_xml(kernel: Path, accelerator: Accelerator, uid: int, gid: int) -> str:
    """The smallest machine with a serial port."""
    kvm = accelerator is Accelerator.KVM
    identity = uuid4()
    root = ET.Element("domain", type="kvm" if kvm else "qemu")
    text(root, "name", f"twinhull-probe-{identity.hex[:12]}")
    text(root, "uuid", str(identity))
    text(root, "memory", str(MEMORY_MIB), unit="MiB", dumpCore="off")
    text(root, "vcpu", "1")
    system = ET.SubElement(root, "os")
    text(system, "type", "hvm", arch="x86_64", machine="q35")
    text(system, "kernel", str(kernel))
    text(system, "cmdline", COMMAND_LINE)
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if kvm:
        ET.SubElement(root, "cpu", mode="host-passthrough", check="none", migratable="off")
    else:
        text(ET.SubElement(root, "cpu", mode="custom", match="exact", check="none"), "model", EMULATION_CPU)
    text(root, "on_poweroff", "destroy")
    text(root, "on_reboot", "destroy")
    text(root, "on_crash", "destroy")
    devices = ET.SubElement(root, "devices")
    text(devices, "emulator", EMULATOR)
    ET.SubElement(devices, "controller", type="usb", model="none")
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "target", port="0")
    ET.SubElement(devices, "memballoon", model="none")
    # relabel="no": the kernel is not this machine's, so its owner stays.
    text(ET.SubElement(root, "seclabel", type="static", model="dac", relabel="no"), "label", f"+{uid}:+{gid}")
    return ET.tostring(root, encoding="unicode")

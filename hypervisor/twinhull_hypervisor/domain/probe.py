"""Does an accelerator really run a guest? Boot a kernel with it and read what it prints.

A ``/dev/kvm`` that exists, and that libvirt believes in, may still be unable to run a stock kernel (nested
virtualisation done halfway). So what libvirt reports and a timed boot decide together. The kernel gets no
disk and no initrd: it works when it gets as far as panicking because it cannot mount a root file system.
"""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
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
COMMAND_LINE = "earlyprintk=serial,ttyS0,115200 console=ttyS0,115200 panic=-1 root=/dev/none"
"""It prints from its first moment on, so that slow and stuck look different."""
MEMORY_MIB = 256
LONGEST_SECONDS = 300.0
"""Ends a kernel that prints for ever; a nested one in an emulated machine has been seen to take 60."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether the accelerator works, and a sentence saying how that is known."""

    works: bool
    reason: str


def probe_kvm(
    hypervisor: Hypervisor,
    kernel: Path,
    *,
    silence_seconds: float,
    uid: int,
    gid: int,
    accelerator: Accelerator = Accelerator.KVM,
) -> ProbeResult:
    """Boot ``kernel`` once and say whether it ran. Never raises for a machine that does not work.

    Args:
        kernel: a Linux kernel with a serial console that ``uid`` may read (libvirt leaves its owner).
        silence_seconds: how long the kernel may print nothing, 1 to 120, before it counts as stuck. A whole
            KVM boot takes 1 to 2; nested in something slow it takes long, and goes on printing.
        uid, gid: whom QEMU runs as; under KVM it must be allowed to open /dev/kvm.
        accelerator: EMULATION shows that the probe itself finds a working machine working.

    Raises:
        HypervisorUnreachable: libvirt is not there, so nothing is known.
    """
    connection = hypervisor.connection()
    if accelerator is Accelerator.KVM and not offers_kvm(connection):
        return ProbeResult(False, "libvirt offers no KVM on this machine (no usable /dev/kvm).")
    try:
        untrusted_output = boot(connection, probe_xml(kernel, accelerator, uid, gid), silence_seconds)
    except TwinhullError as error:
        return ProbeResult(False, f"A test machine could not be started: {error.message}")
    return judge(untrusted_output, silence_seconds)


def offers_kvm(connection: Any) -> bool:
    """Whether libvirt lists KVM among what it can do for 64-bit PCs."""
    with translated("list its capabilities"):
        capabilities = ET.fromstring(connection.getCapabilities())  # noqa: S314 - libvirtd is trusted
    return capabilities.find("./guest/arch[@name='x86_64']/domain[@type='kvm']") is not None


def judge(untrusted_output: bytes, silence_seconds: float) -> ProbeResult:
    """What the serial output proves.

    Args:
        untrusted_output: everything the machine printed.
        silence_seconds: how long it was waited for more, for the sentence.
    """
    if ROOT_SEARCH in untrusted_output:
        return ProbeResult(True, "A test kernel booted until it looked for its root file system.")
    if BANNER in untrusted_output:
        lines = untrusted_output.decode(errors="replace").split("\n")
        last = next((printable(line.strip(), 120) for line in reversed(lines) if line.strip()), "")
        return ProbeResult(
            False, f"A test kernel started and came no further in {silence_seconds:g} s than: {last}"
        )
    said = "printed nothing" if not untrusted_output.strip() else "never reached its banner"
    return ProbeResult(
        False, f"A test kernel {said} in {silence_seconds:g} s, so the accelerator does not work."
    )


def boot(connection: Any, xml: str, silence_seconds: float) -> bytes:
    """Run the machine until it is done, has said enough or has gone quiet; it is gone when this returns.

    The console is attached while the machine is paused, so no byte is missed. A watch destroys the machine,
    which ends the stream: that is what wakes the blocking read.
    """
    with translated("start the test machine"):
        domain = connection.createXML(
            xml, libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
        )
    watch = Silence(silence_seconds, lambda: destroy(domain))
    output = bytearray()
    try:
        with translated("read the test machine's console"):
            stream = connection.newStream(0)
            domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
            domain.resume()
        watch.start()
        while len(output) < OUTPUT_LIMIT and ROOT_SEARCH not in output:
            try:
                chunk = stream.recv(4096)
            except libvirt.libvirtError:
                break  # the machine has gone
            if not chunk:
                break
            output += chunk
            watch.heard()
    finally:
        watch.end()
        destroy(domain)
    return bytes(output)


class Silence:
    """Calls back once when nothing was heard for a while, or when LONGEST_SECONDS have passed."""

    def __init__(
        self, seconds: float, on_silence: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._on_silence = on_silence
        self._clock = clock
        self._last = self._began = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._last = self._began = self._clock()
        self._thread.start()

    def heard(self) -> None:
        """Something was said just now."""
        self._last = self._clock()

    def end(self) -> None:
        """Listen no longer; returns when no callback can come any more."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _wait(self) -> None:
        while (left := self.left()) > 0:
            if self._over.wait(left):
                return
        self._on_silence()

    def left(self) -> float:
        """Seconds until the callback, if nothing more is heard."""
        return min(self._last + self._seconds, self._began + LONGEST_SECONDS) - self._clock()


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

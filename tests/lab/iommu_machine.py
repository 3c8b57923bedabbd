"""A machine with an IOMMU, PCI cards and this machine's files: for what is passed on to a partition by VFIO.

Emulated, and so is what libvirt starts in it: a guest there boots in a minute or two. It has no systemd and
no disk; what changes in its files stays in its memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .usb_peer.machine import Machine, boot_files, started

MODULES = (
    *("virtio_pci", "9p", "9pnet_virtio", "overlay", "e1000e", "virtio_rng"),
    *("vfio_pci", "vfio_iommu_type1"),
)
MEMORY_MIB = 3072
BOOT_SECONDS = 300.0
CARD, SCREEN, BRIDGE, NO_RESET = "0000:01:00.0", "0000:00:01.0", "0000:00:02.0", "0000:00:03.0"
SHARING, SHARED, COUNTING = "0000:02:00.0", "0000:02:00.1", "0000:03:00.0"
"""Where the cards are, as they are plugged below."""
CARDS = (
    *("-device", "VGA,bus=pcie.0,addr=0x1"),
    *("-device", "pcie-root-port,id=slot1,chassis=1,addr=0x2", "-device", "e1000e,bus=slot1"),
    *("-device", "virtio-rng-pci,bus=pcie.0,addr=0x3"),
    # Two functions of one card without ACS: they reach each other past the IOMMU.
    *("-device", "pcie-root-port,id=slot2,chassis=2,addr=0x4"),
    *("-device", "e1000e,bus=slot2,addr=0.0,multifunction=on"),
    *("-device", "virtio-rng-pci,bus=slot2,addr=0.1"),
    # One that a guest of a few hundred instructions can use (QEMU, docs/specs/edu.rst).
    *("-device", "pcie-root-port,id=slot3,chassis=3,addr=0x5", "-device", "edu,bus=slot3"),
)
"""On the root bus, which cannot be reset as a whole, a virtio card has no way to be."""
_FILES = "trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro"
INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
mkdir /lower /own /files
mount -t 9p -o {_FILES} files /lower
mount -t tmpfs none /own
mkdir /own/upper /own/scratch
mount -t overlay -o lowerdir=/lower,upperdir=/own/upper,workdir=/own/scratch none /files
for where in proc sys dev; do mount --move /$where /files/$where; done
mkdir -p /files/dev/pts /files/dev/shm
mount -t devpts none /files/dev/pts
mount -t tmpfs none /files/dev/shm
mount -t tmpfs none /files/run
mount -t cgroup2 none /files/sys/fs/cgroup
exec switch_root /files /bin/bash -c '
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
printf "\\0040\\n"
while read -r line; do
    eval "$line" </dev/null
    printf "\\004%d\\n" "$?"
done
'
"""
"""It obeys the second serial port, as :mod:`.usb_peer.machine` has it."""


@contextmanager
def machine(directory: Path, options: Sequence[str] = ()) -> Iterator[Machine]:
    """A machine, up and waiting for commands.

    Args:
        directory: for its sockets and its console's text, ``console.txt``.
        options: for its kernel.

    Raises:
        MachineError: it cannot be made, or does not come up.
    """
    kernel, ramdisk = boot_files(MODULES, INIT)
    command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY_MIB)]
    command += ["-nodefaults", "-no-reboot", "-display", "none"]
    command += ["-device", "intel-iommu,intremap=on", *CARDS]
    command += ["-kernel", str(kernel), "-initrd", str(ramdisk)]
    command += ["-append", " ".join(["console=ttyS0", "quiet", "panic=-1", "intel_iommu=on", *options])]
    command += ["-virtfs", "local,path=/,mount_tag=files,security_model=none,readonly=on,multidevs=remap"]
    with started(directory, command, BOOT_SECONDS) as running:
        yield running

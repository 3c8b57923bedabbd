"""What goes into the images: packages, sizes, names, the fixed addresses.

The machine that builds needs the Debian packages in ``BUILD_PACKAGES``; ``MACHINE_TOOLS`` are the programs
used from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

FILES = Path(__file__).resolve().parent.parent / "files"

BUILD_PACKAGES = (
    "mmdebstrap",
    "gpgv",
    "debian-archive-keyring",
    "e2fsprogs",
    "dosfstools",
    "mtools",
    "binutils",
    "qemu-utils",
    "fdisk",
    "cpio",
)
MACHINE_TOOLS = (
    "apt-config",
    "mmdebstrap",
    "gpgv",
    "mke2fs",
    "mkfs.fat",
    "mmd",
    "mcopy",
    "objcopy",
    "qemu-img",
    "sfdisk",
    "cpio",
    "chroot",
    "unshare",
)

# Loaded by the initial RAM disk, with what they depend on; crc32c is what ext4 asks for by alias. From button
# on it is what every guest needs later, and what is there when udev starts costs udev less.
BOOT_MODULES = (
    "virtio_pci",
    "virtio_blk",
    "crc32c_generic",
    "crc32c_intel",
    "ext4",
    "button",
    "evdev",
    "virtio_input",
    "virtio_console",
    "virtio_net",
)

# The root file system's UUID is put before these. Messages go to the serial line and to the screen.
KERNEL_OPTIONS = (
    "rw quiet loglevel=4 console=ttyS0 console=tty0 random.trust_cpu=on systemd.show_status=false "
    # The last is for drives that say nothing of a new disc: udev would set it on hearing of the kernel's own
    # modules, and at boot it does not hear of them.
    "systemd.gpt_auto=no nowatchdog block.events_dfl_poll_msecs=2000"
)

BASE_PACKAGES = (
    "systemd-sysv",
    "systemd-boot-efi",
    "udev",
    "dbus",
    "libpam-systemd",
    "kmod",
    "iproute2",
    "iputils-ping",
    "procps",
    "netbase",
    "ca-certificates",
    "curl",
    "less",
    "login",
    "passwd",
    "tzdata",
    "busybox-static",
    "qemu-guest-agent",
)

DESKTOP_PACKAGES = (
    "xserver-xorg-core",
    "xserver-xorg-input-libinput",
    "xinit",
    "x11-xserver-utils",
    "x11-utils",
    "dbus-user-session",
    "spice-vdagent",
    "xfce4-session",
    "xfce4-settings",
    "xfce4-panel",
    "xfdesktop4",
    "xfwm4",
    "xfce4-terminal",
    "thunar",
    "python3-minimal",
    "mousepad",
    "netsurf-gtk",
    "greybird-gtk-theme",
    "elementary-xfce-icon-theme",
    "librsvg2-common",
    "fonts-dejavu-core",
    "xdg-utils",
)


class Kind(StrEnum):
    """What an image is for: a console for tests, or a desktop for a person."""

    SMALL = "small"
    DESKTOP = "desktop"


@dataclass(frozen=True)
class Tailoring:
    """What makes the shared tree one partition's: files under ``files/<partition>`` and its user.

    Attributes:
        partition: name of the partition.
        user: login of its only person, uid 1000; it has no password, the console logs it in.
        full_name: shown for the user.
    """

    partition: str
    user: str
    full_name: str


TAILORINGS = (
    Tailoring("corporate", "work", "Corporate computer"),
    Tailoring("personal", "me", "Personal computer"),
)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the contents of a pair of images.

    Attributes:
        kind: small or desktop.
        packages: Debian packages, recommendations are not followed.
        virtual_mib: size of the guest's disk, MiB; the file holds only what is used.
        room_mib: free space a build needs, MiB.
    """

    kind: Kind
    packages: tuple[str, ...]
    virtual_mib: int
    room_mib: int

    def layers(self, partition: str) -> tuple[Path, ...]:
        """The directories laid over the shared tree for a partition, later ones winning."""
        return (FILES / partition, FILES / f"{partition}-{self.kind}")

    def all_layers(self) -> tuple[Path, ...]:
        """Every directory that takes part in the pair."""
        own = (layer for tailoring in TAILORINGS for layer in self.layers(tailoring.partition))
        return (*self.shared_layers(), *own)

    def shared_layers(self) -> tuple[Path, ...]:
        """The directories laid over the tree for both partitions."""
        return (FILES / "common", FILES / str(self.kind))


RECIPES = {
    Kind.SMALL: Recipe(Kind.SMALL, (*BASE_PACKAGES, "linux-image-amd64"), 8192, 2500),
    Kind.DESKTOP: Recipe(Kind.DESKTOP, (*BASE_PACKAGES, *DESKTOP_PACKAGES, "linux-image-amd64"), 16384, 5000),
}

"""``twinhull-devd --early``: before udev looks at anything, let nothing in but keyboards, pointers and hubs.

The kernel already authorises nothing by itself (installer/config/boot/modprobe.conf). Here each
controller is also told not to authorise interfaces, and what the safety rules leave to the host is given to
its drivers. Behind a hub that was given, more appears; controllers appear as udev loads their drivers. So it
is looked again until nothing new came for a while, and at most for a bounded time. What was found then is
remembered as there from the beginning; whatever comes later is hot-plugged.

An initramfs made before Twinhull was installed may have let in everything: what is not the host's is taken
from its drivers again, but for a disk that is mounted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import time
from pathlib import Path

import msgspec

from .arguments import DecidedDevice
from .errors import DeviceChanged, DeviceChangeFailed, DeviceInUse, NoSuchDevice
from .record import Boot, Known, Record, known
from .results import UsbDevice
from .sandbox import host_devices
from .tree import UsbTree

logger = logging.getLogger(__name__)

MOUNTS = Path("/proc/self/mountinfo")
_PORT = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
QUIET_SECONDS = 4.0
"""Nothing new for so long ends it: a hub has its ports up and its devices named in one or two."""
LONGEST_SECONDS = 45.0
"""It ends then in any case; what is slower is treated as plugged in later."""
PAUSE_SECONDS = 0.1
"""Between two looks. sysfs is read, nothing else."""
MOST_DEVICES = 256
"""127 to a bus (USB 2.0, 4.1); a machine with so many at boot is under attack."""


class Early:
    """The early run.

    Args:
        tree: the USB devices.
        record: what is remembered of this boot.
        sysfs: where sysfs is mounted.
        mounts: what is mounted.
    """

    def __init__(
        self, tree: UsbTree, record: Record, sysfs: Path = Path("/sys"), mounts: Path = MOUNTS
    ) -> None:
        self._tree = tree
        self._sysfs = sysfs
        self._mounts = mounts
        self._record = record
        self._seen: set[Known] = set()

    def run(self, quiet: float = QUIET_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        """Look once, say that it was done, and go on looking."""
        self._record.update(lambda boot: Boot(boot=self._record.boot, early=True))
        began = last = time.monotonic()
        self.look()
        notify_ready()
        while (now := time.monotonic()) - last < quiet and now - began < longest:
            time.sleep(PAUSE_SECONDS)
            # Until udev has loaded a controller's driver there is no quiet that could mean anything.
            if self.look() or not self._tree.controllers():
                last = time.monotonic()

    def look(self) -> bool:
        """Restrict, and give the host what is its own among what is new; whether anything was new."""
        for name in self._tree.controllers():
            with contextlib.suppress(NoSuchDevice, DeviceChangeFailed):
                self._record.add_defaults(name, self._tree.restrict_controller(name))
        new = self._new()
        if not new:
            return False
        self._record.update(lambda boot: self._remembered(boot, new))
        for device, is_host in zip(
            new, host_devices([device.untrusted_descriptors for device in new]), strict=True
        ):
            if is_host:
                self._authorise(device)
            elif device.authorised:
                self._block(device)
        return True

    def _new(self) -> list[UsbDevice]:
        found = []
        for port in self._tree.ports():
            with contextlib.suppress(NoSuchDevice, DeviceChangeFailed):
                device = self._tree.device(port)
                if known(device) not in self._seen and len(self._seen) < MOST_DEVICES:
                    self._seen.add(known(device))
                    found.append(device)
        return found

    def _remembered(self, boot: Boot | None, new: list[UsbDevice]) -> Boot:
        boot = boot or Boot(boot=self._record.boot, early=True)
        return msgspec.structs.replace(boot, present=boot.present | {known(device) for device in new})

    def _block(self, device: UsbDevice) -> None:
        if device.port in mounted_ports(self._sysfs, self._mounts):
            logger.warning("port %s: this computer runs from it, so it stays", device.port)
            return
        try:
            self._tree.block(_decided(device))
            logger.info("port %s: had been let in before, blocked", device.port)
        except (NoSuchDevice, DeviceChanged, DeviceChangeFailed) as error:
            logger.warning("port %s: %s", device.port, error.message)

    def _authorise(self, device: UsbDevice) -> None:
        try:
            self._tree.authorise(_decided(device), "host")
            logger.info("port %s: authorised for the host, there at boot", device.port)
        except (NoSuchDevice, DeviceChanged, DeviceChangeFailed, DeviceInUse) as error:
            logger.warning("port %s: %s", device.port, error.message)


def _decided(device: UsbDevice) -> DecidedDevice:
    return DecidedDevice(port=device.port, sha256=device.sha256, busnum=device.busnum, devnum=device.devnum)


def mounted_ports(sysfs: Path, mounts: Path) -> set[str]:
    """The USB ports of the disks that are mounted, and of the hubs before them, whatever lies between.

    Args:
        sysfs: where sysfs is mounted.
        mounts: ``/proc/self/mountinfo`` (proc(5)).
    """
    numbers = {line.split()[2] for line in mounts.read_text("utf-8", "replace").splitlines()}
    found: set[str] = set()
    left = [sysfs / "dev/block" / number for number in numbers]
    while left:
        device = left.pop().resolve()
        found |= {part for part in device.parts if _PORT.fullmatch(part)}
        left += device.glob("slaves/*")
    return found


def notify_ready() -> None:
    """Tell the service manager, if one asks, that booting may go on (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.connect("\0" + address[1:] if address[0] == "@" else address)
            manager.sendall(b"READY=1")

"""What devd remembers of this boot: which devices were there from the start, and how controllers were set.

One file in /run, replaced atomically, good for one boot: it names the boot it is of.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from .arguments import DecidedDevice
from .results import UsbDevice
from .tree import Defaults

RECORD = Path("/run/twinhull-devd/boot.json")
RESTRICTED: Defaults = ("0", "0")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Known(msgspec.Struct, frozen=True):
    """One device, while it stays plugged in."""

    port: str
    sha256: str
    busnum: int
    devnum: int


def known(device: UsbDevice) -> Known:
    """The device as it is remembered."""
    return Known(device.port, device.sha256, device.busnum, device.devnum)


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """The file.

    Attributes:
        boot: the kernel's id of the boot.
        early: whether the controllers were restricted from early boot on.
        present: the devices that were there then, or else when devd first started.
        defaults: the controllers' defaults before Twinhull, for those it found without restriction.
        guests: the devices that were let in for a guest and were not taken back.
    """

    boot: str
    early: bool
    present: frozenset[Known] = frozenset()
    defaults: dict[str, Defaults] = {}
    guests: tuple[DecidedDevice, ...] = ()


class Record:
    """Reads and writes the file.

    Args:
        path: the file; its directory is made if it is missing.
        boot_id: file with the kernel's id of this boot.
    """

    def __init__(self, path: Path = RECORD, boot_id: Path = BOOT_ID) -> None:
        self._path = path
        self.boot = boot_id.read_text("ascii").strip()

    def read(self) -> Boot | None:
        """What was written in this boot; None if nothing was."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Boot)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return kept if kept.boot == self.boot else None

    def update(self, change: Callable[[Boot | None], Boot]) -> Boot:
        """Replace the content by what ``change`` makes of it; the early run and devd may both be at it.

        The file is in memory, so there is nothing to sync.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            boot = change(self.read())
            temporary = self._path.with_suffix(".new")
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(boot))
            temporary.rename(self._path)
            return boot

    def set_guest(self, port: str, device: DecidedDevice | None) -> None:
        """Remember which device at a port is a guest's; None for none."""

        def change(boot: Boot | None) -> Boot:
            boot = boot or Boot(boot=self.boot, early=False)
            others = [other for other in boot.guests if other.port != port]
            new = [DecidedDevice(port, device.sha256, device.busnum, device.devnum)] if device else []
            return msgspec.structs.replace(boot, guests=(*others, *new))

        self.update(change)

    def forget(self) -> dict[str, Defaults]:
        """Remove the file and its directory; how the controllers are to be from now on.

        Where the whole boot was restricted, the zeros are Twinhull's own, and 1 is the kernel's default for
        both (Documentation/usb/authorization.rst).
        """
        boot = self.read()
        for path in (self._path, self._path.with_suffix(".lock")):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._path.parent.rmdir()
        if boot is None:
            return {}
        return dict.fromkeys(boot.defaults, ("1", "1")) if boot.early else boot.defaults

    def add_defaults(self, controller: str, before: Defaults) -> None:
        """Remember how a controller was, unless it is remembered or was restricted already."""
        if before == RESTRICTED:
            return

        def change(boot: Boot | None) -> Boot:
            boot = boot or Boot(boot=self.boot, early=False)
            return msgspec.structs.replace(boot, defaults={controller: before, **boot.defaults})

        self.update(change)

"""A directory that looks like sysfs' USB part. Writing to it changes files and nothing else happens."""

from __future__ import annotations

from pathlib import Path

from tests.support.usb import simple

KEYBOARD = simple(0x046D, 0xC31C, (3, 1, 1))
POINTER = simple(0x046D, 0xC077, (3, 1, 2))
HUB = simple(0x05E3, 0x0608, (9, 0, 0))
STICK = simple(0x0781, 0x5567, (8, 6, 0x50))
TYPING_STICK = simple(0x1234, 0x5678, (3, 1, 1), (8, 6, 0x50))


class FakeSysfs:
    """Builds and reads such a directory.

    Attributes:
        root: what to give for ``/sys``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bus/usb/devices").mkdir(parents=True)
        (root / "bus/usb/drivers_probe").write_text("")

    def controller(self, number: int, *, defaults: tuple[str, str] = ("1", "1")) -> Path:
        """A root hub with its interface."""
        directory = self.root / f"devices/pci0000:00/usb{number}"
        _attributes(directory, authorized_default=defaults[0], interface_authorized_default=defaults[1])
        _attributes(directory / f"{number}-0:1.0", authorized="1", bInterfaceClass="09")
        self._link(f"usb{number}", directory)
        return directory

    def plug(self, port: str, descriptors: bytes, *, devnum: int = 5, **attributes: str) -> Path:
        """A device that is not authorised; the kernel shows its descriptors and strings all the same."""
        bus = port.partition("-")[0]
        directory = self.root / f"devices/pci0000:00/usb{bus}/{port}"
        _attributes(directory, busnum=bus, devnum=str(devnum), authorized="0", **attributes)
        (directory / "descriptors").write_bytes(descriptors)
        self._link(port, directory)
        return directory

    def interface(self, port: str, number: int, triple: tuple[str, str, str], driver: str = "") -> Path:
        """An interface of a device, as there is once it is configured."""
        directory = self.device(port) / f"{port}:1.{number}"
        _attributes(
            directory,
            authorized="0",
            bInterfaceNumber=f"{number:02x}",
            bInterfaceClass=triple[0],
            bInterfaceSubClass=triple[1],
            bInterfaceProtocol=triple[2],
        )
        if driver:
            home = self.root / "bus/usb/drivers" / driver
            home.mkdir(parents=True, exist_ok=True)
            (directory / "driver").symlink_to(home)
        return directory

    def unplug(self, port: str) -> None:
        """The device goes away: its name first."""
        (self.root / "bus/usb/devices" / port).unlink()

    def device(self, port: str) -> Path:
        """Where a device or controller is."""
        return (self.root / "bus/usb/devices" / port).resolve()

    def text(self, port: str, name: str) -> str:
        """An attribute."""
        return (self.device(port) / name).read_text().strip()

    @property
    def probed(self) -> str:
        """The interface that was last offered to drivers; empty if none was."""
        return (self.root / "bus/usb/drivers_probe").read_text()

    def _link(self, name: str, directory: Path) -> None:
        (self.root / "bus/usb/devices" / name).symlink_to(directory)


def _attributes(directory: Path, **values: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (directory / name).write_text(f"{value}\n")

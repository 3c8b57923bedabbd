"""The USB devices of this machine in sysfs: what is there, and who may use it.

How the kernel is used (Documentation/usb/authorization.rst; drivers/usb/core of Linux 6.1):

- A device that is not authorised has been asked for its descriptors and strings and nothing else: it has no
  configuration, so no interface, so no driver. Writing 1 to ``authorized`` configures it.
- The interfaces it then gets are born with the controller's ``interface_authorized_default``. An interface
  that is not authorised is refused by the driver core (``usb_probe_interface``) and by usbfs
  (``usb_driver_claim_interface``) alike. devd makes this default 0 before it authorises anything.
- Authorising an interface does not look for a driver; that takes its name written to ``drivers_probe``. So a
  device for a guest has authorised interfaces that were never offered to a driver, and one for the host has
  them offered. A driver module that is loaded later would find the former, which is why
  installer/config/boot/udev.rules lets udev load none but those for keyboards, pointers and hubs.
- Writing 0 takes drivers and usbfs users off first.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from twinhull_policy.descriptors import MAX_BYTES

from .arguments import DecidedDevice, Use
from .errors import DeviceChanged, DeviceChangeFailed, DeviceInUse, LastKeyboard, NoSuchDevice
from .keyboards import builtin_keyboard
from .results import Authorised, UsbDevice
from .sysfs import Directory, opened

logger = logging.getLogger(__name__)

PASSED_ON_BYTES = 16 * 1024
"""Descriptors longer than this are only hashed. The largest of real devices, docks and audio interfaces, have
a few KiB; base64 of this much fits a packet (twinhull_hypervisor.ipc.PACKET_LIMIT)."""
STRING_CHARACTERS = 126
"""A string descriptor is at most 255 bytes, two of them its head (USB 2.0, 9.6.7)."""
_DEVICE = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
"""A device and not an interface (1-1:1.0) or a root hub (usb1)."""
_CONTROLLER = re.compile(r"usb[0-9]+")
USBFS = "usbfs"
"""The driver that holds an interface for a process: QEMU, for a guest."""
_BOOT_KEYBOARD = ("03", "01", "01")
_BULK_ONLY_STORAGE = ("08", "06", "50")
"""SCSI transparent command set, bulk-only transport (Mass Storage Class Overview 1.4, 2 and 3)."""

Defaults = tuple[str, str]
"""A controller's ``authorized_default`` and ``interface_authorized_default``."""


class UsbTree:
    """The USB devices below one sysfs.

    Args:
        sysfs: where sysfs is mounted.
    """

    def __init__(self, sysfs: Path = Path("/sys")) -> None:
        self._sysfs = sysfs
        self._bus = sysfs / "bus/usb"

    def ports(self) -> list[str]:
        """The ports where a device is plugged in, hubs too, in a fixed order; none without USB."""
        return self._names(_DEVICE)

    def controllers(self) -> list[str]:
        """The root hubs, ``usb1`` and so on."""
        return self._names(_CONTROLLER)

    def device(self, port: str) -> UsbDevice:
        """What is plugged in at a port; nothing in it is parsed. Raises NoSuchDevice."""
        with self._opened(port) as device:
            descriptors = device.read("descriptors", MAX_BYTES + 1)
            drivers = _drivers(device, port)
            return UsbDevice(
                port=port,
                busnum=device.number("busnum"),
                devnum=device.number("devnum"),
                untrusted_descriptors=descriptors if len(descriptors) <= PASSED_ON_BYTES else b"",
                sha256=hashlib.sha256(descriptors).hexdigest(),
                untrusted_manufacturer=device.text("manufacturer")[:STRING_CHARACTERS],
                untrusted_product=device.text("product")[:STRING_CHARACTERS],
                untrusted_serial=device.text("serial")[:STRING_CHARACTERS],
                removable=device.text("removable") != "fixed",
                authorised=device.text("authorized") == "1",
                driver_bound=any(driver != USBFS for driver in drivers),
                at_boot=False,
            )

    def restrict(self) -> dict[str, Defaults]:
        """Let no controller authorise anything by itself; what its defaults were before, by its name."""
        before = {}
        for name in self.controllers():
            with contextlib.suppress(NoSuchDevice):
                before[name] = self.restrict_controller(name)
        return before

    def restrict_controller(self, name: str) -> Defaults:
        """Restrict one controller, ``usbN``; its defaults before. Raises NoSuchDevice, DeviceChangeFailed."""
        with self._opened(name) as controller:
            before = (controller.text("authorized_default"), controller.text("interface_authorized_default"))
            for attribute in ("authorized_default", "interface_authorized_default"):
                if controller.text(attribute) != "0":
                    controller.write(attribute, "0")
            self._keep_root_hub(controller, name)
            return before

    def release(self, before: dict[str, Defaults]) -> None:
        """Give controllers the defaults they had, and what was blocked on them to the host's drivers.

        For taking Twinhull off a machine. One that authorised nothing by itself (``authorized_default`` of 0)
        keeps what is blocked blocked.
        """
        for name, (device, interface) in before.items():
            with contextlib.suppress(NoSuchDevice), self._opened(name) as controller:
                controller.write("authorized_default", device)
                controller.write("interface_authorized_default", interface)
        freed = {name.removeprefix("usb") for name, defaults in before.items() if defaults[0] != "0"}
        for port in self.ports():
            if port.partition("-")[0] in freed:
                with contextlib.suppress(NoSuchDevice, DeviceChangeFailed), self._opened(port) as blocked:
                    self._free(blocked, port)

    def _free(self, device: Directory, port: str) -> None:
        if device.text("authorized") != "1":
            device.write("authorized", "1")
        for name in _interfaces(device, port):
            with device.below(name) as interface:
                if interface.link("driver"):
                    continue
                interface.write("authorized", "1")
            self.probe(name)

    @contextlib.contextmanager
    def decided(self, wanted: DecidedDevice) -> Iterator[Directory]:
        """The handle of the very device that was decided on.

        Raises:
            NoSuchDevice: nothing is there.
            DeviceChanged: another device is there, or this one was plugged in again or describes itself
                differently.
        """
        with self._opened(wanted.port) as device:
            if (device.number("busnum"), device.number("devnum")) != (wanted.busnum, wanted.devnum):
                raise DeviceChanged(port=wanted.port, detail="it was plugged in again")
            descriptors = device.read("descriptors", MAX_BYTES + 1)
            if hashlib.sha256(descriptors).hexdigest() != wanted.sha256:
                raise DeviceChanged(port=wanted.port, detail="it describes itself differently")
            yield device

    def authorise(self, wanted: DecidedDevice, use: Use) -> Authorised:
        """Let the host's drivers have a device, or keep them off it and let a guest have it. Idempotent.

        Raises:
            NoSuchDevice, DeviceChanged: see :meth:`decided`.
            DeviceInUse: it is for a guest, and a driver of the host has it.
            DeviceChangeFailed: the kernel refused; the device is then not authorised.
        """
        with self.decided(wanted) as device:
            if use == "guest":
                _refuse_host_drivers(device, wanted.port)
            try:
                self.configure(device, wanted.port)
                interfaces = _interfaces(device, wanted.port)
                for name in interfaces:
                    with device.below(name) as interface:
                        interface.write("authorized", "1")
                if use == "host":
                    for name in interfaces:
                        self.probe(name)
                else:
                    _refuse_host_drivers(device, wanted.port)
            except (OSError, DeviceInUse):
                with contextlib.suppress(OSError):
                    _deauthorise(device, wanted.port)
                raise
        return Authorised(busnum=wanted.busnum, devnum=wanted.devnum)

    def directory(self, port: str) -> Path:
        """Where sysfs has what is plugged in at a port."""
        return self._bus / "devices" / port

    def configure(self, device: Directory, port: str) -> None:
        """Authorise a device so that its interfaces appear, none of them authorised."""
        self.restrict_controller(f"usb{port.partition('-')[0]}")
        if device.text("authorized") != "1":
            device.write("authorized", "1")

    def probe(self, interface: str) -> None:
        """Offer an authorised interface to the host's drivers.

        One that no loaded driver is for stays free, and a driver that udev loads for it finds it by itself.
        EINVAL is the kernel's word for a driver that looked at it and failed; the device is then of no use,
        but nothing is wrong with the host.
        """
        try:
            with opened(self._bus) as bus:
                bus.write("drivers_probe", interface)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def block(self, wanted: DecidedDevice) -> None:
        """Take the very device from whoever has it, be it the last keyboard; raises as :meth:`decided`."""
        with self.decided(wanted) as device:
            _deauthorise(device, wanted.port)

    def host_driver(self, port: str, busnum: int, devnum: int) -> str:
        """A driver of the host that has an interface of a device; empty: none has, or it is another device.

        Raises NoSuchDevice, DeviceChangeFailed.
        """
        with self._opened(port) as device:
            if (device.number("busnum"), device.number("devnum")) != (busnum, devnum):
                return ""
            return next((driver for driver in _drivers(device, port) if driver != USBFS), "")

    def revoke(self, port: str) -> None:
        """Take a device from whoever has it; it stays plugged in and blocked. Idempotent.

        Raises:
            NoSuchDevice: nothing is there.
            LastKeyboard: without it, or what is behind it, nobody could type.
            DeviceChangeFailed: the kernel refused.
        """
        with self._opened(port) as device:
            if self.needed_to_type(port):
                raise LastKeyboard(port=port)
            _deauthorise(device, port)

    def needed_to_type(self, port: str) -> bool:
        """Whether this is the only keyboard the host has, or the hub before it."""
        keyboards = self.keyboards()
        behind = {other for other in keyboards if other == port or other.startswith(f"{port}.")}
        return bool(behind) and behind == keyboards and not builtin_keyboard(self._sysfs)

    def keyboards(self) -> set[str]:
        """The ports of the boot keyboards that drivers of the host hold: those that are trusted."""
        found = set()
        for port in self.ports():
            with contextlib.suppress(NoSuchDevice, DeviceChangeFailed), self._opened(port) as device:
                if any(_is_boot_keyboard(device, name, held=True) for name in _interfaces(device, port)):
                    found.add(port)
        return found

    def boot_keyboard(self, device: Directory, port: str) -> str:
        """The name of a configured device's first boot keyboard interface; empty if there is none."""
        names = _interfaces(device, port)
        return next((name for name in names if _is_boot_keyboard(device, name, held=False)), "")

    def bulk_only_storage(self, device: Directory, port: str) -> str:
        """The name of a configured device's first interface of SCSI over bulk-only transport; or empty."""
        for name in _interfaces(device, port):
            with device.below(name) as interface:
                if _class_of(interface) == _BULK_ONLY_STORAGE:
                    return name
        return ""

    def _keep_root_hub(self, controller: Directory, name: str) -> None:
        """See that a controller's own hub works: plugged in just now, it may have met our default of 0."""
        hub = f"{name.removeprefix('usb')}-0:1.0"
        if hub not in controller.names():
            return
        with controller.below(hub) as interface:
            if interface.text("authorized") == "1":
                return
            interface.write("authorized", "1")
        self.probe(hub)

    def _names(self, pattern: re.Pattern[str]) -> list[str]:
        try:
            with opened(self._bus / "devices") as directory:
                return [name for name in directory.names() if pattern.fullmatch(name)]
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Directory]:
        """A device's handle; what the kernel answers becomes errors that name the device."""
        try:
            with opened(self._bus / "devices" / name) as device:
                yield device
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
                raise NoSuchDevice(port=name) from error
            raise DeviceChangeFailed(port=name, reason=error.strerror or "unknown") from error
        except ValueError as error:
            raise DeviceChangeFailed(port=name, reason="sysfs holds no number there") from error


def _deauthorise(device: Directory, port: str) -> None:
    """Interfaces first, which takes drivers and guests off in order, then the device."""
    for name in _interfaces(device, port):
        with contextlib.suppress(FileNotFoundError), device.below(name) as interface:
            interface.write("authorized", "0")
    device.write("authorized", "0")


def _is_boot_keyboard(device: Directory, name: str, *, held: bool) -> bool:
    """Whether an interface is a boot keyboard (HID 1.11, 4.2), and held by a driver of the host if asked."""
    try:
        with device.below(name) as interface:
            return _class_of(interface) == _BOOT_KEYBOARD and (
                not held or interface.link("driver") not in ("", USBFS)
            )
    except FileNotFoundError:
        return False


def _class_of(interface: Directory) -> tuple[str, ...]:
    fields = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    return tuple(interface.text(field) for field in fields)


def _interfaces(device: Directory, port: str) -> list[str]:
    """The interfaces of the configuration that is set: ``1-2:1.0`` and so on."""
    pattern = re.compile(re.escape(port) + r":[0-9]+\.[0-9]+")
    return [name for name in device.names() if pattern.fullmatch(name)]


def _drivers(device: Directory, port: str) -> list[str]:
    """The drivers that hold an interface of it."""
    drivers = []
    for name in _interfaces(device, port):
        with contextlib.suppress(FileNotFoundError), device.below(name) as interface:
            drivers.append(interface.link("driver"))
    return [driver for driver in drivers if driver]


def _refuse_host_drivers(device: Directory, port: str) -> None:
    for driver in _drivers(device, port):
        if driver != USBFS:
            raise DeviceInUse(port=port, driver=driver)

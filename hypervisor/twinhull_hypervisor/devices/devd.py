"""twinhull-devd: who may use what is plugged in, behind one socket.

Root, because sysfs asks for it. It decides nothing: core decides, from the raw descriptors that devd passes
on unread, and devd compares again before it acts. If core is gone devd goes on restricting new controllers;
if devd is gone the kernel goes on as it was told.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec
from twinhull_policy.errors import TwinhullError

from ..block.client import SOCKET_PATH as BLOCKD
from ..ipc import Handler, Watchers
from .admission import Admission
from .arguments import (
    AdmitArguments,
    AuthoriseArguments,
    DecidedDevice,
    LendArguments,
    NoArguments,
    PortArgument,
    UsbArguments,
    parse,
)
from .bursts import watch
from .errors import AdmissionRunning, DeviceChanged, DeviceChangeFailed, NoSuchDevice
from .lending import lend
from .pci import read_facts
from .record import Boot, Record, known
from .results import Authorised, Done, Event, Lent, PciFacts, UsbDevice, UsbPage
from .tree import USBFS, UsbTree
from .usbfs import DEVICES as USBFS_DEVICES

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 16
PAGE_BYTES = 12 * 1024
"""Descriptors in one answer, before the last; all of them in base64 fill little over half a packet."""
PAGE_DEVICES = 8
"""Devices in one answer: their strings fit beside that, though a character may take six bytes in JSON."""

T = TypeVar("T")


class Devd:
    """The verbs.

    Args:
        tree: the USB devices.
        sysfs: where sysfs is mounted.
        record: what is remembered of this boot.
        watchers: who is told of events.
        usbfs: where usbfs' nodes are.
        blockd: where twinhull-blockd listens.
    """

    def __init__(
        self,
        tree: UsbTree,
        sysfs: Path,
        record: Record,
        watchers: Watchers,
        *,
        usbfs: Path = USBFS_DEVICES,
        blockd: Path = BLOCKD,
    ) -> None:
        self._tree = tree
        self._sysfs = sysfs
        self._record = record
        self._watchers = watchers
        self._usbfs = usbfs
        self._blockd = blockd
        self._admissions: dict[str, Admission] = {}
        self._acting: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()
        if record.read() is None:
            # Not restricted from its boot on. What is there was there before us and stays as it is: a person
            # who tries Twinhull on a machine of their own keeps their disk.
            present = frozenset(known(device) for device in self._devices())
            record.update(lambda boot: boot or Boot(boot=record.boot, early=False, present=present))
        boot = record.read()
        self._guests = {guests.port: guests for guests in boot.guests} if boot else {}
        self.restrict()
        for port in list(self._guests):
            self._take_back(port)

    def restrict(self) -> None:
        """Let no controller authorise anything by itself, and remember how each was before."""
        for name in self._tree.controllers():
            self.restrict_controller(name)

    def restrict_controller(self, name: str) -> None:
        """The same for one controller, which may just have come or be gone again; never raises."""
        try:
            self._record.add_defaults(name, self._tree.restrict_controller(name))
        except (NoSuchDevice, DeviceChangeFailed) as error:
            logger.warning("%s: %s", name, error.message)

    def bound(self, port: str, driver: str) -> None:
        """A driver has taken an interface of what is plugged in at a port. Called for each; must not wait.

        A driver of the host has no business with a guest's device. It gets one all the same when QEMU lets go
        of it, or whoever took over QEMU likes: usbfs lets the holder of a device offer it to drivers
        (USBDEVFS_CONNECT, drivers/usb/core/devio.c). So it is taken from everybody as soon as that is heard.
        """
        if driver != USBFS and port in self._guests:
            threading.Thread(target=self._take_back, args=(port,), name=f"taken {port}", daemon=True).start()

    def handlers(self, connection: socket.socket) -> dict[str, Handler]:
        """The closed set of verbs for :func:`twinhull_hypervisor.ipc.serve`, on one connection."""
        return {
            "watch": self._verb(NoArguments, lambda _: self._watch(connection)),
            "usb": self._verb(UsbArguments, self._usb),
            "authorise": self._verb(AuthoriseArguments, self._authorise),
            "lend": self._verb(LendArguments, self._lend),
            "revoke": self._verb(PortArgument, self._revoke),
            "admit": self._verb(AdmitArguments, self._admit),
            "pci": self._verb(NoArguments, self._pci),
            "restrict": self._verb(NoArguments, self._restrict),
        }

    def _verb(self, shape: type[T], work: Callable[[T], Any]) -> Handler:
        def handle(untrusted_arguments: dict[str, Any], fds: list[int]) -> Any:
            for fd in fds:
                os.close(fd)  # no verb takes any
            arguments = parse(untrusted_arguments, shape)
            try:
                return work(arguments)
            except TwinhullError:
                raise
            except Exception as error:
                logger.exception("a verb failed")
                port = str(getattr(arguments, "port", "")) or "unknown"
                raise DeviceChangeFailed(port=port, reason=f"{type(error).__name__}, see the log") from error

        return handle

    def _watch(self, connection: socket.socket) -> Done:
        self._watchers.watch(connection)
        return Done()

    def _usb(self, arguments: UsbArguments) -> UsbPage:
        boot = self._record.read()
        page: list[UsbDevice] = []
        size = 0
        more = False
        for device in self._devices(arguments.after):
            if len(page) == PAGE_DEVICES or size > PAGE_BYTES:
                more = True
                break
            page.append(device)
            size += len(device.untrusted_descriptors)
        present = boot.present if boot else frozenset()
        devices = [_with_at_boot(device, known(device) in present) for device in page]
        return UsbPage(devices=devices, early=boot is not None and boot.early, more=more)

    def _authorise(self, arguments: AuthoriseArguments) -> Authorised:
        guests = arguments if arguments.use == "guest" else None
        with self._one_at_a_time(arguments.port), self._is_guests_from(guests, arguments.port):
            done = self._tree.authorise(arguments, arguments.use)
        logger.info("port %s: authorised for the %s", arguments.port, arguments.use)
        return done

    def _lend(self, arguments: LendArguments) -> Lent:
        with self._one_at_a_time(arguments.port), self._is_guests_from(arguments, arguments.port):
            lent = lend(self._tree, arguments, self._usbfs, self._blockd)
        logger.info("port %s: lent to %s", arguments.port, arguments.partition)
        return lent

    def _revoke(self, arguments: PortArgument) -> Done:
        with self._one_at_a_time(arguments.port):
            self._tree.revoke(arguments.port)
            self._is_guests(None, arguments.port)
            if arguments.port in self._admissions:
                self._admissions[arguments.port].cancel()
        logger.info("port %s: revoked", arguments.port)
        return Done()

    def _admit(self, arguments: AdmitArguments) -> Done:
        admission = Admission(self._tree, arguments, self._watchers.tell, self._usbfs)
        with self._one_at_a_time(arguments.port):
            if arguments.port in self._admissions:
                raise AdmissionRunning(port=arguments.port)
            self._is_guests(None, arguments.port)
            admission.prepare()
            self._admissions[arguments.port] = admission
        name = f"admission {arguments.port}"
        threading.Thread(target=self._follow, args=(admission, arguments), name=name, daemon=True).start()
        return Done()

    @contextlib.contextmanager
    def _is_guests_from(self, device: DecidedDevice | None, port: str) -> Iterator[None]:
        """Whose a device is from now on, said before the kernel is told; nobody's if the kernel refuses."""
        self._is_guests(device, port)
        try:
            yield
        except BaseException:
            self._is_guests(None, port)
            raise

    def _is_guests(self, device: DecidedDevice | None, port: str) -> None:
        if device is None and port not in self._guests:
            return
        self._record.set_guest(port, device)
        if device is None:
            del self._guests[port]
        else:
            self._guests[port] = device

    def _take_back(self, port: str) -> None:
        """Block what is a guest's at a port if a driver of the host has it."""
        try:
            with self._one_at_a_time(port):
                guests = self._guests.get(port)
                driver = "" if guests is None else self._tree.host_driver(port, guests.busnum, guests.devnum)
                if guests is None or not driver:
                    return
                self._tree.block(guests)
        except (NoSuchDevice, DeviceChanged):
            return  # pulled out
        except DeviceChangeFailed as error:
            logger.error("port %s: a driver took a guest's device, and keeps it: %s", port, error.message)
            return
        logger.warning("port %s: %s took a guest's device; it is blocked", port, driver)
        self._watchers.tell(Event(event="usb", action="add", port=port))

    def _follow(self, admission: Admission, arguments: AdmitArguments) -> None:
        """One admission to its end; then the keyboard is watched for a while."""
        try:
            admitted = admission.run(self._one_at_a_time(arguments.port))
        finally:
            del self._admissions[arguments.port]
        logger.info("port %s: %s", arguments.port, "admitted" if admitted else "not admitted")
        if admitted and watch(self._tree.directory(arguments.port).resolve()):
            logger.warning("port %s: a burst of keystrokes, blocked", arguments.port)
            with self._one_at_a_time(arguments.port), contextlib.suppress(NoSuchDevice, DeviceChanged):
                self._tree.block(arguments)
            self._watchers.tell(Event(event="burst", port=arguments.port))

    def _pci(self, _: NoArguments) -> PciFacts:
        return read_facts(self._sysfs)

    def _restrict(self, _: NoArguments) -> Done:
        self.restrict()
        return Done()

    def _devices(self, after: str = "") -> Iterator[UsbDevice]:
        """The devices after a port in the order of the names; those that go meanwhile are left out."""
        for port in self._tree.ports():
            if port > after:
                with contextlib.suppress(NoSuchDevice, DeviceChangeFailed):
                    yield self._tree.device(port)

    @contextlib.contextmanager
    def _one_at_a_time(self, port: str) -> Iterator[None]:
        """Two verbs may act at once, but not on one device. A device that hangs holds up only itself."""
        with self._lock:
            lock = self._acting.setdefault(port, threading.Lock())
        with lock:
            yield


def _with_at_boot(device: UsbDevice, at_boot: bool) -> UsbDevice:
    return msgspec.structs.replace(device, at_boot=at_boot)

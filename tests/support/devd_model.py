"""A model of a laptop's USB ports and of its machines, behind devd's real socket and protocol.

``Ports`` does what the kernel does: a device that comes gets a new address, is authorised or not, has a host
driver or not. ``running_devd`` serves it as twinhull-devd would, one device a page. ``Machines`` takes the
place of libvirt, which has no USB devices to give here; it refuses what QEMU could not open, and a test fails
on whatever two machines hold at once.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from twinhull_hypervisor.devices.arguments import (
    AdmitArguments,
    AuthoriseArguments,
    DecidedDevice,
    LendArguments,
    PortArgument,
    UsbArguments,
    parse,
)
from twinhull_hypervisor.devices.errors import DeviceChanged, DeviceInUse, NoSuchDevice, NotStorage
from twinhull_hypervisor.devices.results import Authorised, Done, Event, Lent, PciFacts, UsbDevice, UsbPage
from twinhull_hypervisor.domain.errors import HypervisorRefused, HypervisorUnreachable
from twinhull_hypervisor.domain.hostdev import Guest, Holding
from twinhull_hypervisor.ipc import answer, listening_socket, send_packet
from twinhull_policy.names import Partition

NO_PCI = PciFacts(remapping=False, unsafe=[], functions=[])


@dataclass
class Ports:
    """What is plugged in.

    Attributes:
        early: whether the machine was restricted from its boot on.
        admissions: the code each keyboard waits for, by port.
        calls: verbs that changed something, as they came.
        unreadable: whether storage cannot be read.
        during_authorise: runs in the middle of an authorise, after the comparison.
        during_admit: runs before the answer to an admission that has begun.
    """

    early: bool = True
    admissions: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    unreadable: bool = False
    during_authorise: Callable[[], None] = lambda: None
    during_admit: Callable[[], None] = lambda: None
    pci: PciFacts = NO_PCI
    _devices: dict[str, UsbDevice] = field(default_factory=dict)
    _watchers: list[socket.socket] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _devnum: int = 1

    def plug(
        self,
        port: str,
        descriptors: bytes,
        *,
        serial: str = "",
        product: str = "",
        at_boot: bool = False,
        quiet: bool = False,
    ) -> UsbDevice:
        """A device comes; at boot it is the host's and works. ``quiet``: the event gets lost."""
        with self._lock:
            self._devnum = self._devnum % 127 + 1
            device = UsbDevice(
                port=port,
                busnum=int(port.partition("-")[0]),
                devnum=self._devnum,
                untrusted_descriptors=descriptors,
                sha256=hashlib.sha256(descriptors).hexdigest(),
                untrusted_manufacturer="",
                untrusted_product=product,
                untrusted_serial=serial,
                removable=True,
                authorised=at_boot,
                driver_bound=at_boot,
                at_boot=at_boot,
            )
            self._devices[port] = device
        if not quiet:
            self.tell(Event(event="usb", action="add", port=port))
        return device

    def pull(self, port: str, *, quiet: bool = False) -> None:
        """The device goes."""
        with self._lock:
            del self._devices[port]
            self.admissions.pop(port, None)
        if not quiet:
            self.tell(Event(event="usb", action="remove", port=port))

    def type_code(self, port: str, code: str) -> None:
        """Somebody types six digits and Enter on a keyboard that waits for its code."""
        if self.admissions.get(port) != code:
            self.tell(Event(event="admission", port=port, state="wrong", count=1))
            return
        with self._lock:
            del self.admissions[port]
            self._change(port, authorised=True, driver_bound=True)
        self.tell(Event(event="admission", port=port, state="done"))

    def give_up(self, port: str) -> None:
        """Nobody types it in time."""
        with self._lock:
            del self.admissions[port]
            self._change(port, authorised=False)
        self.tell(Event(event="admission", port=port, state="gone"))

    def burst(self, port: str) -> None:
        """A keyboard types too fast and is taken off."""
        self._change(port, authorised=False, driver_bound=False)
        self.tell(Event(event="burst", port=port))

    def at(self, port: str) -> UsbDevice:
        """What is in a port."""
        return self._devices[port]

    def by_address(self, busnum: int, devnum: int) -> UsbDevice | None:
        """What has an address."""
        with self._lock:
            found = (d for d in self._devices.values() if (d.busnum, d.devnum) == (busnum, devnum))
            return next(found, None)

    def offer(self, busnum: int, devnum: int) -> None:
        """As QEMU does with what it lets go of: a driver of the host takes it if it is authorised still."""
        device = self.by_address(busnum, devnum)
        if device is not None and device.authorised:
            self._change(device.port, driver_bound=True)

    def tell(self, event: Event) -> None:
        """Send an event to all who watch."""
        with self._lock:
            for watcher in self._watchers:
                with suppress(OSError):
                    send_packet(watcher, msgspec.json.encode(event))

    def _change(self, port: str, **changes: bool) -> None:
        with self._lock:
            self._devices[port] = msgspec.structs.replace(self._devices[port], **changes)

    # The verbs

    def handlers(self, connection: socket.socket) -> dict[str, Any]:
        def verb(shape: Any, work: Callable[[Any], Any]) -> Any:
            def handle(arguments: dict[str, Any], fds: list[int]) -> Any:
                with self._lock:
                    return msgspec.to_builtins(work(parse(arguments, shape)))

            return handle

        def watch(_: Any) -> Done:
            self._watchers.append(connection)
            return Done()

        return {
            "watch": lambda arguments, fds: watch(arguments) and {},
            "usb": verb(UsbArguments, self._usb),
            "authorise": verb(AuthoriseArguments, self._authorise),
            "lend": verb(LendArguments, self._lend),
            "revoke": verb(PortArgument, self._revoke),
            "admit": verb(AdmitArguments, self._admit),
            "pci": lambda arguments, fds: msgspec.to_builtins(self.pci),
        }

    def _usb(self, arguments: UsbArguments) -> UsbPage:
        left = [self._devices[port] for port in sorted(self._devices) if port > arguments.after]
        return UsbPage(devices=left[:1], early=self.early, more=len(left) > 1)

    def _decided(self, wanted: DecidedDevice) -> UsbDevice:
        if wanted.port not in self._devices:
            raise NoSuchDevice(port=wanted.port)
        device = self._devices[wanted.port]
        if (device.sha256, device.busnum, device.devnum) != (wanted.sha256, wanted.busnum, wanted.devnum):
            raise DeviceChanged(port=wanted.port, detail="another device")
        return device

    def _authorise(self, arguments: AuthoriseArguments) -> Authorised:
        device = self._decided(arguments)
        self.calls.append(("authorise", arguments.port, arguments.use))
        if arguments.use == "guest" and device.driver_bound:
            raise DeviceInUse(port=arguments.port, driver="usb-storage")
        self._change(arguments.port, authorised=True, driver_bound=arguments.use == "host")
        self.during_authorise()
        return Authorised(busnum=device.busnum, devnum=device.devnum)

    def _lend(self, arguments: LendArguments) -> Lent:
        device = self._decided(arguments)
        self.calls.append(("lend", arguments.port, arguments.partition.value))
        if device.driver_bound:
            raise DeviceInUse(port=arguments.port, driver="usb-storage")
        self._change(arguments.port, authorised=True)
        self.during_authorise()
        if self.unreadable:
            self._change(arguments.port, authorised=False)
            raise NotStorage(port=arguments.port)
        return Lent(socket=f"/served/{arguments.port}")

    def _revoke(self, arguments: PortArgument) -> Done:
        if arguments.port not in self._devices:
            raise NoSuchDevice(port=arguments.port)
        self.calls.append(("revoke", arguments.port))
        self.admissions.pop(arguments.port, None)
        self._change(arguments.port, authorised=False, driver_bound=False)
        return Done()

    def _admit(self, arguments: AdmitArguments) -> Done:
        self._decided(arguments)
        self.calls.append(("admit", arguments.port))
        self.admissions[arguments.port] = arguments.code
        self._change(arguments.port, authorised=True)
        self.during_admit()
        return Done()

    def drop_watchers(self) -> None:
        """devd ends: its connections break."""
        with self._lock:
            for watcher in self._watchers:
                with suppress(OSError):
                    watcher.shutdown(socket.SHUT_RDWR)
            self._watchers.clear()


@contextmanager
def running_devd(ports: Ports, path: Path) -> Iterator[None]:
    """Serve ``ports`` at ``path`` as twinhull-devd does, until the context ends."""
    listener = listening_socket(path)
    threads: list[threading.Thread] = []
    open_now: set[socket.socket] = set()

    def serve(connection: socket.socket) -> None:
        with connection:
            open_now.add(connection)
            with suppress(OSError):
                answer(connection, ports.handlers(connection), frozenset({os.getuid()}))
            open_now.discard(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        path.unlink(missing_ok=True)
        acceptor.join()
        ports.drop_watchers()
        for connection in list(open_now):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


@dataclass
class Machines:
    """The two machines, as libvirt would let the core see them.

    Attributes:
        history: each device given or taken, as (what, partition, port).
        stuck: whether detaching is refused.
        away: whether libvirt does not answer.
        delay: seconds an attach takes.
        trusting: take what is given unseen, where the ports are not this model's.
    """

    ports: Ports
    history: list[tuple[str, str, str]] = field(default_factory=list)
    stuck: bool = False
    away: bool = False
    delay: float = 0.0
    refuse: bool = False
    trusting: bool = False
    _guests: dict[Partition, Guest] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, *partitions: Partition) -> None:
        """Machines run."""
        for partition in partitions:
            self._guests[partition] = Guest(running=True)

    def pause(self, partition: Partition) -> None:
        """A machine's processors stop."""
        self._guests[partition] = replace(self._guests[partition], running=False)

    def stop(self, partition: Partition) -> None:
        """A machine ends; what it held is nobody's."""
        del self._guests[partition]

    def held(self, partition: Partition) -> list[str]:
        """The ports of what a machine holds."""
        guest = self._guests.get(partition)
        return [holding.port for holding in guest.holdings] if guest else []

    def guests(self) -> dict[Partition, Guest]:
        """The machines there are."""
        self._answer()
        return dict(self._guests)

    def attach(self, holding: Holding, socket: str = "") -> None:
        """As QEMU opens a device: it has to be there, authorised, and free."""
        self._answer()
        time.sleep(self.delay)
        with self._lock:
            device = self.ports.by_address(holding.busnum, holding.devnum)
            guest = self._guests.get(holding.partition)
            usable = self.trusting or (device and device.authorised and not device.driver_bound)
            if not usable or guest is None or self.refuse:
                raise HypervisorRefused(action="give a device", reason="it cannot be opened")
            if holding.read_only != bool(socket):
                raise AssertionError(f"{holding} would be given through {socket!r}")
            holders = [h for g in self._guests.values() for h in g.holdings]
            if any((h.busnum, h.devnum) == (holding.busnum, holding.devnum) for h in holders):
                raise AssertionError(f"two machines would hold {holding}")
            self._guests[holding.partition] = replace(guest, holdings=(*guest.holdings, holding))
            self.history.append(("attach", holding.partition.value, holding.port))

    def lose(self, partition: Partition) -> None:
        """Whoever served blocks to a machine is gone."""
        guest = self._guests[partition]
        lost = tuple(replace(h, lost=h.read_only) for h in guest.holdings)
        self._guests[partition] = replace(guest, holdings=lost)

    def detach(self, holding: Holding) -> None:
        """As libvirt takes a device out, also one that was pulled."""
        self._answer()
        if self.stuck:
            raise HypervisorRefused(action="take a device", reason="the machine does not let go")
        with self._lock:
            guest = self._guests.get(holding.partition)
            if guest is not None:
                left = tuple(h for h in guest.holdings if h != holding)
                self._guests[holding.partition] = replace(guest, holdings=left)
                self.history.append(("detach", holding.partition.value, holding.port))
        if not holding.read_only:
            self.ports.offer(holding.busnum, holding.devnum)

    def detach_pci(self, partition: Partition, address: str) -> None:
        """As libvirt asks the guest for a PCI function."""
        self._answer()
        if self.stuck:
            raise HypervisorRefused(action="take a PCI device", reason="the guest does not let go")
        with self._lock:
            guest = self._guests[partition]
            self._guests[partition] = replace(guest, pci=tuple(a for a in guest.pci if a != address))
            self.history.append(("detach pci", partition.value, address))

    def give_pci(self, partition: Partition, *addresses: str) -> None:
        """A machine was started with PCI functions."""
        self._guests[partition] = replace(self._guests[partition], pci=addresses)

    def _answer(self) -> None:
        if self.away:
            raise HypervisorUnreachable(reason="libvirtd has gone.")

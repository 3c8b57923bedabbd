"""What devd's verbs answer and what its events carry; one definition for both ends."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["", "typed", "wrong", "done", "gone"]


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Done(_Struct, frozen=True):
    """Nothing more to say."""


class UsbDevice(_Struct, frozen=True):
    """A USB device that is plugged in.

    Attributes:
        port: where, as sysfs names it (``1-2.4``).
        busnum: number of its bus.
        devnum: its address there; a device that is plugged in again has another.
        untrusted_descriptors: the raw ``descriptors`` file; empty if it is longer than devd passes on, which
            no honest device's is, and which no parser accepts.
        sha256: hex, of all of it.
        untrusted_manufacturer: string it says of itself, at most 126 characters; also the next two.
        untrusted_product: likewise.
        untrusted_serial: likewise.
        removable: False only if the kernel knows it as built in.
        authorised: whether it may be used at all.
        driver_bound: whether a driver of the host holds an interface of it.
        at_boot: whether it was there, this very device, when the machine or else devd started.
    """

    port: str
    busnum: int
    devnum: int
    untrusted_descriptors: bytes = msgspec.field(name="descriptors")
    sha256: str
    untrusted_manufacturer: str = msgspec.field(name="manufacturer")
    untrusted_product: str = msgspec.field(name="product")
    untrusted_serial: str = msgspec.field(name="serial")
    removable: bool
    authorised: bool
    driver_bound: bool
    at_boot: bool


class UsbPage(_Struct, frozen=True):
    """`usb`: some devices in port order; ``more`` says that there are others after the last.

    ``early`` tells whether this machine was restricted from its boot on. Where it was not, devices with
    ``at_boot`` and ``driver_bound`` are in use by the person, and nobody has decided on them.
    """

    devices: list[UsbDevice]
    early: bool
    more: bool


class Authorised(_Struct, frozen=True):
    """`authorise`: the address under which a guest is given it."""

    busnum: int
    devnum: int


class Lent(_Struct, frozen=True):
    """`lend`: the socket of an NBD export; it is there for as long as the storage is served."""

    socket: str


class PciFunction(_Struct, frozen=True):
    """A PCI function.

    Attributes:
        address: ``0000:00:1f.3``.
        vendor: four hex digits; also ``device``.
        device: of the vendor's.
        class_code: ``0c:03:30``: class, subclass, programming interface.
        group: its IOMMU group; empty without one.
        group_members: addresses of all functions in that group, this one too.
        reset_methods: how it can be reset (``flr``, ``pm``, ``bus``, …); empty if it cannot.
        driver: of the host that holds it; empty if none does.
        boot_vga: whether the firmware shows its screen there.
        removable: whether it is outside the machine (Thunderbolt).
    """

    address: str
    vendor: str
    device: str
    class_code: str = msgspec.field(name="class")
    group: str
    group_members: list[str]
    reset_methods: list[str]
    driver: str
    boot_vga: bool
    removable: bool


class PciFacts(_Struct, frozen=True):
    """`pci`: whether interrupts are remapped, what makes passthrough unsafe here, and every function."""

    remapping: bool
    unsafe: list[str]
    functions: list[PciFunction]


class Event(_Struct, frozen=True, omit_defaults=True):
    """One packet to a watcher.

    ``usb``: a device was plugged in or pulled out (``action``, ``port``). ``admission``: how far the person
    is with the code: ``state`` and ``count``, the digits typed so far or the wrong attempts. ``burst``: a new
    keyboard typed faster than people do and was taken off. ``pci``: as ``usb``, with ``address``. ``lost``:
    there were more events than the watcher took; ask ``usb`` and ``pci``.
    """

    event: Literal["usb", "admission", "burst", "pci", "lost"]
    action: Literal["", "add", "remove"] = ""
    port: str = ""
    address: str = ""
    state: State = ""
    count: int = 0

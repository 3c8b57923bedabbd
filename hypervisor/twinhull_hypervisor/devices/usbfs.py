"""Talking to one interface of a USB device from here, through usbfs: no driver of the host sees it.

ioctls and structures: linux/usbdevice_fs.h; behaviour: drivers/usb/core/devio.c of Linux 6.1. Only 64-bit.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

DEVICES = Path("/dev/bus/usb")
_WRITE, _READ = 1, 2


class _Control(ctypes.Structure):
    """struct usbdevfs_ctrltransfer."""

    _fields_ = (
        ("request_type", ctypes.c_uint8),
        ("request", ctypes.c_uint8),
        ("value", ctypes.c_uint16),
        ("index", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("timeout_ms", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    )


class _Bulk(ctypes.Structure):
    """struct usbdevfs_bulktransfer; the kernel makes it an interrupt transfer on an interrupt endpoint."""

    _fields_ = (
        ("endpoint", ctypes.c_uint),
        ("length", ctypes.c_uint),
        ("timeout_ms", ctypes.c_uint),
        ("data", ctypes.c_void_p),
    )


def _ioctl_number(direction: int, number: int, size: int) -> int:
    """_IOC() of asm-generic/ioctl.h."""
    return direction << 30 | size << 16 | ord("U") << 8 | number


CONTROL = _ioctl_number(_READ | _WRITE, 0, ctypes.sizeof(_Control))
BULK = _ioctl_number(_READ | _WRITE, 2, ctypes.sizeof(_Bulk))
CLAIM_INTERFACE = _ioctl_number(_READ, 15, ctypes.sizeof(ctypes.c_uint))
RELEASE_INTERFACE = _ioctl_number(_READ, 16, ctypes.sizeof(ctypes.c_uint))
CLEAR_HALT = _ioctl_number(_READ, 21, ctypes.sizeof(ctypes.c_uint))
DROP_PRIVILEGES = _ioctl_number(_WRITE, 30, ctypes.sizeof(ctypes.c_uint32))
INTERFACES = 32
"""Interfaces that DROP_PRIVILEGES can name; a mask of 32 bits."""


class Interface:
    """A claimed interface; see :func:`claimed`. Methods raise OSError, ENODEV once the device is gone."""

    def __init__(self, fd: int, number: int) -> None:
        self._fd = fd
        self._number = number

    def send(self, request_type: int, request: int, value: int, timeout_ms: int) -> None:
        """A control transfer without data to the interface (USB 2.0, 9.3)."""
        transfer = _Control(request_type, request, value, self._number, 0, timeout_ms, None)
        fcntl.ioctl(self._fd, CONTROL, transfer)

    def receive(self, endpoint: int, length: int, timeout_ms: int) -> bytes | None:
        """At most ``length`` bytes from an IN endpoint; None if nothing came in time.

        A transfer that times out is taken back by the kernel; one that completed meanwhile is still returned
        (usbfs_start_wait_urb), so no report is lost between two calls.
        """
        data = ctypes.create_string_buffer(length)
        transfer = _Bulk(endpoint, length, timeout_ms, ctypes.addressof(data))
        try:
            received = fcntl.ioctl(self._fd, BULK, transfer)
        except TimeoutError:
            return None
        return data.raw[:received]

    def transmit(self, endpoint: int, data: bytes, timeout_ms: int) -> None:
        """Send all of ``data`` to an OUT endpoint; TimeoutError if it is not taken in time."""
        buffer = ctypes.create_string_buffer(data, len(data))
        transfer = _Bulk(endpoint, len(data), timeout_ms, ctypes.addressof(buffer))
        if fcntl.ioctl(self._fd, BULK, transfer) != len(data):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def ask(self, request_type: int, request: int, length: int, timeout_ms: int) -> bytes:
        """At most ``length`` bytes that the interface answers to a control request (USB 2.0, 9.3)."""
        data = ctypes.create_string_buffer(length)
        where = ctypes.addressof(data)
        transfer = _Control(request_type, request, 0, self._number, length, timeout_ms, where)
        return data.raw[: fcntl.ioctl(self._fd, CONTROL, transfer)]

    def unstall(self, endpoint: int) -> None:
        """Clear an endpoint's halt, on both sides."""
        fcntl.ioctl(self._fd, CLEAR_HALT, ctypes.c_uint(endpoint))


@contextlib.contextmanager
def claimed(busnum: int, devnum: int, number: int, devices: Path = DEVICES) -> Iterator[Interface]:
    """An interface of a device, held for as long as the context lasts.

    The kernel names the node by bus and address. A device that is plugged in again has another address; and
    one that took the number since has no interface that is authorised, so claiming it fails.

    Args:
        busnum: the bus, 1 to 999.
        devnum: the address on it, 1 to 127.
        number: bInterfaceNumber; it has to be authorised, and held by no driver.
        devices: where usbfs' nodes are.

    Raises:
        OSError: ENODEV or ENOENT without the device, EBUSY with a driver on it.
    """
    fd = opened(busnum, devnum, devices)
    try:
        with held(fd, number) as interface:
            yield interface
    finally:
        os.close(fd)


def opened(busnum: int, devnum: int, devices: Path = DEVICES) -> int:
    """A device's node, to be closed by the caller. Raises OSError: ENODEV or ENOENT without the device."""
    return os.open(devices / f"{busnum:03}" / f"{devnum:03}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)


def leave_only(fd: int, number: int) -> None:
    """Take from an open node everything but one interface: no other can be claimed through it, no driver
    sent away, the device neither reset nor configured anew (proc_drop_privileges). For good.

    Args:
        fd: of :func:`opened`.
        number: bInterfaceNumber, 0 to 31.
    """
    fcntl.ioctl(fd, DROP_PRIVILEGES, ctypes.c_uint32(1 << number))


@contextlib.contextmanager
def held(fd: int, number: int) -> Iterator[Interface]:
    """An interface of an open node, claimed for as long as the context lasts. Raises as :func:`claimed`."""
    fcntl.ioctl(fd, CLAIM_INTERFACE, ctypes.c_uint(number))
    try:
        yield Interface(fd, number)
    finally:
        with contextlib.suppress(OSError):  # unplugged: nothing is held any more
            fcntl.ioctl(fd, RELEASE_INTERFACE, ctypes.c_uint(number))

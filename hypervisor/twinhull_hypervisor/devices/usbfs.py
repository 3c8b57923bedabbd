"""Talking to one interface of a USB device from here, through usbfs: no driver of the host sees it.

ioctls and structures: linux/usbdevice_fs.h; behaviour: drivers/usb/core/devio.c of Linux 6.1. Only 64-bit.
"""

from __future__ import annotations

import contextlib
import ctypes
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
    fd = os.open(devices / f"{busnum:03}" / f"{devnum:03}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.ioctl(fd, CLAIM_INTERFACE, ctypes.c_uint(number))
        try:
            yield Interface(fd, number)
        finally:
            with contextlib.suppress(OSError):  # unplugged: nothing is held any more
                fcntl.ioctl(fd, RELEASE_INTERFACE, ctypes.c_uint(number))
    finally:
        os.close(fd)

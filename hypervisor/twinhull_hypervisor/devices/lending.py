"""Lending a stick's blocks: it is opened here, and read by twinhull-blockd, which may open nothing.

No driver of the host gets it: it is authorised as for a guest, and the node that is handed on is good for one
interface and nothing else of the device.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..block.client import ServeArguments, ask
from . import usbfs
from .arguments import LendArguments
from .errors import NotStorage
from .results import Lent
from .sysfs import Directory
from .tree import UsbTree

SECONDS = 45.0
"""A disk that spins up and fails to answer twice takes this long."""
_ENDPOINT = re.compile(r"ep_[0-9a-f]{2}")


def lend(tree: UsbTree, wanted: LendArguments, devices: Path, blockd_socket: Path) -> Lent:
    """Have the very device that was decided on served read-only to one partition's QEMU.

    Args:
        tree: the USB devices.
        wanted: which device, and for whom.
        devices: where usbfs' nodes are.
        blockd_socket: where twinhull-blockd listens.

    Raises:
        NoSuchDevice, DeviceChanged, DeviceInUse, DeviceChangeFailed: see :meth:`UsbTree.authorise`; the
            device is then not authorised, and neither is it after what follows.
        NotStorage: it has no interface that speaks SCSI over bulk-only transport.
        HelperUnreachable, RemoteError: blockd is not there, or cannot read it.
    """
    tree.authorise(wanted, "guest")
    try:
        with tree.decided(wanted) as device:
            name = tree.bulk_only_storage(device, wanted.port)
            if not name:
                raise NotStorage(port=wanted.port)
            with device.below(name) as interface:
                arguments = _arguments(interface, wanted)
            fd = usbfs.opened(wanted.busnum, wanted.devnum, devices)
            try:
                usbfs.leave_only(fd, arguments.interface)
                served = ask(blockd_socket, arguments, fd, SECONDS)
            finally:
                os.close(fd)
    except BaseException:
        tree.block(wanted)
        raise
    return Lent(socket=served.socket)


def _arguments(interface: Directory, wanted: LendArguments) -> ServeArguments:
    number = interface.number("bInterfaceNumber", 16)
    found: dict[str, int] = {}
    for name in interface.names():
        if _ENDPOINT.fullmatch(name):
            with interface.below(name) as endpoint:
                if endpoint.text("type") == "Bulk":
                    found.setdefault(endpoint.text("direction"), endpoint.number("bEndpointAddress", 16))
    if not {"in", "out"} <= found.keys() or number >= usbfs.INTERFACES:
        raise NotStorage(port=wanted.port)
    return ServeArguments(
        partition=wanted.partition,
        interface=number,
        endpoint_in=found["in"],
        endpoint_out=found["out"],
    )

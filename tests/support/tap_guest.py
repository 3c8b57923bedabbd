"""A guest without a virtual machine: opens a tap as QEMU does and puts a real network stack behind it.

``tap_guest.py TAP NAMESPACE ADDRESS/PREFIX GATEWAY ADDRESS6/PREFIX GATEWAY6``: opens TAP where it is started,
makes NAMESPACE with a tap ``eth0`` in it, and carries frames between the two. Prints ``ready``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct
import subprocess
import sys
from pathlib import Path

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x4000_0000
FRAME_LIMIT = 65536


def open_tap(name: str) -> int:
    """A descriptor of a tap in the current namespace, as QEMU has it."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def main() -> None:
    """Set up and carry frames until ended."""
    tap, namespace, address, gateway, address6, gateway6 = sys.argv[1:7]
    outside = open_tap(tap)
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    with Path("/run/netns", namespace).open("rb") as file:
        ctypes.CDLL(None).setns(file.fileno(), CLONE_NEWNET)
    inside = open_tap("eth0")
    for words in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "set", "eth0", "address", "52:54:00:00:00:02", "up"],
        ["ip", "address", "add", address, "dev", "eth0"],
        ["ip", "route", "add", "default", "via", gateway],
        ["ip", "address", "add", address6, "dev", "eth0", "nodad"],
        ["ip", "-6", "route", "add", "default", "via", gateway6],
    ):
        subprocess.run(words, check=True)
    os.write(1, b"ready\n")
    other = {inside: outside, outside: inside}
    while True:
        for fd in select.select([inside, outside], [], [])[0]:
            try:
                os.write(other[fd], os.read(fd, FRAME_LIMIT))
            except OSError as error:
                if error.errno == errno.EBADFD:
                    return  # the tap was deleted
                # A link that is down takes no frames.


if __name__ == "__main__":
    main()

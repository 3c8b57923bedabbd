"""A guest that means harm: it holds the tap as QEMU does and writes any frame it likes into it.

Behind the tap there is also an ordinary network stack, in a namespace of its own, for what an honest program
would do. A write into a tap runs the frame through the receiving namespace before it returns (tun.c,
``tun_get_user``): once :meth:`HostileGuest.write` is back, whatever that frame causes at once has happened.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import threading

from twinhull_hypervisor.network.plan import Side

from tests.support.network_lab import Lab
from tests.support.tap_guest import FRAME_LIMIT, open_tap

SIOCGIFHWADDR = 0x8927
MAC = "52:54:00:00:00:02"


class HostileGuest:
    """One partition's guest.

    Attributes:
        namespace: where its own network stack is.
        mac: the address of its card.
        gateway_mac: the address of the tap's other end.
    """

    def __init__(self, lab: Lab, side: Side, namespace: str) -> None:
        self._lab = lab
        self.side = side
        self.namespace = namespace
        self.mac = MAC
        self._tap = lab.inside("", lambda: open_tap(side.tap))
        answer = fcntl.ioctl(self._tap, SIOCGIFHWADDR, bytes(40))
        self.gateway_mac = struct.unpack("16xH6s16x", answer)[1].hex(":")
        lab.run("ip", "netns", "add", namespace)
        self._card = lab.inside(namespace, lambda: open_tap("eth0"))
        for fd in (self._tap, self._card):
            os.set_blocking(fd, False)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)
        commands = (
            f"link set lo up\nlink set eth0 address {MAC} up\naddress add {side.guest}/30 dev eth0\n"
            f"route add default via {side.gateway.ip}\n"
            f"address add {side.guest6}/64 dev eth0 nodad\nroute add default via {side.gateway6.ip}\n"
        )
        lab.run("ip", "-batch", "-", namespace=namespace, input=commands)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._carry, name=namespace, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End as a machine ends: its descriptors close."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        for fd in (self._tap, self._card, self._wake_read, self._wake_write):
            os.close(fd)
        self._lab.run("ip", "netns", "delete", self.namespace)

    def write(self, frame: bytes) -> bool:
        """Put a frame into the tap; whether the tap took it. It takes none while its link is down."""
        try:
            return os.write(self._tap, frame) == len(frame)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EBADFD):
                raise
            return False

    def _carry(self) -> None:
        other = {self._card: self._tap, self._tap: self._card}
        while True:
            readable = select.select([*other, self._wake_read], [], [])[0]
            if self._wake_read in readable:
                return
            for fd in readable:
                try:
                    os.write(other[fd], os.read(fd, FRAME_LIMIT))
                except BlockingIOError:
                    continue
                except OSError as error:
                    if error.errno == errno.EBADFD:
                        return  # the tap was deleted
                    if error.errno != errno.EIO:  # a link that is down takes no frames
                        raise

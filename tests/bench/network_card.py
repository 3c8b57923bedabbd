"""The far end of a tap, for measurements: writes frames and times echoes with nothing in between."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import threading
import time
from functools import partial
from types import TracebackType

from tests.leaks import frames
from tests.leaks.guest import SIOCGIFHWADDR
from tests.support.network_lab import Lab
from tests.support.tap_guest import FRAME_LIMIT, open_tap

MAC = "52:54:00:00:00:07"
ARP_REQUEST, ARP_REPLY = 1, 2
STALLED_SECONDS = 0.2
MOST_WAITING = 256
"""Answers kept for whoever asked; those of a full link are counted, and nobody waits for them."""


class Card:
    """A guest's network card and just enough of a guest: it answers ARP and knows its own echoes.

    Args:
        lab: the private machine.
        tap: which tap, in the host's namespace.
        address: the guest's own.
        gateway: its gateway's, which is asked nothing: the tap's link-layer address is read from the tap.
    """

    def __init__(self, lab: Lab, tap: str, address: str, gateway: str) -> None:
        self.address = address
        self._gateway = gateway
        self._fd = lab.inside("", lambda: open_tap(tap))
        os.set_blocking(self._fd, False)
        answer = fcntl.ioctl(self._fd, SIOCGIFHWADDR, bytes(40))
        self._far = struct.unpack("16xH6s16x", answer)[1].hex(":")
        self._arrived: dict[bytes, float] = {}
        self.echoes = 0
        """How many have come back so far."""
        self._news = threading.Condition()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name=tap, daemon=True)

    def __enter__(self) -> Card:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._wake_write, b"x")
        self._thread.join()
        for fd in (self._fd, self._wake_read, self._wake_write):
            os.close(fd)

    def frame(self, packet: bytes) -> bytes:
        """An IPv4 packet in a frame to the gateway."""
        return frames.ethernet(packet, frames.IPV4, MAC, self._far)

    def write(self, frame: bytes) -> None:
        """Put a frame into the tap; lost when its link is down."""
        try:
            os.write(self._fd, frame)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EAGAIN):
                raise

    def ping(self, target: str, seconds: float) -> float | None:
        """The round trip of one echo, in seconds; None when none came in time."""
        token = os.urandom(24)
        packet = frames.ip(frames.echo(self.address, target, token), frames.ICMP, self.address, target)
        began = time.monotonic()
        self.write(self.frame(packet))
        with self._news:
            if not self._news.wait_for(lambda: token in self._arrived, seconds):
                return None
            return self._arrived.pop(token) - began

    def exchange(self, target: str, seconds: float, size: int, window: int) -> int:
        """Send echoes of a size, at most ``window`` of them without an answer yet; how many were answered.

        What gets lost is counted as answered after STALLED_SECONDS without any, as a sender of TCP would.
        """
        packet = frames.ip(frames.echo(self.address, target, bytes(size)), frames.ICMP, self.address, target)
        frame = self.frame(packet)
        first = self.echoes
        sent, lost, until = 0, 0, time.monotonic() + seconds
        while time.monotonic() < until:
            with self._news:
                waiting = sent - lost - (self.echoes - first)
                if waiting >= window:
                    before = self.echoes
                    if not self._news.wait_for(partial(self._more_than, before), STALLED_SECONDS):
                        lost += waiting
                    continue
            self.write(frame)
            sent += 1
        return self.echoes - first

    def _more_than(self, echoes: int) -> bool:
        return self.echoes > echoes

    def _listen(self) -> None:
        poller = select.poll()
        for fd in (self._fd, self._wake_read):
            poller.register(fd, select.POLLIN)
        while True:
            if any(fd == self._wake_read for fd, _ in poller.poll()):
                return
            try:
                frame = os.read(self._fd, FRAME_LIMIT)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno == errno.EBADFD:
                    return  # the tap was deleted
                raise
            self._take(frame, time.monotonic())

    def _take(self, frame: bytes, now: float) -> None:
        if frame[12:14] == b"\x08\x06" and frame[20:22] == struct.pack("!H", ARP_REQUEST):
            said = frames.arp(ARP_REPLY, MAC, self.address, self._far, self._gateway)
            self.write(frames.ethernet(said, frames.ARP, MAC, self._far))
        elif frame[12:14] == b"\x08\x00" and frame[23] == frames.ICMP and frame[34] == 0:
            with self._news:
                self.echoes += 1
                if len(self._arrived) < MOST_WAITING:
                    self._arrived[frame[42:66]] = now
                self._news.notify_all()

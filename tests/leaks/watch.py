"""Captures on every interface of several namespaces at once, shown to see before their silence is believed.

A packet socket that is bound to no interface sees all of its namespace's, also those that come later
(packet(7)). Nothing may be dropped on the way to us: PACKET_STATISTICS is asked at the end.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from tests.support.network_lab import ETH_P_ALL, SECONDS, Lab

from . import frames
from .verdict import ETHERNET_KINDS, Laws, Seen, leak

SOL_PACKET = 263
PACKET_STATISTICS = 6
BUFFER = 32 << 20
SO_RCVBUFFORCE = 33
SIOCGIFFLAGS = 0x8913
IFF_UP = 0x1
POLL_SECONDS = 0.02
STRANGER = "02:00:00:00:00:99"
PLANTED = {4: ("192.0.2.199", "192.0.2.200"), 6: ("2001:db8:99::1", "2001:db8:99::2")}
"""Addresses of the packets planted on purpose (RFC 5737, 3849): nobody else has them."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a packet is planted: an interface of a watched place."""

    place: str
    namespace: str
    interface: str


class Watch:
    """Everything seen in the watched places since it began.

    Args:
        lab: the private machine.
        places: what each watched namespace is called, and its name.
    """

    def __init__(self, lab: Lab, places: dict[str, str]) -> None:
        self._lab = lab
        self._places = dict(places)
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        """Held while a socket is read, and while one is closed."""
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._sockets: dict[str, socket.socket] = {}
        self.failure = ""
        self.planted: set[bytes] = set()
        for place, namespace in places.items():
            self.add(place, namespace)
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._thread.start()

    def add(self, place: str, namespace: str) -> None:
        """Watch another namespace, from now on."""

        def open_socket() -> socket.socket:
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            sniffer.setblocking(False)
            return sniffer

        self._places[place] = namespace
        self._sockets[place] = self._lab.inside(namespace, open_socket)
        self._selector.register(self._sockets[place], selectors.EVENT_READ, place)

    def remove(self, place: str) -> None:
        """Stop watching it; its dropped packets still count."""
        with self._reading:
            sniffer = self._sockets.pop(place)
            self._selector.unregister(sniffer)
            self._count_drops(place, sniffer)
            sniffer.close()
            del self._places[place]

    def close(self) -> None:
        """Stop."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        for place in list(self._sockets):
            self.remove(place)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def mark(self) -> int:
        """Where we are in what was seen, for :meth:`since`."""
        with self._lock:
            return len(self._seen)

    def since(self, mark: int) -> list[Seen]:
        """What was seen from a mark on."""
        with self._lock:
            return self._seen[mark:]

    def holds(self, mark: int, place: str, needle: bytes) -> bool:
        """Whether a frame seen in a place since a mark holds these bytes."""
        return any(needle in seen.frame for seen in self.since(mark) if seen.place == place)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait until it is so. Raises AssertionError."""
        if not self.within(condition, seconds):
            raise AssertionError(f"never happened: {what}")

    def within(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it becomes so in this time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def points(self, place: str) -> list[Point]:
        """Every interface of a place that is up now."""
        namespace = self._places[place]
        return [Point(place, namespace, name) for name in self._lab.inside(namespace, interfaces_up)]

    def plant(self, points: Iterable[Point], laws: Laws) -> tuple[int, int]:
        """Send an unprotected packet by each interface in each family; where the seen begins and ends.

        Each has to be captured and found a leak, else the run proves nothing. The last one captured also
        means that whatever left before it was captured before it.
        """
        wanted = set()
        before = self.mark()
        for point in points:
            for family, (source, target) in PLANTED.items():
                token = os.urandom(24)
                packet = frames.ip(frames.udp(source, target, 9, token), frames.UDP, source, target)
                ethertype = frames.IPV4 if family == 4 else frames.IPV6
                frame = frames.ethernet(packet, ethertype, STRANGER, STRANGER)
                self.planted.add(frame)
                self._lab.inside(point.namespace, partial(inject, point.interface, frame))
                wanted.add((point.place, point.interface, frame))

        def missing() -> set[tuple[str, str, bytes]]:
            found = {
                (seen.place, seen.interface, seen.frame) for seen in self.since(before) if leak(seen, laws)
            }
            return {w for w in wanted if w not in found}

        self.until(lambda: not missing(), f"the capture finds {len(wanted)} planted packets", 20)
        return before, self.mark()

    def _work(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                with self._reading:
                    sniffer = self._sockets.get(key.data)
                    if sniffer is not key.fileobj or sniffer is None:
                        continue  # removed since it was selected
                    try:
                        self._read(key.data, sniffer)
                    except BlockingIOError:
                        pass
                    except OSError as error:  # ENETDOWN is told once when an interface goes down
                        if error.errno not in (100,):
                            self.failure = f"capture of {key.data}: {error.strerror}"

    def _read(self, place: str, sniffer: socket.socket) -> None:
        batch = []
        try:
            while True:
                frame, (interface, _, direction, kind, _) = sniffer.recvfrom(65536)
                outgoing = direction == socket.PACKET_OUTGOING
                batch.append(Seen(place, interface, outgoing, frame, kind not in ETHERNET_KINDS))
        finally:
            with self._lock:
                self._seen += batch

    def _count_drops(self, place: str, sniffer: socket.socket) -> None:
        _, dropped = struct.unpack("=II", sniffer.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:
            self.failure = f"the capture of {place} lost {dropped} packets"


def interfaces_up() -> list[str]:
    """The interfaces of the thread's namespace that are up (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def is_up(name: str) -> bool:
            answer = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16s24x", name.encode()))
            return bool(struct.unpack("16xH22x", answer)[0] & IFF_UP)

        return [name for _, name in socket.if_nameindex() if is_up(name)]


def inject(interface: str, frame: bytes) -> None:
    """Send a frame by an interface of the thread's namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        sender.send(frame)

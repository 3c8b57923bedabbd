"""twinhull-devd on a kernel with its drivers, and emulated devices: what comes of what it writes.

Runs in a kernel of its own: plays the scene that it is given the name of.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twinhull_hypervisor.devices.client import DevdClient
from twinhull_hypervisor.devices.results import UsbDevice
from twinhull_policy.errors import RemoteError
from twinhull_policy.names import Partition

from tests.lab.usb_peer.device import Device
from tests.lab.usb_peer.hid import Keyboard
from tests.lab.usb_peer.kinds import hub, keyboard, storage, typing_stick
from tests.lab.usb_peer.storage import Memory
from tests.lab.usb_peer.usbip import KernelPeer

SECONDS = 60.0
DEVD = "from twinhull_hypervisor.devices.main import main; main()"
BLOCKD = """\
import os
from pathlib import Path
from twinhull_hypervisor import ipc
from twinhull_hypervisor.block.service import Blockd
listener = ipc.listening_socket(Path('/run/blockd.sock'), 0o600)
os.setgid(64001)
os.setuid(64001)
ipc.serve(listener, Blockd(Path('/run/blocks')).handlers, frozenset({0}), connections=4)
"""
"""As its unit starts it: root's socket, and then no privilege."""
STRANGER, PERSONAL = 70001, 70002
SOCKET, RECORD = Path("/run/devd.sock"), Path("/run/devd/boot.json")
USB = Path("/sys/bus/usb/devices")
TYPED_FAST = "rm and other things that nobody types so fast " * 2
BURST_LOOKS_SECONDS = 3
"""devd looks for the nodes of a new keyboard once a second."""
# linux/usbdevice_fs.h: struct usbdevfs_ioctl {int, int, void *}, and the numbers on a 64-bit machine.
USBDEVFS_CLAIMINTERFACE, USBDEVFS_RELEASEINTERFACE = 0x8004550F, 0x80045510
USBDEVFS_IOCTL, USBDEVFS_CONNECT = 0xC0105512, 0x5517


class Laptop:
    """devd, and what is plugged in."""

    def __init__(self) -> None:
        self.devd = DevdClient(SOCKET)
        self._served: subprocess.Popen[bytes] | None = None

    def serve(self, *options: str) -> None:
        """Start devd, anew if it runs."""
        if self._served is not None:
            self._served.kill()
            self._served.wait()
            SOCKET.unlink()
        words = [sys.executable, "-c", DEVD, "--socket", str(SOCKET), "--record", str(RECORD), *options]
        self._served = subprocess.Popen(words)
        until(SOCKET.exists)

    def errand(self, word: str) -> None:
        """Have devd do something and end."""
        subprocess.run([sys.executable, "-c", DEVD, word, "--record", str(RECORD)], check=True)

    def row(self, peer: KernelPeer) -> UsbDevice:
        """What devd says of a device."""
        return next(device for device in self.devd.usb()[0] if device.port == peer.port)


def plug(device: Device, place: int = 1) -> KernelPeer:
    """Plug a device in, and wait until the kernel has it."""
    peer = KernelPeer(device, place)
    until((USB / peer.port / "descriptors").exists)
    return peer


def until(true: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def state(peer: KernelPeer) -> tuple[str, list[str]]:
    """Whether a device is authorised, and what holds each of its interfaces."""
    where = USB / peer.port
    links = [interface / "driver" for interface in sorted(where.glob("*:*"))]
    drivers = [link.resolve().name if link.exists() else "free" for link in links]
    return (where / "authorized").read_text().strip(), drivers


def disks() -> list[str]:
    """The SCSI disks of the host."""
    return sorted(path.name for path in Path("/sys/block").glob("sd*"))


def inputs() -> set[str]:
    """The host's nodes of keyboards and the like."""
    return {path.name for path in Path("/sys/class/input").glob("*")}


def stick() -> None:
    """A stick for a guest is no driver's; one for the host is; and from the host no guest gets it."""
    laptop = Laptop()
    laptop.serve()
    peer = plug(storage())
    row = laptop.row(peer)
    assert (row.authorised, row.untrusted_product) == (False, "Ultra")
    laptop.devd.authorise(row, "guest")
    assert state(peer) == ("1", ["free"])
    time.sleep(1)  # nothing comes later either
    assert (state(peer), disks()) == (("1", ["free"]), [])
    laptop.devd.revoke(peer.port)
    assert state(peer) == ("0", [])
    laptop.devd.authorise(row, "host")
    assert state(peer) == ("1", ["usb-storage"])
    try:
        laptop.devd.authorise(row, "guest")
    except RemoteError as error:
        assert error.report().code == "TH-DEV-104"
    else:
        raise AssertionError("a guest was given what the host uses")
    laptop.devd.revoke(peer.port)
    assert state(peer) == ("0", [])


def admission() -> None:
    """No key of a new keyboard reaches the host before its code was typed, nor after a burst."""
    laptop = Laptop()
    laptop.serve()
    peer = plug(keyboard())
    typist = peer.device.find(Keyboard)
    row, before = laptop.row(peer), inputs()
    told: list[tuple[str, str, list[str]]] = []

    async def follow() -> None:
        async for event in laptop.devd.watch():
            told.append((event.state or event.event, *state(peer)))
            if event.event == "lost":
                await asyncio.to_thread(laptop.devd.admit, row, "120945")
                assert state(peer) == ("1", ["usbfs"])
                typist.type("999999\n")
            elif event.state == "wrong":
                assert inputs() == before, "no key of it can have reached the host"
                typist.type("120945\n")
            elif event.state == "done":
                until(lambda: len(inputs()) > len(before))
                await asyncio.sleep(BURST_LOOKS_SECONDS)
                typist.type(TYPED_FAST, rate=200)
            elif event.event == "burst":
                return

    asyncio.run(asyncio.wait_for(follow(), SECONDS))
    heard = [
        (word, authorised, drivers)
        for word, authorised, drivers in told
        if word in ("wrong", "done", "burst")
    ]
    assert heard == [("wrong", "1", ["usbfs"]), ("done", "1", ["usbhid"]), ("burst", "0", [])], told


def lent() -> None:
    """usbfs for real: one interface of an open node, from root to one without privilege, to one user."""
    content = random.Random(1).randbytes(1024 * 1024 + 512)  # noqa: S311 - any bytes
    digest = hashlib.sha256(content).hexdigest()
    Path("/run/blocks").mkdir(mode=0o711)
    os.chown("/run/blocks", 64001, 64001)
    with Path("/etc/passwd").open("a") as users:
        users.write(f"th-personal:x:{PERSONAL}:{PERSONAL}::/:\n")
    with subprocess.Popen([sys.executable, "-c", BLOCKD]) as blockd:
        until(Path("/run/blockd.sock").exists)
        laptop = Laptop()
        laptop.serve("--blockd", "/run/blockd.sock")
        peer = plug(storage(Memory(content)))
        row = laptop.row(peer)
        path = laptop.devd.lend(row, Partition.PERSONAL)
        assert (state(peer), disks()) == (("1", ["usbfs"]), [])
        assert connected(path, STRANGER).recv(100) == b""
        reader = Reader(connected(path, PERSONAL))
        assert reader.size == len(content)
        assert hashlib.sha256(reader.read(0, reader.size) or b"").hexdigest() == digest
        assert reader.write(0, bytes(512)) == 1, "EPERM"
        assert hashlib.sha256(reader.read(0, reader.size) or b"").hexdigest() == digest
        assert (state(peer), disks()) == (("1", ["usbfs"]), [])
        laptop.devd.revoke(peer.port)
        assert state(peer) == ("0", [])
        assert reader.read(0, 512) is None, "EIO"
        until(lambda: not Path(path).exists())
        laptop.devd.authorise(row, "guest")
        assert state(peer) == ("1", ["free"]), "the whole device"
        assert peer.record.scsi.keys() <= {0x00, 0x03, 0x12, 0x25, 0x28}, "nothing but reading"
        blockd.kill()


def early(before: str) -> None:
    """Early boot leaves input and hubs, and nothing else; the kernel's defaults come back at the end."""
    controllers = sorted(USB.glob("usb*"))
    for controller in controllers:
        (controller / "authorized_default").write_text(before)
    kinds = (keyboard, hub, storage, typing_stick)
    peers = [plug(make(), place) for place, make in enumerate(kinds, 1)]
    until(lambda: all(state(peer)[0] == before for peer in peers))
    laptop = Laptop()
    laptop.errand("--early")
    assert [state(peer)[0] for peer in peers] == ["1", "1", "0", "0"]
    assert {(path / "interface_authorized_default").read_text().strip() for path in controllers} == {"0"}
    laptop.errand("--release")
    until(lambda: state(peers[2]) == ("1", ["usb-storage"]))


def early_restricted() -> None:
    """Where the kernel blocked everything."""
    early("0")


def early_let_in() -> None:
    """Where an initramfs let everything in."""
    early("1")


def offered() -> None:
    """What a guest's process offers to the host's drivers is blocked, also by a devd just started."""
    laptop = Laptop()
    laptop.serve()
    peer = plug(typing_stick())
    before = inputs()
    for restarted in (False, True):
        laptop.devd.authorise(laptop.row(peer), "guest")
        if restarted:
            laptop.serve()
        held = Held(laptop.row(peer))
        assert set(state(peer)[1]) == {"usbfs"}
        held.let_go_and_offer()
        until(lambda: state(peer) == ("0", []))
        until(lambda: inputs() == before)
        held.close()
    # What was taken back by devd is nobody's, until it is decided on again.
    laptop.devd.authorise(laptop.row(peer), "host")
    until(lambda: "usbhid" in state(peer)[1])
    time.sleep(1)
    assert state(peer)[0] == "1", "the host's own drivers may have what is the host's"


class Held:
    """A device in the hands of a guest's process, as QEMU has it (libusb's linux_usbfs.c)."""

    def __init__(self, row: UsbDevice) -> None:
        self._fd = os.open(f"/dev/bus/usb/{row.busnum:03}/{row.devnum:03}", os.O_RDWR)
        self._interfaces = range(len(list((USB / row.port).glob("*:*"))))
        for number in self._interfaces:
            fcntl.ioctl(self._fd, USBDEVFS_CLAIMINTERFACE, struct.pack("I", number))

    def let_go_and_offer(self) -> None:
        """QEMU's end: usb_host_release_interfaces(), then usb_host_attach_kernel() (hw/usb/host-libusb.c)."""
        for number in self._interfaces:
            fcntl.ioctl(self._fd, USBDEVFS_RELEASEINTERFACE, struct.pack("I", number))
        for number in self._interfaces:
            with contextlib.suppress(OSError):  # blocked meanwhile
                fcntl.ioctl(self._fd, USBDEVFS_IOCTL, struct.pack("iiP", number, USBDEVFS_CONNECT, 0))

    def close(self) -> None:
        """Let go of the device."""
        os.close(self._fd)


class Reader:
    """QEMU's end of what is read for a guest (the NBD protocol, doc/proto.md)."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        connection.sendall(struct.pack(">I", 3) + struct.pack(">QII", 0x49484156454F5054, 1, 0))
        (self.size,) = struct.unpack(">Q", (self._take(28) or b"")[18:26])

    def read(self, place: int, length: int) -> bytes | None:
        """That many bytes; None for an I/O error."""
        self._socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, place, length))
        head = self._take(16)
        assert head is not None
        assert head[7] in (0, 5)
        return None if head[7] else self._take(length)

    def write(self, place: int, content: bytes) -> int:
        """The error's number."""
        request = struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, place, len(content))
        self._socket.sendall(request + content)
        head = self._take(16)
        assert head is not None
        return head[7]

    def _take(self, length: int) -> bytes | None:
        content = b""
        while len(content) < length:
            chunk = self._socket.recv(length - len(content))
            if not chunk:
                return None
            content += chunk
        return content


def connected(path: str, uid: int) -> socket.socket:
    """A connection by a user."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(SECONDS)
    os.seteuid(uid)
    try:
        client.connect(path)
    finally:
        os.seteuid(0)
    return client


SCENES = (stick, admission, lent, early_restricted, early_let_in, offered)


if __name__ == "__main__":
    {scene.__name__: scene for scene in SCENES}[sys.argv[1]]()
    os._exit(0)  # devd and the cables' threads end with the kernel

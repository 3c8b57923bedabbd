"""twinhull-devd on a real kernel with its drivers, and emulated devices: what comes of what it writes."""

from __future__ import annotations

import base64
import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.usb_peer import machine as small
from tests.lab.usb_peer.device import Device
from tests.lab.usb_peer.hid import Keyboard
from tests.lab.usb_peer.kinds import hub, keyboard, storage, typing_stick
from tests.lab.usb_peer.machine import Machine
from tests.lab.usb_peer.plug import Peer
from tests.lab.usb_peer.storage import Memory
from tests.support.python_ramdisk import with_python

SECONDS = 90
"""Python takes a while under emulation."""
DEVD = "PYTHONPATH=/py python3 -c 'from twinhull_hypervisor.devices.main import main; main()'"
RECORD = "--record /tmp/record/boot.json"
CLIENT = """
import asyncio, sys, time
from pathlib import Path
from twinhull_hypervisor.devices.client import DevdClient
from twinhull_policy.errors import RemoteError
devd = DevdClient(Path("/tmp/devd.sock"))
device = next((d for d in devd.usb()[0] if d.port == sys.argv[1]), None)
def state():
    where = Path("/sys/bus/usb/devices") / device.port
    links = [interface / "driver" for interface in where.glob("*:*")]
    drivers = [link.resolve().name if link.exists() else "free" for link in links]
    return (where / "authorized").read_text().strip(), drivers
"""
STICK = """
print(device.authorised, device.untrusted_product)
devd.authorise(device, "guest"); print("guest", *state())
time.sleep(1); print("later", *state(), any(Path("/sys/block").glob("sd*")))
devd.revoke(device.port); print("revoked", *state())
devd.authorise(device, "host"); print("host", *state())
try:
    devd.authorise(device, "guest")
except RemoteError as error:
    print(error.report().code)
devd.revoke(device.port); print("revoked", *state())
"""
BLOCKD = (
    "import os; from pathlib import Path; from twinhull_hypervisor import ipc;"
    "from twinhull_hypervisor.block.service import Blockd;"
    "listener = ipc.listening_socket(Path('/tmp/blockd.sock'), 0o600);"
    "os.setgid(64001); os.setuid(64001);"
    "ipc.serve(listener, Blockd(Path('/tmp/blocks')).handlers, frozenset({0}), connections=4)"
)
"""As its unit starts it: root's socket, and then no privilege."""
READER = """
import hashlib, os, socket, struct
from twinhull_policy.names import Partition
path = devd.lend(device, Partition.PERSONAL)
print("lent", *state(), sorted(Path("/sys/block").glob("sd*")))
def connected(uid):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.seteuid(uid)
    client.connect(path)
    os.seteuid(0)
    return client
def take(length):
    content = b""
    while len(content) < length:
        chunk = client.recv(length - len(content))
        if not chunk:
            return None
        content += chunk
    return content
def read(place, length):
    client.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, place, length))
    head = take(16)
    return take(length) if head and head[4:8] == bytes(4) else head and head[7]
print("stranger", connected(70001).recv(100))
client = connected(70002)
client.sendall(struct.pack(">I", 3) + struct.pack(">QII", 0x49484156454F5054, 1, 0))
(size,) = struct.unpack(">Q", take(28)[18:26])
print(size, hashlib.sha256(read(0, size)).hexdigest())
client.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, 512) + bytes(512))
print("write", take(16)[7], hashlib.sha256(read(0, size)).hexdigest())
print("reading", *state(), sorted(Path("/sys/block").glob("sd*")))
devd.revoke(device.port); print("revoked", *state())
print("read", read(0, 512), take(1), Path(path).exists() and time.sleep(1) or Path(path).exists())
devd.authorise(device, "guest"); print("whole", *state())
"""
ADMISSION = """
async def follow():
    async for event in devd.watch():
        if event.event == "lost":
            devd.admit(device, "120945")
            print("waiting", *state(), flush=True)
        if event.state in ("wrong", "done") or event.event == "burst":
            print(event.state or event.event, *state(), flush=True)
        if event.event == "burst":
            return
asyncio.run(follow())
"""


class Laptop:
    """The small machine with devd in it, and what is plugged into it."""

    def __init__(self, machine: Machine, directory: Path, stack: ExitStack) -> None:
        self.machine = machine
        self._directory = directory
        self._stack = stack

    def plug(self, name: str, device: Device) -> Peer:
        """Plug it in, and wait until the kernel has it."""
        before = len(self.machine.usb())
        peer = self._stack.enter_context(Peer(self._directory / name, device))
        self.machine.plug(f"usb-{name}", self._directory / name)
        until = time.monotonic() + SECONDS
        while len(self.machine.usb()) == before:
            assert time.monotonic() < until
            time.sleep(0.2)
        return peer

    def port(self, product: str) -> str:
        """The port of the device that calls itself so."""
        found = self.machine.run(f"cd /sys/bus/usb/devices; grep -l '{product}' [0-9]*-*/product; cd /")
        return found.split("/")[0]

    def script(self, name: str, text: str) -> str:
        """Put a Python program into the machine; its path."""
        blob = base64.b64encode((CLIENT + text).encode()).decode()
        self.machine.run(f"echo {blob} | base64 -d >/tmp/{name}.py")
        return f"PYTHONPATH=/py python3 /tmp/{name}.py"

    def serve(self, options: str = "") -> None:
        """Start devd."""
        self.machine.run(
            f"({DEVD} {options} --socket /tmp/devd.sock {RECORD} >/tmp/devd.log 2>&1 </dev/null &)"
        )
        self.machine.wait("test -S /tmp/devd.sock", SECONDS)


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    kernel, ramdisk = small.boot_files()
    (tmp_path / "ramdisk").write_bytes(with_python(ramdisk.read_bytes()))
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(small, "boot_files", lambda: (kernel, tmp_path / "ramdisk"))
        machine = stack.enter_context(small.machine(tmp_path))
        machine.run("ip link set lo up")
        yield Laptop(machine, tmp_path, stack)


@pytest.mark.timeout(600)
def test_a_stick_and_a_keyboard_from_plug_to_revocation(laptop: Laptop) -> None:
    laptop.serve()
    laptop.plug("stick", storage())
    told = laptop.machine.run(f"{laptop.script('stick', STICK)} {laptop.port('Ultra')}", SECONDS)
    assert told.splitlines() == [
        "False Ultra",
        "guest 1 ['free']",
        "later 1 ['free'] False",
        "revoked 0 []",
        "host 1 ['usb-storage']",
        "TH-DEV-104",
        "revoked 0 []",
    ]

    peer = laptop.plug("keyboard", keyboard())
    watching = laptop.script("keyboard", ADMISSION)
    laptop.machine.run(f"({watching} {laptop.port('USB Keyboard')} >/tmp/told 2>&1 </dev/null &)")
    typist = peer.device.find(Keyboard)
    laptop.machine.wait("grep waiting /tmp/told", SECONDS)
    nodes = laptop.machine.run("ls /dev/input")
    typist.type("999999\n")
    laptop.machine.wait("grep wrong /tmp/told", SECONDS)
    assert laptop.machine.run("ls /dev/input") == nodes, "no key of it can have reached the host"
    typist.type("120945\n")
    laptop.machine.wait("grep done /tmp/told", SECONDS)
    laptop.machine.wait("test $(ls /dev/input/event* | wc -l) -gt 1", SECONDS)
    time.sleep(3)  # devd looks for new nodes once a second
    typist.type("rm and other things that nobody types so fast " * 2, rate=200)
    laptop.machine.wait("grep burst /tmp/told", SECONDS)
    assert laptop.machine.run("cat /tmp/told").splitlines() == [
        "waiting 1 ['usbfs']",
        "wrong 1 ['usbfs']",
        "done 1 ['usbhid']",
        "burst 0 []",
    ]


@pytest.mark.timeout(600)
def test_storage_is_read_without_a_driver_and_by_nobody_else(laptop: Laptop) -> None:
    """usbfs for real: one interface of an open node, from root to one without privilege, to one user."""
    content = random.Random(1).randbytes(1024 * 1024 + 512)  # noqa: S311 - any bytes
    laptop.machine.run(
        "mkdir /tmp/blocks; chown 64001:64001 /tmp/blocks; chmod 711 /tmp/blocks; chmod 711 /tmp"
    )
    laptop.machine.run("echo th-personal:x:70002:70002::/: >>/etc/passwd")
    blockd = f'PYTHONPATH=/py python3 -c "{BLOCKD}"'
    laptop.machine.run(f"({blockd} >/tmp/blockd.log 2>&1 </dev/null &)")
    laptop.machine.wait("test -S /tmp/blockd.sock", SECONDS)
    laptop.serve("--blockd /tmp/blockd.sock")
    peer = laptop.plug("stick", storage(Memory(content)))
    told = laptop.machine.run(f"{laptop.script('reader', READER)} {laptop.port('Ultra')}", SECONDS)
    digest = hashlib.sha256(content).hexdigest()
    assert told.splitlines() == [
        "lent 1 ['usbfs'] []",
        "stranger b''",
        f"{len(content)} {digest}",
        f"write 1 {digest}",
        "reading 1 ['usbfs'] []",
        "revoked 0 []",
        "read 5 None False",
        "whole 1 ['free']",
    ]
    assert peer.record.scsi.keys() <= {0x00, 0x03, 0x12, 0x25, 0x28}, "nothing but reading"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("before", ["0", "1"], ids=["blocked by the kernel", "let in by an initramfs"])
def test_early_boot_leaves_input_and_hubs_and_nothing_else(laptop: Laptop, before: str) -> None:
    laptop.machine.run(f"for u in /sys/bus/usb/devices/usb*; do echo {before} >$u/authorized_default; done")
    wanted = {"USB Keyboard": "1", "USB2.0 Hub": "1", "Ultra": "0", "DataTraveler": "0"}
    for name, make in (("a", keyboard), ("b", hub), ("c", storage), ("d", typing_stick)):
        laptop.plug(name, make())
    ports = {product: laptop.port(product) for product in wanted}
    for port in ports.values():
        laptop.machine.wait(f"grep -q {before} /sys/bus/usb/devices/{port}/authorized")
    laptop.machine.run(f"{DEVD} --early {RECORD} 2>&1", SECONDS)
    authorised = {
        product: laptop.machine.run(f"cat /sys/bus/usb/devices/{port}/authorized").strip()
        for product, port in ports.items()
    }
    assert authorised == wanted
    assert (
        laptop.machine.run("cat /sys/bus/usb/devices/usb*/interface_authorized_default").split() == ["0"] * 8
    )
    laptop.machine.run(f"{DEVD} --release {RECORD} 2>&1", SECONDS)
    laptop.machine.wait(f"readlink /sys/bus/usb/devices/{ports['Ultra']}/*:1.0/driver | grep usb-storage")

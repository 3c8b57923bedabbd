"""The emulated USB devices against a real kernel: it shows their descriptors as ``descriptors`` says, and its
drivers work with them."""

from __future__ import annotations

import hashlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.usb_peer.descriptors import descriptors
from tests.lab.usb_peer.device import Device
from tests.lab.usb_peer.hid import Keyboard, Mouse
from tests.lab.usb_peer.kinds import (
    KINDS,
    changeling,
    injector,
    keyboard,
    mouse,
    storage,
    twins,
    typing_stick,
    uas_storage,
)
from tests.lab.usb_peer.machine import Machine, machine
from tests.lab.usb_peer.malformed import MALFORMED
from tests.lab.usb_peer.plug import Peer
from tests.lab.usb_peer.protocol import Decoder, Kind, hello
from tests.lab.usb_peer.storage import BLOCK, INQUIRY, WRITE_10, File, Memory

Plug = Callable[[str, Device], Peer]
SECONDS = 120
EVENT = struct.Struct("<qqHHi")
"""struct input_event (include/uapi/linux/input.h) on a 64-bit machine: time, type, code, value."""
EV_SYN, EV_KEY, EV_REL, PRESSED = 0, 1, 2, 1
SYN_DROPPED = 3
KEYS = {"t": 20, "w": 17, "i": 23, "n": 49, "h": 35, "u": 22, "l": 38, " ": 57, "7": 8, "!": 2, "/": 53}
LEFT_SHIFT = 42
"""Key codes (include/uapi/linux/input-event-codes.h)."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One machine for all tests here; each takes away what it plugged in."""
    with machine(tmp_path_factory.mktemp("machine")) as one:
        yield one


@pytest.fixture
def plug(running: Machine, tmp_path: Path) -> Iterator[Plug]:
    """Plugs a device into the machine, under a name, until the test ends."""
    names: list[str] = []
    with ExitStack() as stack:

        def plugged(name: str, device: Device) -> Peer:
            peer = stack.enter_context(Peer(tmp_path / name, device))
            running.plug(f"usb-{name}", tmp_path / name)
            names.append(f"usb-{name}")
            return peer

        yield plugged
        for name in names:
            running.unplug(name)
    until(lambda: not running.usb())


def until(condition: Callable[[], object]) -> None:
    """Wait for something that has to happen."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_the_kernel_shows_every_device_as_described(running: Machine, plug: Plug) -> None:
    peers = {name: plug(name, make()) for name, make in {**KINDS, **MALFORMED}.items()}
    described = {name: descriptors(peer.device.model) for name, peer in peers.items()}
    refused = [name for name, blob in described.items() if not blob]
    until(lambda: int(running.run("dmesg | grep -c 'unable to enumerate'; true")) == len(refused))
    until(lambda: len(running.usb()) == len(described) - len(refused))
    assert sorted(running.usb().values()) == sorted(filter(None, described.values()))
    assert not any(peers[name].record.configured for name in refused)


def test_nothing_of_the_host_speaks_to_a_device_it_has_not_authorised(running: Machine, plug: Plug) -> None:
    default = "for f in /sys/bus/usb/devices/usb*/authorized_default; do echo {} > $f; done"
    running.run(default.format(0))
    try:
        peers = [plug("stick", storage()), plug("keyboard", keyboard()), plug("both", typing_stick())]
        until(lambda: len(running.usb()) == len(peers))
        assert sorted(running.usb().values()) == sorted(descriptors(peer.device.model) for peer in peers)
        for peer in peers:
            assert (peer.record.configured, peer.record.bound, dict(peer.record.scsi)) == ([], False, {})
    finally:
        running.run(default.format(1))
    for port in running.usb():
        running.run(f"echo 1 > /sys/bus/usb/devices/{port}/authorized")
    assert peers[0].wait(lambda record: record.scsi[INQUIRY])
    assert peers[1].wait(lambda record: record.polled)
    assert peers[2].wait(lambda record: record.scsi[INQUIRY] and record.polled)
    assert all(peer.record.bound for peer in peers)


@pytest.mark.parametrize("in_file", [False, True])
def test_the_host_reads_and_writes_a_stick(
    running: Machine, plug: Plug, tmp_path: Path, in_file: bool
) -> None:
    content = b"".join(b"block %06d" % number + bytes(500) for number in range(2048))
    image = tmp_path / "image"
    image.write_bytes(content)
    medium = File(image) if in_file else Memory(content)
    peer = plug("stick", storage(medium))
    running.wait("test -b /dev/sda")
    assert running.run("dd if=/dev/sda bs=512 skip=1234 count=1 2>&- | head -c 12") == "block 001234"
    assert running.run("md5sum </dev/sda").split()[0] == hashlib.md5(content).hexdigest()  # noqa: S324
    running.run("printf written | dd of=/dev/sda bs=512 seek=77 conv=sync,fsync 2>&-")
    assert medium.read(77 * BLOCK, BLOCK) == b"written".ljust(BLOCK, b"\0")
    assert medium.read(78 * BLOCK, 12) == b"block 000078"
    assert peer.record.scsi[WRITE_10]
    if in_file:
        assert image.read_bytes()[77 * BLOCK :].startswith(b"written")


@pytest.mark.parametrize("make", [uas_storage, typing_stick])
def test_other_sticks_are_read_too(running: Machine, plug: Plug, make: Callable[[Memory], Device]) -> None:
    plug("stick", make(Memory(b"here".rjust(1000 * BLOCK, b"."))))
    running.wait("test -b /dev/sda")
    assert running.run("tail -c 4 /dev/sda") == "here"


def test_the_host_cannot_write_a_read_only_stick(running: Machine, plug: Plug) -> None:
    medium = Memory(b"kept".ljust(2**20, b"\0"))
    plug("stick", storage(medium, read_only=True))
    running.wait("test -b /dev/sda && test $(cat /sys/block/sda/ro) = 1")
    running.run("! dd if=/dev/zero of=/dev/sda bs=512 count=1 conv=fsync 2>&-")
    assert medium.content.startswith(b"kept")


def listen(running: Machine, peer: Peer) -> None:
    """Write what an input device says to /tmp/events from now on."""
    named = running.wait(f"grep -l '{peer.device.model.name}' /sys/class/input/event*/device/name")
    node = f"/dev/input/{named.split('/')[4]}"
    running.run(f"cat {node} >/tmp/events 2>&- &")
    assert peer.wait(lambda record: 0x81 in record.polled)
    # What comes before it has opened it, 50 ms later, the kernel throws away (usbhid_open() in hid-core.c).
    running.wait(f"ls -l /proc/[0-9]*/fd 2>&- | grep -q '{node}$'")


def events(running: Machine) -> list[tuple[float, int, int, int]]:
    """What /tmp/events holds: seconds, type, code and value."""
    raw = bytes.fromhex(running.run("od -An -v -tx1 /tmp/events | tr -d ' \\n'"))
    whole = raw[: len(raw) // EVENT.size * EVENT.size]
    return [(s + us / 1e6, kind, code, value) for s, us, kind, code, value in EVENT.iter_unpack(whole)]


def presses(running: Machine) -> list[tuple[float, int]]:
    """When each key was pressed, and which."""
    return [(when, code) for when, kind, code, value in events(running) if (kind, value) == (EV_KEY, PRESSED)]


def test_a_keyboard_types_at_its_rate(running: Machine, plug: Plug) -> None:
    text, rate = "twinhull 7!/", 40.0
    peer = plug("keyboard", keyboard())
    listen(running, peer)
    peer.device.find(Keyboard).type(text, rate)
    expected = [code for key in text for code in ([LEFT_SHIFT] if key == "!" else []) + [KEYS[key]]]
    until(lambda: len(presses(running)) == len(expected))
    pressed = presses(running)
    assert [code for _, code in pressed] == expected
    # Emulation may bring keys late, and so the last ones close together, but never the whole text early.
    assert pressed[-1][0] - pressed[0][0] > 0.5 * len(text) / rate


def test_an_injector_types_faster_than_anybody(running: Machine, plug: Plug) -> None:
    peer = plug("injector", injector())
    listen(running, peer)
    typing = peer.device.find(Keyboard)
    typing.type("twinhull" * 20, 400)
    typing.type("7", 1)
    until(lambda: any((kind, code) == (EV_KEY, KEYS["7"]) for _, kind, code, _ in events(running)))
    pressed = [code for _, code in presses(running) if code != KEYS["7"]]
    expected = [KEYS[key] for key in "twinhull" * 20]
    if (EV_SYN, SYN_DROPPED) in [(kind, code) for _, kind, code, _ in events(running)]:
        # Who reads too slowly loses what has no room, and is told so (Documentation/input/event-codes.rst).
        rest = iter(expected)
        assert pressed
        assert all(code in rest for code in pressed)
    else:
        assert pressed == expected


def test_a_mouse_moves(running: Machine, plug: Plug) -> None:
    peer = plug("mouse", mouse())
    listen(running, peer)
    peer.device.find(Mouse).move(5, -3)
    until(lambda: len([1 for _, kind, _, _ in events(running) if kind == EV_REL]) == 2)
    assert [(code, value) for _, kind, code, value in events(running) if kind == EV_REL] == [(0, 5), (1, -3)]


def test_a_device_leaves_comes_back_and_starts_over(running: Machine, plug: Plug) -> None:
    peer = plug("stick", storage())
    until(lambda: len(running.usb()) == 1)
    peer.disconnect()
    until(lambda: not running.usb())
    peer.connect()
    until(lambda: list(running.usb().values()) == [descriptors(peer.device.model)])
    assert peer.record.connects == 2


def test_a_changeling_comes_back_as_another_device(running: Machine, plug: Plug) -> None:
    peer = plug("changeling", changeling())
    seen = descriptors(peer.device.model)
    until(lambda: list(running.usb().values()) == [seen])
    assert peer.wait(lambda record: record.configured)
    peer.reset()
    until(lambda: list(running.usb().values()) not in ([], [seen]))
    (meant,) = running.usb().values()
    assert meant == descriptors(peer.device.model)
    assert meant[8:12] == seen[8:12], "vendor and product stay what they were"


def test_a_changeling_changes_when_the_host_resets_what_it_has_configured() -> None:
    device = changeling()
    seen = device.model
    device.plugged()
    device.reset()
    assert device.model is seen, "the resets of an enumeration come before any configuration"
    assert device.configure(1)
    device.reset()
    assert device.model is not seen
    assert device.model.vendor == seen.vendor


def test_a_cable_survives_what_is_at_its_other_end(tmp_path: Path) -> None:
    with Peer(tmp_path / "cable", keyboard()) as peer:
        for first in (b"", b"GET / HTTP/1.1\r\n\r\n", hello()[:40], hello() + b"\xff" * 64, hello()):
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(5)
                other.connect(str(tmp_path / "cable"))
                other.sendall(first)
                assert other.recv(64).startswith(hello()[:12])
        peer.disconnect()
        peer.connect()
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(5)
            other.connect(str(tmp_path / "cable"))
            other.sendall(hello())
            decoder = Decoder()
            kinds: list[int] = []
            while Kind.DEVICE_CONNECT not in kinds:
                kinds += [packet.kind for packet in decoder.feed(other.recv(4096))]
    assert kinds == [Kind.HELLO, Kind.INTERFACE_INFO, Kind.EP_INFO, Kind.DEVICE_CONNECT]


def test_nothing_tells_twins_apart_but_their_ports(running: Machine, plug: Plug) -> None:
    for name, device in zip("ab", twins(), strict=True):
        plug(name, device)
    until(lambda: len(running.usb()) == 2)
    assert len(set(running.usb().values())) == 1
    assert running.run("cd /sys/bus/usb/devices; ls -d [0-9]*-*/serial 2>&-; cd /") == ""


def test_by_hand() -> None:
    argv = [sys.executable, "-m", "tests.lab.usb_peer", "keyboard"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
    assert bytes.fromhex(done.stdout) == descriptors(keyboard().model)

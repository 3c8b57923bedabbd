"""twinhull-devd as a process, over its socket: this machine's own sysfs, and a bus that umockdev makes up."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from twinhull_hypervisor.devices.client import DevdClient
from twinhull_hypervisor.devices.results import Event
from twinhull_hypervisor.ipc import call
from twinhull_policy.errors import RemoteError

from tests.support.devd import Bus, run_devd, running_devd, usb_bus
from tests.support.usb import simple
from tests.support.usb_tree import KEYBOARD, STICK, FakeSysfs

needs_umockdev = pytest.mark.skipif(
    shutil.which("umockdev-wrapper") is None, reason="umockdev is not installed"
)
HAS_USB = Path("/sys/bus/usb/devices").exists()
FUNCTIONS = sorted(Path("/sys/bus/pci/devices").glob("*"))
ENTER = "0000280000000000"
UP = "0000000000000000"


def digits(code: str) -> list[str]:
    usages = [0x1E + (int(digit) - 1) % 10 for digit in code]
    return [report for usage in usages for report in (f"0000{usage:02x}0000000000", UP)]


@pytest.fixture
def bus() -> Iterator[Bus]:
    with usb_bus() as bus:
        yield bus


@pytest.fixture
def devd(bus: Bus, tmp_path: Path) -> Iterator[DevdClient]:
    with running_devd(tmp_path, bus) as client:
        yield client


class Watching:
    """Events as they come, in the background."""

    def __init__(self, client: DevdClient) -> None:
        self.events: list[Event] = []
        self._client = client
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Watching:
        self._task = asyncio.create_task(self._follow())
        await self.until(Event(event="lost"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def until(self, *wanted: Event) -> None:
        """Wait until these were the last events."""
        async with asyncio.timeout(20):
            while self.events[-len(wanted) :] != list(wanted):
                await self._changed.wait()
                self._changed.clear()

    async def _follow(self) -> None:
        async for event in self._client.watch():
            self.events.append(event)
            self._changed.set()


@pytest.mark.skipif(HAS_USB, reason="this machine has USB, and devd would restrict it")
def test_it_answers_on_this_machine_whatever_is_plugged_in(tmp_path: Path) -> None:
    """Where there is no USB at all the list is empty."""
    with running_devd(tmp_path) as client:
        assert client.usb() == ([], False)
        client.restrict()
        assert [function.address for function in client.pci().functions] == [p.name for p in FUNCTIONS]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask the kernel for a uevent")
@pytest.mark.skipif(HAS_USB or not FUNCTIONS, reason="there is no PCI, or USB that devd would restrict")
async def test_the_kernels_own_uevents_reach_a_watcher(tmp_path: Path) -> None:
    with running_devd(tmp_path) as client:
        async with Watching(client) as watching:
            (FUNCTIONS[-1] / "uevent").write_text("add")
            await watching.until(Event(event="pci", action="add", address=FUNCTIONS[-1].name))


WHICH = {"port": "1-2", "sha256": "0" * 64, "busnum": 1, "devnum": 1}


@pytest.mark.parametrize(
    ("verb", "arguments", "code"),
    [
        ("authorise", {}, "TH-DEV-101"),
        ("authorise", {**WHICH, "use": "host", "port": "../1-2"}, "TH-DEV-101"),
        ("authorise", {**WHICH, "use": "root"}, "TH-DEV-101"),
        ("authorise", {**WHICH, "use": "host"}, "TH-DEV-102"),
        ("admit", {**WHICH, "code": "12345"}, "TH-DEV-101"),
        ("admit", {**WHICH, "code": "123456"}, "TH-DEV-102"),
        ("revoke", {"port": "usb1"}, "TH-DEV-101"),
        ("revoke", {"port": "1-2:1.0"}, "TH-DEV-101"),
        ("revoke", {"port": "1-2"}, "TH-DEV-102"),
        ("usb", {"after": "x"}, "TH-DEV-101"),
        ("pci", {"x": 1}, "TH-DEV-101"),
        ("shell", {}, "TH-IPC-002"),
    ],
)
@needs_umockdev
def test_what_is_not_a_verb_of_its_own_is_refused(
    devd: DevdClient, tmp_path: Path, verb: str, arguments: dict[str, object], code: str
) -> None:
    with pytest.raises(RemoteError) as refused:
        call(tmp_path / "devd.sock", verb, arguments)
    assert refused.value.report().code == code


@needs_umockdev
async def test_a_device_is_seen_in_its_uevent_decided_on_and_taken_back(bus: Bus, devd: DevdClient) -> None:
    assert devd.usb() == ([], False)
    assert bus.do("read", name="usb1", attribute="authorized_default") == "0"
    async with Watching(devd) as watching:
        bus.plug("1-2", STICK, manufacturer="Acme", product="Stick", serial="7", removable="removable")
        await watching.until(Event(event="usb", action="add", port="1-2"))
        (device,), _ = devd.usb()
        assert (device.port, device.untrusted_descriptors) == ("1-2", STICK)
        assert (device.untrusted_product, device.untrusted_serial, device.at_boot) == ("Stick", "7", False)

        bus.do("configure", port="1-2", triples=["08:06:50"])
        assert devd.authorise(device, "guest").devnum == 5
        assert bus.do("read", name="1-2", attribute="1-2:1.0/authorized") == "1"
        assert bus.do("seen")["probed"] == ""
        devd.revoke("1-2")
        assert bus.do("read", name="1-2", attribute="authorized") == "0"

        bus.do("pull", port="1-2")
        await watching.until(Event(event="usb", action="remove", port="1-2"))
        bus.plug("1-2", STICK, devnum=6)
        await watching.until(Event(event="usb", action="add", port="1-2"))
        with pytest.raises(RemoteError) as refused:
            devd.authorise(device, "guest")
        assert refused.value.report().code == "TH-DEV-103"


@needs_umockdev
def test_what_was_there_before_devd_is_left_as_it_is(bus: Bus, tmp_path: Path) -> None:
    bus.plug("1-2", STICK)
    with running_devd(tmp_path, bus) as client:
        (device,), early = client.usb()
        assert (device.at_boot, early) == (True, False)
    with running_devd(tmp_path, bus) as client:
        bus.plug("1-3", KEYBOARD, devnum=6)
        devices, _ = client.usb()
        assert [(d.port, d.at_boot) for d in devices] == [("1-2", True), ("1-3", False)]


@needs_umockdev
def test_more_devices_than_fit_a_packet_with_the_longest_of_everything(bus: Bus, devd: DevdClient) -> None:
    worst = STICK + bytes(16 * 1024 - len(STICK))
    text = "\x01" * 126
    for number in range(1, 31):
        bus.plug(f"1-{number}", worst, devnum=number, manufacturer=text, product=text, serial=text)
    devices, _ = devd.usb()
    assert len(devices) == 30
    assert {len(device.untrusted_descriptors) for device in devices} == {len(worst)}
    assert [d.port for d in devices] == sorted(f"1-{number}" for number in range(1, 31))


@needs_umockdev
def test_a_controller_that_is_plugged_in_is_restricted(bus: Bus, devd: DevdClient) -> None:
    bus.do("controller", number=2)
    until = time.monotonic() + 20
    while bus.do("read", name="usb2", attribute="interface_authorized_default") != "0":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert bus.do("read", name="usb2", attribute="authorized_default") == "0"


async def plugged_keyboard(bus: Bus, devd: DevdClient) -> None:
    bus.plug("1-4", KEYBOARD, devnum=9)
    bus.do("configure", port="1-4", triples=["03:01:01"])
    bus.do("keyboard", port="1-4")


@needs_umockdev
async def test_a_keyboard_is_admitted_by_the_code_typed_on_it(bus: Bus, devd: DevdClient) -> None:
    """R17: boot protocol, through usbfs; drivers see it only after the code."""
    await plugged_keyboard(bus, devd)
    (device,), _ = devd.usb()
    async with Watching(devd) as watching:
        devd.admit(device, "120945")
        with pytest.raises(RemoteError) as refused:
            devd.admit(device, "120945")
        assert refused.value.report().code == "TH-DEV-108"
        bus.do("type", reports=[*digits("120944"), ENTER, UP])
        await watching.until(Event(event="admission", port="1-4", state="wrong", count=1))
        assert bus.do("seen")["probed"] == ""
        bus.do("type", reports=[*digits("120945"), ENTER, UP])
        await watching.until(Event(event="admission", port="1-4", state="done"))
    counts = [event.count for event in watching.events if event.state == "typed"]
    assert counts == [1, 2, 3, 4, 5, 6] * 2
    seen = bus.do("seen")
    assert seen["probed"] == "1-4:1.0"
    assert seen["claimed"] == [0, -1], "claimed, then released"
    assert seen["requests"] == [[0x21, 0x0B, 0, 0, 0], [0x21, 0x0A, 0, 0, 0], [0x21, 0x0B, 1, 0, 0]]


@needs_umockdev
async def test_three_wrong_codes_send_it_away(bus: Bus, devd: DevdClient) -> None:
    await plugged_keyboard(bus, devd)
    (device,), _ = devd.usb()
    async with Watching(devd) as watching:
        devd.admit(device, "120945")
        bus.do("type", reports=[ENTER, UP] * 3)
        await watching.until(
            Event(event="admission", port="1-4", state="wrong", count=3),
            Event(event="admission", port="1-4", state="gone"),
        )
    assert bus.do("read", name="1-4", attribute="authorized") == "0"
    assert bus.do("seen")["probed"] == ""


@needs_umockdev
@pytest.mark.parametrize("how", ["revoke", "pull"])
async def test_an_admission_ends_when_it_is_revoked_or_unplugged(
    bus: Bus, devd: DevdClient, how: str
) -> None:
    await plugged_keyboard(bus, devd)
    (device,), _ = devd.usb()
    async with Watching(devd) as watching:
        devd.admit(device, "120945")
        if how == "revoke":
            devd.revoke("1-4")
        else:
            bus.do("pull", port="1-4")
        await watching.until(Event(event="admission", port="1-4", state="gone"))
    assert bus.do("seen")["probed"] == ""


@needs_umockdev
def test_what_is_no_keyboard_cannot_be_admitted(bus: Bus, devd: DevdClient) -> None:
    bus.plug("1-4", simple(1, 2, (3, 0, 0)))
    bus.do("configure", port="1-4", triples=["03:00:00"])
    (device,), _ = devd.usb()
    with pytest.raises(RemoteError) as refused:
        devd.admit(device, "120945")
    assert refused.value.report().code == "TH-DEV-107"
    assert bus.do("read", name="1-4", attribute="authorized") == "0"


def resident_kib(connection: socket.socket) -> int:
    """What the process that listens at the other end has in memory (SO_PEERCRED, unix(7); proc(5))."""
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@needs_umockdev
async def test_a_thousand_plugs_are_heard_and_a_watcher_that_sleeps_costs_little(
    bus: Bus, devd: DevdClient, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sleeper:
        sleeper.connect(str(tmp_path / "devd.sock"))
        sleeper.send(msgspec.json.encode({"verb": "watch"}))
        resident = []
        async with Watching(devd) as watching:
            for number in range(500):
                port = f"1-{number % 2 + 1}"
                bus.plug(port, STICK, devnum=number % 127 + 1)
                bus.do("pull", port=port)
                # One at a time: the made-up bus fails where ten events wait (net.unix.max_dgram_qlen).
                await watching.until(Event(event="usb", action="remove", port=port))
                if number in (100, 499):
                    resident.append(resident_kib(sleeper))
            assert len([event for event in watching.events if event.action == "add"]) == 500
        assert resident[1] - resident[0] < 2048, "memory grows with every plug"
        assert devd.usb() == ([], False)


def test_early_boot_and_letting_go_as_processes(tmp_path: Path) -> None:
    """Without a uevent, on a directory: in with the keyboard, then everything as it was."""
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.controller(1)
    for port, blob in (("1-1", KEYBOARD), ("1-2", STICK)):
        sysfs.plug(port, blob, devnum=int(port[-1]))
        sysfs.interface(port, 0, ("03", "01", "01"))
    options = ("--sysfs", str(sysfs.root), "--record", str(tmp_path / "run/boot.json"))
    assert run_devd("--early", *options) == 0
    assert [sysfs.text(port, "authorized") for port in ("1-1", "1-2")] == ["1", "0"]
    assert sysfs.text("usb1", "authorized_default") == "0"
    assert run_devd("--release", *options) == 0
    assert [sysfs.text(port, "authorized") for port in ("1-1", "1-2")] == ["1", "1"]
    assert sysfs.text("usb1", "authorized_default") == "1"
    assert not (tmp_path / "run").exists()

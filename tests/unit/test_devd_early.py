"""Early boot: which devices get in, decided by a child that has given everything up."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from twinhull_hypervisor.devices import sandbox
from twinhull_hypervisor.devices.early import Early
from twinhull_hypervisor.devices.record import Boot, Record
from twinhull_hypervisor.devices.sandbox import host_devices
from twinhull_hypervisor.devices.tree import UsbTree

from tests.support.usb_tree import HUB, KEYBOARD, POINTER, STICK, TYPING_STICK, FakeSysfs


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.controller(1)
    return sysfs


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "run/boot.json")


def test_the_child_lets_input_and_hubs_through_and_nothing_else() -> None:
    blobs = [KEYBOARD, STICK, POINTER, TYPING_STICK, HUB, b"", KEYBOARD[:-1], b"\xff" * 100_000, KEYBOARD]
    assert host_devices(blobs) == [True, False, True, False, True, False, False, False, True]
    assert host_devices([]) == []


def test_many_large_ones_at_once() -> None:
    assert host_devices([STICK + bytes(60_000)] * 100 + [HUB]) == [False] * 100 + [True]


@pytest.mark.parametrize(
    "attack",
    [
        lambda: os.open("/etc/hostname", os.O_RDONLY),
        lambda: os.fork(),
        lambda: socket.socket(),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
        lambda: bytearray(sandbox.MEMORY_BYTES),
        lambda: [None for _ in iter(int, 1)],
    ],
    ids=["open", "fork", "socket", "kill", "exec", "memory", "for ever"],
)
def test_a_child_that_was_taken_over_gets_nothing_through(
    monkeypatch: pytest.MonkeyPatch, attack: object
) -> None:
    """The child's own reading is replaced by what an attacker would do there; the sandbox is the real one."""
    assert callable(attack)

    def taken_over(_: bytes) -> bytes:
        attack()
        return b"\x01"

    monkeypatch.setattr(sandbox, "_judge", taken_over)
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    assert host_devices([STICK]) == [False]


def test_that_attack_would_have_worked_without_doing_anything_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the test above would show nothing."""
    monkeypatch.setattr(sandbox, "_judge", lambda _: b"\x01")
    assert host_devices([STICK]) == [True]
    assert host_devices([STICK, STICK]) == [False, False], "an answer of another length is none"


def test_boot_devices_are_let_in_and_remembered(sysfs: FakeSysfs, record: Record) -> None:
    sysfs.plug("1-1", HUB, devnum=2)
    sysfs.interface("1-1", 0, ("09", "00", "00"))
    sysfs.plug("1-2", STICK, devnum=3)
    sysfs.plug("1-3", TYPING_STICK, devnum=4)
    early = Early(UsbTree(sysfs.root), record)
    early.run(quiet=0.0)
    assert [sysfs.text(port, "authorized") for port in ("1-1", "1-2", "1-3")] == ["1", "0", "0"]
    assert sysfs.text("1-1", "1-1:1.0/authorized") == "1"
    assert sysfs.text("usb1", "interface_authorized_default") == "0"
    boot = record.read()
    assert boot is not None
    assert boot.early
    assert {known.port for known in boot.present} == {"1-1", "1-2", "1-3"}
    assert boot.defaults == {"usb1": ("1", "1")}
    assert not early.look(), "nothing new"

    sysfs.plug("1-1.4", KEYBOARD, devnum=9)
    assert early.look()
    assert sysfs.text("1-1.4", "authorized") == "1"


def test_what_an_initramfs_let_in_is_blocked_but_for_a_mounted_disk(
    sysfs: FakeSysfs, record: Record, tmp_path: Path
) -> None:
    for port, blob in (("1-1", HUB), ("1-1.3", STICK), ("1-2", STICK), ("1-3", KEYBOARD)):
        (sysfs.plug(port, blob, devnum=int(port[-1])) / "authorized").write_text("1\n")
    # Encrypted: the mapping's only part is a partition of the disk behind the hub's third port.
    (sysfs.device("1-1.3") / "sda/sda2").mkdir(parents=True)
    mapping = sysfs.root / "devices/virtual/block/dm-0"
    (mapping / "slaves").mkdir(parents=True)
    (mapping / "slaves/sda2").symlink_to(sysfs.device("1-1.3") / "sda/sda2")
    (sysfs.root / "dev/block").mkdir(parents=True)
    (sysfs.root / "dev/block/253:0").symlink_to(mapping)
    mounts = tmp_path / "mountinfo"
    mounts.write_text("21 1 253:0 / / rw - ext4 /dev/dm-0 rw\n22 21 0:5 / /proc rw - proc proc rw\n")
    Early(UsbTree(sysfs.root), record, sysfs.root, mounts).run(quiet=0.0)
    ports = ("1-1", "1-1.3", "1-2", "1-3")
    assert [sysfs.text(port, "authorized") for port in ports] == ["1", "1", "0", "1"]


def test_it_waits_for_the_first_controller(tmp_path: Path, record: Record) -> None:
    """udev loads the driver of a controller later than this begins, and on a slow computer much later."""
    sysfs = FakeSysfs(tmp_path / "sys")

    def appears() -> None:
        sysfs.controller(1)
        sysfs.plug("1-1", KEYBOARD)

    late = threading.Timer(0.6, appears)
    late.start()
    Early(UsbTree(sysfs.root), record).run(quiet=0.2, longest=10.0)
    late.join()
    boot = record.read()
    assert boot is not None
    assert {one.port for one in boot.present} == {"1-1"}
    assert sysfs.text("1-1", "authorized") == "1"


def test_it_ends_even_if_something_new_comes_all_the_time(sysfs: FakeSysfs, record: Record) -> None:
    early = Early(UsbTree(sysfs.root), record)
    numbers = iter(range(1, 100))
    look = early.look

    def plug_and_look() -> bool:
        sysfs.plug(f"1-{next(numbers)}", STICK)
        return look()

    early.look = plug_and_look  # type: ignore[method-assign]
    early.run(quiet=60.0, longest=0.5)
    assert 2 <= next(numbers) < 20


def test_the_service_manager_hears_when_booting_may_go_on(
    sysfs: FakeSysfs, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        Early(UsbTree(sysfs.root), record).run(quiet=0.0)
        assert manager.recv(100) == b"READY=1"


def test_a_record_of_another_boot_tells_nothing(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("one\n")
    path = tmp_path / "run/boot.json"
    Record(path, boot_id).update(lambda _: Boot(boot="one", early=True))
    assert Record(path, boot_id).read() == Boot(boot="one", early=True)
    boot_id.write_text("two\n")
    assert Record(path, boot_id).read() is None
    path.write_text("{}")
    assert Record(path, boot_id).read() is None


def test_the_first_defaults_are_the_ones_to_go_back_to(record: Record) -> None:
    for before in (("0", "0"), ("1", "1"), ("0", "1"), ("0", "0")):
        record.add_defaults("usb1", before)
    boot = record.read()
    assert boot is not None
    assert boot.defaults == {"usb1": ("1", "1")}
    assert record.forget() == {"usb1": ("1", "1")}
    assert record.read() is None


def test_after_a_restricted_boot_zeros_are_not_what_to_go_back_to(record: Record) -> None:
    record.update(lambda _: Boot(boot=record.boot, early=True, defaults={"usb1": ("0", "1")}))
    assert record.forget() == {"usb1": ("1", "1")}
    assert record.forget() == {}

"""What devd writes to sysfs, and what it refuses, over a directory with the same files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from twinhull_hypervisor.devices.arguments import DecidedDevice
from twinhull_hypervisor.devices.errors import (
    DeviceChanged,
    DeviceChangeFailed,
    DeviceInUse,
    LastKeyboard,
    NoSuchDevice,
)
from twinhull_hypervisor.devices.tree import PASSED_ON_BYTES, UsbTree

from tests.support.usb_tree import HUB, KEYBOARD, STICK, FakeSysfs

BOOT_KEYBOARD = ("03", "01", "01")
STORAGE = ("08", "06", "50")


@pytest.fixture
def sysfs(tmp_path: Path) -> FakeSysfs:
    sysfs = FakeSysfs(tmp_path / "sys")
    sysfs.controller(1)
    return sysfs


@pytest.fixture
def tree(sysfs: FakeSysfs) -> UsbTree:
    return UsbTree(sysfs.root)


def decided(port: str, descriptors: bytes, devnum: int = 5) -> DecidedDevice:
    return DecidedDevice(
        port=port,
        sha256=hashlib.sha256(descriptors).hexdigest(),
        busnum=int(port.partition("-")[0]),
        devnum=devnum,
    )


def test_a_machine_without_usb_has_nothing(tmp_path: Path) -> None:
    tree = UsbTree(tmp_path)
    assert (tree.ports(), tree.controllers(), tree.restrict(), tree.keyboards()) == ([], [], {}, set())
    with pytest.raises(NoSuchDevice):
        tree.device("1-1")


def test_only_devices_are_listed(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", HUB)
    sysfs.plug("1-2.4", STICK)
    sysfs.interface("1-2", 0, ("09", "00", "00"))
    (sysfs.root / "bus/usb/devices/1-2:1.0").symlink_to(sysfs.device("1-2") / "1-2:1.0")
    assert tree.ports() == ["1-2", "1-2.4"]
    assert tree.controllers() == ["usb1"]


def test_what_it_tells_of_a_device(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", STICK, manufacturer="A\x1b[2Jcme", product="p" * 300, removable="fixed")
    device = tree.device("1-2")
    assert device.untrusted_descriptors == STICK
    assert device.sha256 == hashlib.sha256(STICK).hexdigest()
    assert device.untrusted_manufacturer == "A\x1b[2Jcme"
    assert (len(device.untrusted_product), device.untrusted_serial) == (126, "")
    assert (device.removable, device.authorised, device.driver_bound) == (False, False, False)


@pytest.mark.parametrize("kept", ["", "removable", "unknown"])
def test_what_the_kernel_does_not_call_fixed_is_removable(sysfs: FakeSysfs, tree: UsbTree, kept: str) -> None:
    directory = sysfs.plug("1-2", STICK)
    if kept:
        (directory / "removable").write_text(f"{kept}\n")
    assert tree.device("1-2").removable


def test_endless_descriptors_are_hashed_and_not_passed_on(sysfs: FakeSysfs, tree: UsbTree) -> None:
    long = STICK + bytes(PASSED_ON_BYTES)
    sysfs.plug("1-2", long)
    device = tree.device("1-2")
    assert device.untrusted_descriptors == b""
    assert device.sha256 == hashlib.sha256(long).hexdigest()


def test_controllers_are_restricted_and_their_own_hub_goes_on(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.controller(2, defaults=("2", "0"))
    assert tree.restrict() == {"usb1": ("1", "1"), "usb2": ("2", "0")}
    for name in ("usb1", "usb2"):
        assert sysfs.text(name, "authorized_default") == "0"
        assert sysfs.text(name, "interface_authorized_default") == "0"
    assert tree.restrict() == {"usb1": ("0", "0"), "usb2": ("0", "0")}
    assert sysfs.probed == ""


def test_a_root_hub_born_under_our_default_is_opened_again(sysfs: FakeSysfs, tree: UsbTree) -> None:
    (sysfs.device("usb1") / "1-0:1.0/authorized").write_text("0\n")
    tree.restrict()
    assert sysfs.text("usb1", "1-0:1.0/authorized") == "1"
    assert sysfs.probed == "1-0:1.0"


def test_release_gives_back_what_was(sysfs: FakeSysfs, tree: UsbTree) -> None:
    before = tree.restrict()
    sysfs.plug("1-2", STICK)
    sysfs.interface("1-2", 0, STORAGE)
    tree.release({**before, "usb9": ("1", "1")})
    assert sysfs.text("usb1", "authorized_default") == "1"
    assert sysfs.text("usb1", "interface_authorized_default") == "1"
    assert sysfs.text("1-2", "authorized") == "1"
    assert sysfs.probed == "1-2:1.0"


def test_release_opens_nothing_on_a_controller_that_was_closed_before(
    sysfs: FakeSysfs, tree: UsbTree
) -> None:
    sysfs.plug("1-2", STICK)
    tree.release({"usb1": ("0", "1")})
    assert sysfs.text("usb1", "authorized_default") == "0"
    assert sysfs.text("1-2", "authorized") == "0"


def test_a_device_for_the_host_is_offered_to_drivers(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", KEYBOARD)
    sysfs.interface("1-2", 0, BOOT_KEYBOARD)
    tree.authorise(decided("1-2", KEYBOARD), "host")
    assert sysfs.text("1-2", "authorized") == "1"
    assert sysfs.text("1-2", "1-2:1.0/authorized") == "1"
    assert sysfs.probed == "1-2:1.0"


def test_a_device_for_a_guest_is_never_offered_to_drivers(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", STICK)
    sysfs.interface("1-2", 0, STORAGE)
    answer = tree.authorise(decided("1-2", STICK), "guest")
    assert (answer.busnum, answer.devnum) == (1, 5)
    assert sysfs.text("1-2", "1-2:1.0/authorized") == "1"
    assert sysfs.probed == ""
    assert sysfs.text("usb1", "interface_authorized_default") == "0", "or its interfaces had been born free"


def test_what_a_guest_holds_may_be_authorised_again(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", STICK)
    sysfs.interface("1-2", 0, STORAGE, driver="usbfs")
    tree.authorise(decided("1-2", STICK), "guest")
    assert not tree.device("1-2").driver_bound


def test_a_disk_that_the_host_uses_is_not_taken_from_it(sysfs: FakeSysfs, tree: UsbTree) -> None:
    (sysfs.plug("1-2", STICK) / "authorized").write_text("1\n")
    (sysfs.interface("1-2", 0, STORAGE, driver="usb-storage") / "authorized").write_text("1\n")
    with pytest.raises(DeviceInUse) as refused:
        tree.authorise(decided("1-2", STICK), "guest")
    assert refused.value.fields["driver"] == "usb-storage"
    assert tree.device("1-2").driver_bound
    assert sysfs.text("1-2", "authorized") == "1"
    assert sysfs.text("1-2", "1-2:1.0/authorized") == "1"


@pytest.mark.parametrize(
    ("port", "descriptors", "devnum", "error"),
    [
        ("1-2", KEYBOARD, 5, DeviceChanged),
        ("1-2", STICK + b"\0", 5, DeviceChanged),
        ("1-2", STICK, 6, DeviceChanged),
        ("1-3", STICK, 5, NoSuchDevice),
    ],
    ids=["other descriptors", "a byte more", "plugged in again", "not there"],
)
def test_another_device_than_was_decided_on_is_refused(
    sysfs: FakeSysfs, tree: UsbTree, port: str, descriptors: bytes, devnum: int, error: type[Exception]
) -> None:
    sysfs.plug("1-2", STICK)
    with pytest.raises(error):
        tree.authorise(decided(port, descriptors, devnum), "guest")
    assert sysfs.text("1-2", "authorized") == "0"


def test_a_device_swapped_after_the_comparison_is_not_touched(sysfs: FakeSysfs, tree: UsbTree) -> None:
    """R16: the name leads to another device meanwhile; what is written goes to the one that was compared."""
    first = sysfs.plug("1-2", STICK)
    wanted = decided("1-2", STICK)
    with tree.decided(wanted) as device:
        sysfs.unplug("1-2")
        first.rename(first.with_name("gone"))
        second = sysfs.plug("1-2", KEYBOARD, devnum=6)
        tree.configure(device, "1-2")
    assert (second / "authorized").read_text() == "0\n"
    assert (first.with_name("gone") / "authorized").read_text() == "1"


def test_a_failure_half_way_leaves_it_blocked(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", STICK)
    sysfs.interface("1-2", 0, STORAGE)
    broken = sysfs.interface("1-2", 1, STORAGE) / "authorized"
    broken.unlink()
    broken.mkdir()
    with pytest.raises(DeviceChangeFailed):
        tree.authorise(decided("1-2", STICK), "guest")
    assert sysfs.text("1-2", "1-2:1.0/authorized") == "0"


def test_revoking_blocks_interfaces_and_device(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-2", STICK)
    sysfs.interface("1-2", 0, STORAGE)
    tree.authorise(decided("1-2", STICK), "guest")
    tree.revoke("1-2")
    assert sysfs.text("1-2", "authorized") == "0"
    assert sysfs.text("1-2", "1-2:1.0/authorized") == "0"
    tree.revoke("1-2")
    with pytest.raises(NoSuchDevice):
        tree.revoke("1-9")


def keyboard(sysfs: FakeSysfs, port: str, driver: str = "usbhid") -> None:
    sysfs.plug(port, KEYBOARD, devnum=int(port[-1]))
    sysfs.interface(port, 0, BOOT_KEYBOARD, driver=driver)
    (sysfs.device(port) / "authorized").write_text("1\n")


def builtin(
    sysfs: FakeSysfs,
    bus: str = "0011",
    keys: str = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe",
) -> None:
    for name, value in (("id/bustype", bus), ("capabilities/key", keys)):
        path = sysfs.root / "class/input/input3" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


def test_the_last_keyboard_stays(sysfs: FakeSysfs, tree: UsbTree) -> None:
    keyboard(sysfs, "1-1")
    with pytest.raises(LastKeyboard):
        tree.revoke("1-1")
    assert sysfs.text("1-1", "authorized") == "1"


def test_a_hub_with_the_last_keyboard_behind_it_stays(sysfs: FakeSysfs, tree: UsbTree) -> None:
    sysfs.plug("1-1", HUB)
    keyboard(sysfs, "1-1.2")
    with pytest.raises(LastKeyboard):
        tree.revoke("1-1")


def test_a_keyboard_held_for_a_guest_does_not_count(sysfs: FakeSysfs, tree: UsbTree) -> None:
    keyboard(sysfs, "1-1")
    keyboard(sysfs, "1-2", driver="usbfs")
    assert tree.keyboards() == {"1-1"}
    with pytest.raises(LastKeyboard):
        tree.revoke("1-1")
    tree.revoke("1-2")


def test_with_another_keyboard_one_may_go(sysfs: FakeSysfs, tree: UsbTree) -> None:
    keyboard(sysfs, "1-1")
    keyboard(sysfs, "1-2")
    tree.revoke("1-1")
    assert sysfs.text("1-1", "authorized") == "0"


@pytest.mark.parametrize(
    ("bus", "keys", "counts"),
    [
        ("0011", "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe", True),
        ("0018", "fffffffffffffffe", True),
        ("0003", "fffffffffffffffe", False),
        ("0005", "fffffffffffffffe", False),
        ("0011", "10000 0 0 0", False),
        ("0011", "", False),
        ("zz", "fffffffffffffffe", False),
    ],
    ids=["i8042", "i2c", "usb", "bluetooth", "a power button", "no keys", "nonsense"],
)
def test_which_builtin_keyboards_count(
    sysfs: FakeSysfs, tree: UsbTree, bus: str, keys: str, counts: bool
) -> None:
    keyboard(sysfs, "1-1")
    builtin(sysfs, bus, keys)
    assert tree.needed_to_type("1-1") is not counts

"""``services boot on``: on which computers it is refused, and that what it installs fits together."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinhull_installer import boot, unitfile
from twinhull_installer.journal import is_ours

CONFIG = Path(__file__).parents[2] / "installer/config/boot"
PCI_DISK, USB_DISK = "devices/pci0000:00/0000:00:04.0/nvme0", "devices/pci0000:00/0000:00:14.0/usb2/2-1/host0"


class Computer:
    """Just what is looked at."""

    def __init__(self, root: Path) -> None:
        self.sysfs, self.mounts, self.systemd = root / "sys", root / "mountinfo", root / "systemd"
        self.mounts.write_text("21 1 259:2 / / rw - ext4 /dev/root rw\n22 21 0:5 / /proc rw - proc proc rw\n")
        self.systemd.mkdir()
        self.disk(PCI_DISK)
        self.keyboard("0011")

    def disk(self, where: str) -> None:
        (self.sysfs / where).mkdir(parents=True)
        link = self.sysfs / "dev/block/259:2"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(self.sysfs / where)

    def keyboard(self, bus: str) -> None:
        path = self.sysfs / "class/input/input0/id/bustype"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{bus}\n")

    def why_not(self) -> str:
        return boot.why_not(self.sysfs, self.mounts, self.systemd)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def test_a_laptop_may(computer: Computer) -> None:
    assert computer.why_not() == ""


def test_one_that_runs_from_a_usb_disk_may_not(computer: Computer) -> None:
    computer.disk(USB_DISK)
    assert computer.why_not() == "a disk it uses is on USB"


def test_nor_one_whose_encrypted_disk_is_on_usb(computer: Computer) -> None:
    computer.disk("devices/virtual/block/dm-0")
    (computer.sysfs / USB_DISK).mkdir(parents=True)
    slaves = computer.sysfs / "devices/virtual/block/dm-0/slaves"
    slaves.mkdir()
    (slaves / "sda2").symlink_to(computer.sysfs / USB_DISK)
    assert computer.why_not() == "a disk it uses is on USB"


@pytest.mark.parametrize("bus", ["0003", "0005"], ids=["usb", "bluetooth"])
def test_one_without_a_builtin_keyboard_may_not(computer: Computer, bus: str) -> None:
    computer.keyboard(bus)
    assert computer.why_not() == "it has no built-in keyboard"


def test_one_without_systemd_may_not(computer: Computer) -> None:
    computer.systemd.rmdir()
    assert computer.why_not() == "systemd does not run here"


def test_every_file_is_there_and_down_may_remove_it() -> None:
    assert {path.name for path in CONFIG.iterdir()} == set(boot.FILES.values())
    assert all(is_ours(path) for path in boot.FILES)


def test_the_early_unit_comes_before_udev_looks_and_before_anything_is_started() -> None:
    text = (CONFIG / "twinhull-usb-early.service").read_text("utf-8")
    lines = text.splitlines()
    assert "DefaultDependencies=no" in lines, "or it would wait for what it has to come before"
    assert "Before=systemd-udev-trigger.service sysinit.target shutdown.target" in lines
    assert "ExecStart=/opt/twinhull/venv/bin/twinhull-devd --early" in lines
    devd = (CONFIG.parents[1] / "systemd/twinhull-devd.service").read_text("utf-8")
    directories = [line for line in lines if line.startswith("RuntimeDirectory")]
    assert directories == [line for line in devd.splitlines() if line.startswith("RuntimeDirectory")]
    assert boot.EARLY_UNIT.stem not in unitfile.names(CONFIG.parents[1] / "systemd")

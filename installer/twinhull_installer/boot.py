"""``services boot on|off``: Twinhull from the computer's boot on, with USB blocked before anything else runs.

Both go together or not at all. With USB blocked and Twinhull not started nobody would ever be let in; so the
quickstart, a demonstration, switches on neither, and what it blocked is free again at the next boot.
"""

from __future__ import annotations

import os
from pathlib import Path

from twinhull_installer import paths
from twinhull_installer.errors import CannotStartAtBoot, NotRoot
from twinhull_installer.journal import Journal, Made, remove_path
from twinhull_installer.run import LONG, Runner

EARLY_UNIT = paths.SYSTEMD_UNITS / "twinhull-usb-early.service"
FILES = {
    EARLY_UNIT: "twinhull-usb-early.service",
    paths.MODPROBE_USB: "modprobe.conf",
    paths.MODULES_USB: "modules-load.conf",
    paths.UDEV_USB: "udev.rules",
}
"""What is installed where, from installer/config/boot."""
UNITS = ("twinhull-usb-early.service", "twinhull.target")
_BUILTIN_BUSES = frozenset({"0011", "0018", "0019", "001c"})
"""i8042, I2C, host and SPI (linux/input.h), as sysfs spells them."""


def why_not(
    sysfs: Path = Path("/sys"),
    mounts: Path = Path("/proc/self/mountinfo"),
    systemd: Path = Path("/run/systemd/system"),
) -> str:
    """Why this computer should not have USB blocked from its boot on; empty if it may.

    A passphrase asked for in the initramfs, where nobody lets a keyboard in, has to be typed on one that is
    built in; and a computer that runs from a USB disk would lose it.
    """
    if not systemd.is_dir():
        return "systemd does not run here"
    names = {line.split()[2] for line in mounts.read_text("utf-8").splitlines()}
    for name in sorted(names):
        device = sysfs / "dev/block" / name
        if device.exists() and _on_usb(device.resolve()):
            return "a disk it uses is on USB"
    buses = {path.read_text("ascii").strip() for path in sysfs.glob("class/input/input*/id/bustype")}
    return "" if buses & _BUILTIN_BUSES else "it has no built-in keyboard"


def _on_usb(device: Path) -> bool:
    """Whether a block device, or one that it is made of, is behind a USB controller."""
    return "/usb" in str(device) or any(_on_usb(part.resolve()) for part in device.glob("slaves/*"))


def switch_on(runner: Runner, journal: Journal, config: Path = paths.PROGRAM / "config/boot") -> None:
    """Install the files, and have systemd start Twinhull from now on.

    Raises:
        CannotStartAtBoot: see :func:`why_not`; nothing was changed.
    """
    reason = why_not()
    if reason:
        raise CannotStartAtBoot(reason=reason)
    for path, name in FILES.items():
        journal.file(path, (config / name).read_text("utf-8"))
    runner.run(["systemctl", "daemon-reload"])
    runner.run(["systemctl", "enable", *UNITS])
    _renew_initramfs(runner)


def switch_off(runner: Runner, journal: Journal) -> None:
    """Undo :func:`switch_on`; nothing to do is fine."""
    if not any(path.exists() for path in FILES):
        return
    runner.run(["systemctl", "disable", *UNITS], check=False)
    for path in FILES:
        remove_path(path)
        journal.remove(Made("file", str(path)))
    runner.run(["systemctl", "daemon-reload"], check=False)
    _renew_initramfs(runner)


def main(*, on: bool) -> int:
    """The command, for root."""
    if os.geteuid() != 0:
        raise NotRoot(command=f"services boot {'on' if on else 'off'}")
    runner, journal = Runner(paths.LOG), Journal()
    switch = switch_on if on else switch_off
    switch(runner, journal)
    return 0


def _renew_initramfs(runner: Runner) -> None:
    """The initramfs holds a copy of modprobe.d, and it is there that the USB core is loaded."""
    if Path("/usr/sbin/update-initramfs").exists():
        runner.run(["/usr/sbin/update-initramfs", "-u"], timeout=LONG)

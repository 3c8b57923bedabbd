"""Keeping udev from loading drivers for what is not the host's, for as long as this boot lasts.

A driver that is loaded looks at every interface that is authorised and free (drivers/base/driver.c,
``driver_register``), and so at one that a guest is about to be given: udev's ``kmod load`` for a stick would
have the host read it first. Drivers for keyboards, pointers (HID, 03) and hubs (09) are the only ones the
host wants on USB. ``services boot on`` installs the same for good (installer/config/boot/udev.rules).
"""

from __future__ import annotations

import logging
from pathlib import Path

from twinhull_policy.errors import TwinhullError

from ..run import run

logger = logging.getLogger(__name__)

RULES = Path("/run/udev/rules.d/79-twinhull-usb.rules")
"""Before 80-drivers.rules, which loads what MODALIAS asks for; gone with the next boot (udev(7))."""
_INTERFACE = 'ACTION=="add", SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_interface", ATTR{bInterfaceClass}'
# Of HID only boot interfaces (subclass 01), which no guest is given: a security key is none.
RULE = f"""# Written by twinhull-devd.
{_INTERFACE}!="03|09", ENV{{MODALIAS}}=""
{_INTERFACE}=="03", ATTR{{bInterfaceSubClass}}!="01", ENV{{MODALIAS}}=""
"""
_SECONDS = 10.0


def keep_drivers_out(rules: Path = RULES) -> None:
    """Have udev load no driver for USB but those of input and hubs; without udev nothing loads any."""
    if rules.parent.parent.is_dir() and not (rules.exists() and rules.read_text() == RULE):
        try:
            rules.parent.mkdir(mode=0o755, exist_ok=True)
            rules.write_text(RULE)
        except OSError as error:
            logger.warning("udev may load drivers for what is plugged in: %s", error.strerror)
            return
        _reload()


def let_drivers_in(rules: Path = RULES) -> None:
    """Undo :func:`keep_drivers_out`."""
    if rules.exists():
        rules.unlink()
        _reload()


def _reload() -> None:
    """udev looks for new rules by itself only every three seconds."""
    try:
        run(["/usr/bin/udevadm", "control", "--reload"], timeout=_SECONDS)
    except TwinhullError as error:
        logger.warning("udev was not told of its new rules: %s", error.message)

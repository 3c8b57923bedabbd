"""What twinhull-devd refuses or fails at. Codes TH-DEV-101 to TH-DEV-199 are its own."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class BadDeviceArgument(TwinhullError):
    """The request to the device helper is malformed: {detail}."""

    code = "TH-DEV-101"
    blame = Blame.MALFORMED
    next_step = "The two processes may be of different versions; restart Twinhull."


class NoSuchDevice(TwinhullError):
    """Nothing is plugged in at port {port}."""

    code = "TH-DEV-102"
    blame = Blame.FAILED
    next_step = "Plug it in again; 'twinhull device list' shows what is there."


class DeviceChanged(TwinhullError):
    """The device at port {port} is not the one that was decided on: {detail}."""

    code = "TH-DEV-103"
    blame = Blame.DENIED
    next_step = "Look at 'twinhull device list' again; another device, or a changed one, has taken its place."


class DeviceInUse(TwinhullError):
    """The device at port {port} is in use by this computer itself, through its driver {driver}."""

    code = "TH-DEV-104"
    blame = Blame.FAILED
    next_step = "Stop using it, unplug it and plug it in again; it is then decided on anew."


class DeviceChangeFailed(TwinhullError):
    """The kernel refused a change to the device at port {port}: {reason}."""

    code = "TH-DEV-105"
    blame = Blame.FAILED
    next_step = "Unplug it and plug it in again; if that does not help, it may be broken."


class LastKeyboard(TwinhullError):
    """The keyboard at port {port} is the only trusted one, so it stays."""

    code = "TH-DEV-106"
    blame = Blame.DENIED
    next_step = "Plug in another keyboard and have it admitted first."


class NotAKeyboard(TwinhullError):
    """The device at port {port} cannot be admitted as a keyboard: {detail}."""

    code = "TH-DEV-107"
    blame = Blame.FAILED
    next_step = "Unplug it and plug it in again; a keyboard that has no boot protocol cannot be admitted."


class AdmissionRunning(TwinhullError):
    """The keyboard at port {port} is just being admitted."""

    code = "TH-DEV-108"
    blame = Blame.FAILED
    next_step = "Type the code on it, or unplug it."


class PciUnreadable(TwinhullError):
    """What the kernel says about PCI devices cannot be read: {reason}."""

    code = "TH-DEV-109"
    blame = Blame.FAILED
    next_step = "Run 'twinhull doctor' to see what needs attention."


class NotStorage(TwinhullError):
    """The device at port {port} is not storage that can be read for a partition."""

    code = "TH-DEV-110"
    next_step = "It can only be given as a whole, without --read-only."

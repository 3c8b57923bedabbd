"""What can go wrong with a device on its way. Codes TH-DEV-201 to TH-DEV-299 are the core's."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class NoDevice(TwinhullError):
    """There is no device in port {port}."""

    code = "TH-DEV-201"
    blame = Blame.MALFORMED
    next_step = "Run 'twinhull device list' to see the devices there are."


class NotAllowed(TwinhullError):
    """By the rule {rule}, the device in port {port} may not go to {target}: {reason}"""

    code = "TH-DEV-202"
    blame = Blame.DENIED
    next_step = (
        "'twinhull device explain' says what the rule rests on; your own are in 'twinhull device rules'."
    )


class ScreenLocked(TwinhullError):
    """The screen is locked, so no device is let in by hand."""

    code = "TH-DEV-203"
    blame = Blame.DENIED
    next_step = "Unlock the screen and do it again."


class NotAsked(TwinhullError):
    """By the rule {rule}, nobody asks about the device in port {port}: {reason}"""

    code = "TH-DEV-204"
    next_step = "Use 'twinhull device attach' or 'detach', or 'twinhull device forget' for an earlier answer."


class NotAttached(TwinhullError):
    """The device in port {port} is in no partition and goes to none."""

    code = "TH-DEV-205"
    next_step = "Run 'twinhull device list' to see where devices are."


class NotGiven(TwinhullError):
    """The device in port {port} did not get to {partition}: {reason}"""

    code = "TH-DEV-206"
    next_step = "Plug it in again; if that does not help, 'twinhull log' has the details."


class CannotRemember(TwinhullError):
    """No answer is remembered for the device in port {port}: another one with its serial number is here."""

    code = "TH-DEV-207"
    blame = Blame.DENIED
    next_step = "Answer for this time only, or unplug the other one."


class ReadOnlyOnlyForStorage(TwinhullError):
    """The device in port {port} cannot be given read-only: it is no storage that is read in blocks."""

    code = "TH-DEV-208"
    next_step = "Attach it without --read-only; the partition then has the whole device."


class SwitchIncomplete(TwinhullError):
    """The {kind} is switched off, but {what} could not be taken back."""

    code = "TH-DEV-209"
    next_step = "Stop the partition with 'twinhull partition stop'; nothing gives it back while it is off."


class PciOnlyAtStart(TwinhullError):
    """PCI devices are given to a partition when it starts, by rules, and not by hand."""

    code = "TH-DEV-210"
    next_step = "Add a rule ('twinhull device rules') and start the partition again."


class DevicesNotFollowed(TwinhullError):
    """Devices cannot be followed just now: {reason}"""

    code = "TH-DEV-211"
    blame = Blame.UNREACHABLE
    next_step = "Run 'systemctl status twinhull-devd'. Until it answers, nothing new is let in."

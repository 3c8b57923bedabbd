"""What can go wrong in the desktop app itself."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class ScreenshotFailed(TwinhullError):
    """The picture could not be written to {path}."""

    code = "TH-GUI-001"
    next_step = "Check that the folder exists, that you may write there, and that the name ends in .png."


class NoFrame(TwinhullError):
    """No picture arrived from {partitions} within {seconds} seconds; the file shows what there was."""

    code = "TH-GUI-002"
    next_step = "Check with 'twinhull status' that they are running, or give --wait more seconds."


class ViewerMisbehaved(TwinhullError):
    """The viewer of the {partition} computer was stopped: {reason}."""

    code = "TH-GUI-003"
    blame = Blame.DENIED
    next_step = "Nothing to do: a fresh one starts by itself. If it happens again, restart that computer."


class AssetsMissing(TwinhullError):
    """Twinhull's icons and style sheet are missing."""

    code = "TH-GUI-004"
    next_step = "Install Twinhull again."


class DeviceGone(TwinhullError):
    """The device you chose for is not in port {port} any more, so nothing was done."""

    code = "TH-GUI-005"
    blame = Blame.DENIED
    next_step = "Look at what is there now, and choose again."


class PortNameTaken(TwinhullError):
    """Another port is called {name} already."""

    code = "TH-GUI-006"
    blame = Blame.MALFORMED
    next_step = "Give this one another name."


class NotBothRunning(TwinhullError):
    """Copying takes both computers, and {partition} is not running."""

    code = "TH-GUI-007"
    next_step = "Start it on the Home page, and copy again."


class NothingCopied(TwinhullError):
    """The {partition} computer has no copied text or picture to give, and offers no file."""

    code = "TH-GUI-008"
    next_step = (
        "Copy a text or a picture there (Ctrl+C), or choose Send To in a file's menu, and try again "
        "within a minute."
    )


class NoAnswer(TwinhullError):
    """The {partition} computer did not answer in time what is copied in it."""

    code = "TH-GUI-009"
    next_step = "Try again. If it happens again, restart that computer."


class NoAgent(TwinhullError):
    """Nothing in the {partition} computer can copy to or from this laptop yet."""

    code = "TH-GUI-010"
    next_step = (
        "Wait until its desktop is there. It needs the package spice-vdagent, which golden images have."
    )


class NotText(TwinhullError):
    """What was copied is not a text that can be shown, so it stays where it is."""

    code = "TH-GUI-011"
    blame = Blame.MALFORMED
    next_step = "Copy text, and nothing else."


class TooMuchCopied(TwinhullError):
    """What was copied is more than {limit} KiB, which is the most that crosses at once."""

    code = "TH-GUI-012"
    blame = Blame.DENIED
    next_step = "Copy less of it at a time."


class CopyDenied(TwinhullError):
    """The company's policy does not let this be copied: {reason}"""

    code = "TH-GUI-013"
    blame = Blame.DENIED
    next_step = "The Home page says what may be copied, under what your employer controls."


class NotAPicture(TwinhullError):
    """What was copied is not a picture that can be shown, so it stays where it is."""

    code = "TH-GUI-014"
    blame = Blame.MALFORMED
    next_step = "Copy text, or a picture that its program copies as PNG."


class LinkMalformed(TwinhullError):
    """The link that was opened cannot connect this laptop to anything: {reason}."""

    code = "TH-GUI-015"
    blame = Blame.MALFORMED
    next_step = "Type the address that your company gave you on the Home page."


class LinkTooLate(TwinhullError):
    """The link that was opened changes nothing, because this laptop belongs to a company already."""

    code = "TH-GUI-016"
    blame = Blame.DENIED
    next_step = "Leave that company first, if you mean to connect this laptop to another one."


class FileTooLarge(TwinhullError):
    """The file is larger than {limit} MiB, which is the most that crosses."""

    code = "TH-GUI-017"
    blame = Blame.DENIED
    next_step = "Make it smaller, or send it in parts."


class FileBrokenOff(TwinhullError):
    """The file did not come out of the {partition} computer to its end, so nothing was sent."""

    code = "TH-GUI-018"
    next_step = "Choose it there once more, by Send To in its menu, and copy again."


class FileNotKept(TwinhullError):
    """The {partition} computer did not keep the file."""

    code = "TH-GUI-019"
    next_step = "Check that its disk has room, and that its golden image can take files; then send it again."

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

"""What can go wrong with a partition before its machine runs."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class NoImageOffered(TwinhullError):
    """The company's server names no golden image for the {partition} partition."""

    code = "TH-PAR-001"
    next_step = "Enrol first ('twinhull enroll'), or ask your administrator to assign an image."


class ImageNotHere(TwinhullError):
    """The golden image of the {partition} partition is not here yet{detail}."""

    code = "TH-PAR-002"
    next_step = "Wait for the download; 'twinhull status' shows how far it is."


class AlreadyCreated(TwinhullError):
    """The {partition} partition exists already."""

    code = "TH-PAR-003"
    next_step = "Start it with 'twinhull partition start'."


class NotCreated(TwinhullError):
    """The {partition} partition does not exist yet."""

    code = "TH-PAR-004"
    next_step = "Create it with 'twinhull partition create'."


class PassphraseNeeded(TwinhullError):
    """The {partition} partition is locked and needs its passphrase."""

    code = "TH-PAR-005"
    next_step = "Start it again and type the passphrase."


class PassphraseTooShort(TwinhullError):
    """The passphrase is too short; it needs at least {least} characters."""

    code = "TH-PAR-006"
    blame = Blame.MALFORMED
    next_step = "Choose a longer one; several words are best."


class NotRunning(TwinhullError):
    """The {partition} partition is not running."""

    code = "TH-PAR-007"
    next_step = "Start it with 'twinhull partition start'."


class NotStopped(TwinhullError):
    """The {partition} partition is running and must be stopped for this."""

    code = "TH-PAR-008"
    next_step = "Stop it with 'twinhull partition stop'."


class StillRunning(TwinhullError):
    """The {partition} partition did not shut down within {seconds} seconds and is still running."""

    code = "TH-PAR-009"
    next_step = "Look at its screen, or cut its power with 'twinhull partition stop --force'."


class UpToDate(TwinhullError):
    """The {partition} partition stands on the golden image that the company's server names."""

    code = "TH-PAR-031"
    next_step = "Nothing to do."


class DidNotComeUp(TwinhullError):
    """The update of the {partition} partition to {image} did not come up; {before} is in its place again."""

    code = "TH-PAR-032"
    next_step = "Start it as before; nothing of it is lost. Tell whoever makes the images."


class NeededForUpdate(TwinhullError):
    """The {partition} partition is being updated, and this snapshot is the way back."""

    code = "TH-PAR-033"
    next_step = "Wait until the new image came up; 'twinhull status' says so."


class StrangeDisk(TwinhullError):
    """The disk of the {partition} partition stands on an image that it was never put on."""

    code = "TH-PAR-034"
    next_step = "Somebody changed the disk's header; put a copy of the volume back, or wipe the partition."


class LockedByCommand(TwinhullError):
    """The corporate partition is locked. {reason}"""

    code = "TH-PAR-021"
    blame = Blame.DENIED
    next_step = "Ask your company's administrator; nothing is lost."


class LeaseEnded(TwinhullError):
    """The corporate partition is locked until this laptop hears from the company's server. {reason}"""

    code = "TH-PAR-020"
    blame = Blame.DENIED
    next_step = (
        "Connect to the internet and wait a minute; nothing is lost. 'twinhull status' shows the lease."
    )

"""What can go wrong with the encrypted container below a partition. Nothing is lost by any of them."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class ContainerBusy(TwinhullError):
    """The volume of {partition} is in use."""

    code = "TH-VOL-035"
    next_step = "Stop the partition with 'twinhull partition stop', and try again."


class ContainerUnfit(TwinhullError):
    """What the volume of {partition} is to be on cannot be used: {detail}."""

    code = "TH-VOL-036"
    next_step = 'See /etc/twinhull/diskd.json (docs/disks.md, "Where a volume is").'


class ContainerMissing(TwinhullError):
    """There is no container for the volume of {partition}."""

    code = "TH-VOL-037"
    next_step = (
        "See that what /etc/twinhull/diskd.json names is there; a wipe and a new partition begin anew."
    )


class ContainerHeader(TwinhullError):
    """The header of the volume of {partition} is not one of ours: {detail}."""

    code = "TH-VOL-038"
    next_step = "'twinhull disk restore-header' puts the verified backup back; the data was not touched."


class ContainerKey(TwinhullError):
    """This key does not open the container of {partition}."""

    code = "TH-VOL-039"
    next_step = "Was a copy of an older volume put back? Its keys.json belongs to it."


class ContainerFailed(TwinhullError):
    """The volume of {partition} has failed at {step}: {reason}"""

    code = "TH-VOL-040"
    next_step = "Run 'twinhull doctor' to see what needs attention."


class ContainerFull(TwinhullError):
    """There is not enough room on the laptop's disk for the container of {partition}."""

    code = "TH-VOL-041"
    next_step = "Free some room, or name a smaller size in /etc/twinhull/diskd.json."


class BadDiskArgument(TwinhullError):
    """twinhull-diskd was asked for something out of bounds: {detail}."""

    code = "TH-VOL-042"
    blame = Blame.MALFORMED
    next_step = "The two processes may be of different versions; restart Twinhull."

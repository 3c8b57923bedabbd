"""What can go wrong with a volume and its keys."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class WrongPassphrase(TwinhullError):
    """This passphrase does not open the volume of {partition}."""

    code = "TH-VOL-001"
    blame = Blame.FAILED
    next_step = "Try again; capital letters and the keyboard layout count."


class TooManyTries(TwinhullError):
    """After {count} wrong passphrases the volume of {partition} takes the next one in {seconds} seconds."""

    code = "TH-VOL-002"
    blame = Blame.FAILED
    next_step = "Wait, then try again."


class BadPassphrase(TwinhullError):
    """This passphrase cannot be used: it must have 8 to 1024 bytes."""

    code = "TH-VOL-003"
    blame = Blame.MALFORMED
    next_step = "Choose another passphrase."


class BadKeyFile(TwinhullError):
    """The key file of {partition} is damaged: {detail}."""

    code = "TH-VOL-004"
    blame = Blame.FAILED
    next_step = (
        "Nothing was changed. Restore keys.json from a backup; without it the volume cannot be opened."
    )


class VolumeExists(TwinhullError):
    """The volume of {partition} exists already."""

    code = "TH-VOL-005"
    blame = Blame.FAILED
    next_step = "Reset the partition first if its contents may go."


class NoVolume(TwinhullError):
    """The partition {partition} has no volume yet."""

    code = "TH-VOL-006"
    blame = Blame.FAILED
    next_step = "Start the partition once to make it."


class VolumeLocked(TwinhullError):
    """The volume of {partition} is locked."""

    code = "TH-VOL-007"
    blame = Blame.FAILED
    next_step = "Unlock it with its passphrase."


class DiskFull(TwinhullError):
    """There is not enough room on the laptop's disk for {what}."""

    code = "TH-VOL-008"
    blame = Blame.FAILED
    next_step = "Free some room and try again; nothing was lost."


class LastSlot(TwinhullError):
    """The last passphrase of {partition} cannot be removed."""

    code = "TH-VOL-009"
    blame = Blame.FAILED
    next_step = "Add another passphrase first."


class NoSlot(TwinhullError):
    """The volume of {partition} has no key slot {slot}."""

    code = "TH-VOL-010"
    blame = Blame.MALFORMED
    next_step = "List the slots and choose one."


class VolumeFailed(TwinhullError):
    """The volume of {partition} could not be written: {reason}"""

    code = "TH-VOL-011"
    blame = Blame.FAILED
    next_step = "Run 'twinhull doctor' to see what needs attention."


class HeaderDamaged(TwinhullError):
    """The header of the disk of {partition} was erased or replaced, so no passphrase can open it now."""

    code = "TH-VOL-019"
    next_step = "'twinhull disk restore-header' puts the verified backup back; the data was not touched."


class HeaderLost(TwinhullError):
    """The header of the disk of {partition} cannot be put back: {detail}."""

    code = "TH-VOL-020"
    next_step = "Put a backup of the whole volume directory back; nothing was changed."


class WrongRecoveryCode(TwinhullError):
    """This recovery code does not open the volume of {partition}."""

    code = "TH-VOL-014"
    next_step = "Check that it is this partition's newest code; making or using one voids the code before."


class OwnSlot(TwinhullError):
    """This is the key slot of {partition} that you have just opened it with."""

    code = "TH-VOL-015"
    next_step = "Give another passphrase or the recovery code, so that a way in is sure to be left."


class SlotsTaken(TwinhullError):
    """All {count} key slots of {partition} are taken."""

    code = "TH-VOL-016"
    next_step = "Remove one first; 'twinhull disk slots' lists them."


class EscrowNever(TwinhullError):
    """The personal partition's keys are never given to anybody."""

    code = "TH-VOL-017"
    blame = Blame.DENIED
    next_step = "There is nothing to do; only the corporate partition can have an escrow."


class NoEscrow(TwinhullError):
    """The volume of {partition} has no escrow."""

    code = "TH-VOL-018"
    next_step = "One is made when it is next unlocked, if the policy in force names an escrow key."


class NoSnapshot(TwinhullError):
    """The {partition} partition has no snapshot {snapshot}."""

    code = "TH-VOL-021"
    blame = Blame.MALFORMED
    next_step = "'twinhull partition snapshots' lists those there are."


class SnapshotsFull(TwinhullError):
    """The {partition} partition has {count} snapshots already, which is as many as there can be."""

    code = "TH-VOL-022"
    next_step = "Remove one with 'twinhull partition snapshots --remove', and try again."


class SnapshotDamaged(TwinhullError):
    """The snapshot {snapshot} of {partition} cannot be opened, or stands on another image or disk size."""

    code = "TH-VOL-023"
    next_step = "Nothing was changed. Take another snapshot, or remove this one."


class SnapshotUnreadable(TwinhullError):
    """The disk of {partition} cannot be read while its machine has it."""

    code = "TH-VOL-024"
    next_step = "Stop the partition with 'twinhull partition stop', and try again."


class BadPin(TwinhullError):
    """This PIN cannot be used: it must have 4 to 64 bytes."""

    code = "TH-VOL-033"
    blame = Blame.MALFORMED
    next_step = "Choose another PIN."


class NoChipSlot(TwinhullError):
    """The volume of {partition} is not opened by the security chip."""

    code = "TH-VOL-034"
    next_step = "Use a passphrase; 'twinhull disk add' with 'tpm' makes a slot for the chip."


class ServerShareNeeded(TwinhullError):
    """The company's part of the {partition} volume's key is not on this laptop."""

    code = "TH-VOL-044"
    next_step = "Connect to the internet, it comes with the lease; nothing on the disk is lost."


class NotGrown(TwinhullError):
    """The volume of {partition} is a file that takes what it needs, so it is not to be grown."""

    code = "TH-VOL-043"
    next_step = (
        "Only volumes on dm-crypt have a size of their own; free some room on the laptop's disk instead."
    )

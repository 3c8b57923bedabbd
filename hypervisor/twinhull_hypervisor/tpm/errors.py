"""What can go wrong with the security chip (TPM). Each says which it is; nothing is lost by any of them."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError

OTHER_WAY = "Nothing is lost: a passphrase or the recovery code opens the volume ('twinhull disk recover'). "


class WrongPin(TwinhullError):
    """The security chip does not accept this PIN{counted}."""

    code = "TH-VOL-025"
    next_step = "Try again; the chip counts wrong ones. A passphrase or the recovery code opens it too."


class ChipMeasured(TwinhullError):
    """This laptop was started in another way than when its security chip got the key: {what}."""

    code = "TH-VOL-026"
    next_step = OTHER_WAY + "Was it an update of yours? Then 'twinhull disk add' with 'tpm' makes a new slot."


class ChipCleared(TwinhullError):
    """The security chip was cleared, or is another one than the key was given to."""

    code = "TH-VOL-027"
    next_step = OTHER_WAY + "Then 'twinhull disk add' with 'tpm' gives the key to this one."


class ChipGone(TwinhullError):
    """There is no security chip (TPM 2.0) that answers: {detail}."""

    code = "TH-VOL-028"
    next_step = OTHER_WAY + "See whether the firmware's settings have the TPM switched on."


class ChipLocked(TwinhullError):
    """The security chip takes no PIN for {seconds} seconds, as it has counted {count} wrong ones."""

    code = "TH-VOL-029"
    next_step = OTHER_WAY + "Or leave the laptop on for as long, and try again."


class ChipRefused(TwinhullError):
    """The security chip has failed at {step} with the response code {response}."""

    code = "TH-VOL-030"
    next_step = OTHER_WAY + "Restart the laptop; if it happens again, look for firmware updates."


class BadSealed(TwinhullError):
    """What the security chip once gave back to be kept is damaged: {detail}."""

    code = "TH-VOL-031"
    next_step = OTHER_WAY + "Then 'twinhull disk add' with 'tpm' makes a new slot."


class BadChipArgument(TwinhullError):
    """twinhull-tpmd was asked for something out of bounds: {detail}."""

    code = "TH-VOL-032"
    blame = Blame.MALFORMED
    next_step = "The two processes may be of different versions; restart Twinhull."

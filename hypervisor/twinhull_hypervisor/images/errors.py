"""What can go wrong with a golden image."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class ImageChanged(TwinhullError):
    """The golden image {image} is not what was signed: its SHA-256 is {found}."""

    code = "TH-IMG-001"
    blame = Blame.FAILED
    next_step = (
        "It is not used. Remove it from /var/lib/twinhull/images and restart twinhulld to fetch it again."
    )


class ImageWrongLength(TwinhullError):
    """The golden image {image} is not what was signed: it has another length than {length} bytes."""

    code = "TH-IMG-002"
    blame = Blame.FAILED
    next_step = "It is not used; it will be fetched again."


class ImageUnsafe(TwinhullError):
    """The golden image {image} cannot be used: {detail}."""

    code = "TH-IMG-003"
    blame = Blame.MALFORMED
    next_step = "Tell the administrator to build it with installer/images and publish it again."


class ImageMissing(TwinhullError):
    """The golden image {image} is not on this laptop."""

    code = "TH-IMG-004"
    blame = Blame.FAILED
    next_step = "Connect to the network and wait until it has been fetched."


class NoRoomForImage(TwinhullError):
    """There is not enough room on the laptop's disk for the golden image {image}."""

    code = "TH-IMG-005"
    blame = Blame.FAILED
    next_step = "Free some room; it will be tried again."

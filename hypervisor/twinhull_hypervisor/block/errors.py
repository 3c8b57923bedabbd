"""What twinhull-blockd refuses or fails at. Codes TH-DEV-301 to TH-DEV-399 are its own."""

from __future__ import annotations

from twinhull_policy.errors import Blame, TwinhullError


class BadBlockArgument(TwinhullError):
    """The request to serve storage is malformed: {detail}."""

    code = "TH-DEV-301"
    blame = Blame.MALFORMED
    next_step = "The two processes may be of different versions; restart Twinhull."


class NotServed(TwinhullError):
    """The storage cannot be read: {reason}."""

    code = "TH-DEV-302"
    next_step = "Plug it in again; if that does not help, it may be broken or empty."


class TooManyServed(TwinhullError):
    """{number} storage devices are given read-only already, and no more are."""

    code = "TH-DEV-303"
    next_step = "Take one back with 'twinhull device detach'."

"""Every error a person can meet: one class each, sorted by who has to act.

The first line of a class's docstring is the sentence the person reads; ``{name}`` parts are filled from the
keyword arguments given when it is raised. ``code`` is stable for ever and unique, ``next_step`` says what to
do, ``blame`` fixes the exit status (design.md section 9). tests/unit/test_errors.py audits all of this.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

import msgspec


class Blame(Enum):
    """Who has to act, and with it the exit status of a command that fails this way."""

    FAILED = 1
    MALFORMED = 2
    UNREACHABLE = 3
    DENIED = 4

    @property
    def exit_status(self) -> int:
        """The exit status of a command that ends with such an error."""
        return self.value


class ErrorReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error as it crosses a process boundary (bus, helper socket, HTTP, ``--json``)."""

    code: str
    message: str
    next_step: str
    blame: int


class TwinhullError(Exception):
    """Something went wrong: {detail}."""

    code: ClassVar[str] = "TH-GEN-001"
    blame: ClassVar[Blame] = Blame.FAILED
    next_step: ClassVar[str] = "Run 'twinhull doctor' to see what needs attention."

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        template = (type(self).__doc__ or "").strip().splitlines()[0]
        self.message = printable(template.format(**fields))
        super().__init__(self.message)

    def report(self) -> ErrorReport:
        """The error in the form that crosses process boundaries."""
        return ErrorReport(self.code, self.message, self.next_step, self.blame.exit_status)


class RemoteError(TwinhullError):
    """{message}"""

    def __init__(self, report: ErrorReport) -> None:
        super().__init__(message=report.message)
        self.remote = report

    def report(self) -> ErrorReport:
        """The error exactly as the other process reported it."""
        return self.remote


def printable(untrusted_text: str, limit: int = 400) -> str:
    """Make text safe to show in a terminal or log: no control or bidi characters, at most ``limit`` long."""
    cleaned = "".join(c if c.isprintable() else "�" for c in untrusted_text)
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"

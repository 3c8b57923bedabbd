"""The answer file of a headless enrolment (docs/answers.md)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
from twinhull_policy.api.interface import SECRET_LIMIT
from twinhull_policy.errors import printable
from twinhull_policy.names import Partition

from twinhull_client.errors import AnswersMalformed, AnswersNotPrivate, FileNotReadable

LIMIT = 16 * 1024
"""Longest answer file, bytes."""
PASSPHRASE_LEAST = 8
"""Shortest passphrase the core takes, bytes. Asked here too: afterwards the laptop would be half set up."""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person would have typed. A partition is created only if its passphrase is given."""

    url: str
    token: str
    passphrase_corporate: str = ""
    passphrase_personal: str = ""

    def passphrases(self) -> dict[Partition, str]:
        """The passphrases given, by partition."""
        given = {
            Partition.CORPORATE: self.passphrase_corporate,
            Partition.PERSONAL: self.passphrase_personal,
        }
        return {partition: secret for partition, secret in given.items() if secret}


def read_answers(path: Path) -> Answers:
    """Read an answer file, once its mode shows that only its owner can.

    Raises FileNotReadable, AnswersNotPrivate (any permission for group or others) or AnswersMalformed, also
    for a passphrase that no partition could be created with.
    """
    shown = printable(str(path), 120)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise AnswersNotPrivate(path=shown, mode=f"{mode:04o}")
            untrusted_content = file.read(LIMIT + 1)
    except OSError as error:
        raise FileNotReadable(path=shown, reason=error.strerror or "unknown") from error
    if len(untrusted_content) > LIMIT:
        raise AnswersMalformed(reason=f"it is longer than {LIMIT} bytes")
    try:
        answers = msgspec.json.decode(untrusted_content, type=Answers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswersMalformed(reason=printable(str(error))) from error
    for partition, secret in answers.passphrases().items():
        if not PASSPHRASE_LEAST <= len(secret.encode()) <= SECRET_LIMIT:
            bounds = f"{PASSPHRASE_LEAST} to {SECRET_LIMIT} bytes"
            raise AnswersMalformed(reason=f"passphrase_{partition} has to be {bounds} long")
    return answers

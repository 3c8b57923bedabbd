"""The answer file of a headless enrolment (docs/answers.md)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
from twinhull_policy.api.interface import SECRET_LIMIT
from twinhull_policy.diagnose import diagnose
from twinhull_policy.errors import printable
from twinhull_policy.names import Partition
from twinhull_policy.trust.token import parse_token

from twinhull_client.addresses import check_url
from twinhull_client.errors import AnswersMalformed, AnswersNotPrivate, FileNotReadable

LIMIT = 16 * 1024
"""Longest answer file, bytes."""
PASSPHRASE_LEAST = 8
"""Shortest passphrase the core takes, bytes. Asked here too: afterwards the laptop would be half set up."""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person would have typed. A partition is created only if its passphrase is given.

    With ``start``, each of those is running in the end. ``laptop`` is for the package's setup, which has it
    checked by the services that read it.
    """

    url: str
    token: str
    passphrase_corporate: str = ""
    passphrase_personal: str = ""
    start: bool = False
    laptop: msgspec.Raw = msgspec.Raw()

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
    for a passphrase that no partition could be created with; BadUrl and TokenMalformed.
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
    # A key that is there twice would mean its last value, which whoever wrote the file may not have seen.
    found = diagnose(untrusted_content)
    if found is not None and found.kind == "duplicate":
        raise AnswersMalformed(reason=printable(f"{found.path}: {found.words()}"))
    try:
        answers = msgspec.json.decode(untrusted_content, type=Answers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnswersMalformed(reason=printable(str(error))) from error
    for partition, secret in answers.passphrases().items():
        if not PASSPHRASE_LEAST <= len(secret.encode()) <= SECRET_LIMIT:
            bounds = f"{PASSPHRASE_LEAST} to {SECRET_LIMIT} bytes"
            raise AnswersMalformed(reason=f"passphrase_{partition} has to be {bounds} long")
    if answers.passphrase_corporate and answers.passphrase_corporate == answers.passphrase_personal:
        raise AnswersMalformed(reason="both partitions have one passphrase, so the employer would know it")
    if answers.start and not answers.passphrases():
        raise AnswersMalformed(reason="'start' needs a passphrase of what is to be started")
    check_url(answers.url)
    parse_token(answers.token)
    return answers

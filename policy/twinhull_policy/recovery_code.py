"""Recovery codes: a random 128-bit secret, written as fourteen words that a person can copy by hand.

The words are BIP-39's English list, made for this: no two begin with the same four letters. Fourteen of its
2048 words hold 154 bits; the 26 that the secret leaves are a check, so that a slip of the pen is told from a
code that opens nothing (one in 67 million is not), before it counts as a wrong try.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata

from mnemonic import Mnemonic

from .errors import Blame, TwinhullError

SECRET_BYTES = 16
WORDS = 14
WORD_BITS = 11
CHECK_BITS = WORDS * WORD_BITS - SECRET_BYTES * 8
PREFIX = 4
"""Letters of a word that are enough (BIP-39, "Wordlist")."""


class BadRecoveryCode(TwinhullError):
    """This is not a recovery code as Twinhull writes it: {detail}."""

    code = "TH-VOL-012"
    blame = Blame.MALFORMED
    next_step = "Compare it with what you wrote down; it was not counted as a wrong try."


@functools.cache
def _words() -> list[str]:
    return Mnemonic("english").wordlist


@functools.cache
def _numbers() -> dict[str, int]:
    return {word[:PREFIX]: number for number, word in enumerate(_words())}


def to_words(secret: bytes) -> str:
    """The code of a secret of SECRET_BYTES bytes, its words separated by spaces."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a recovery secret has {SECRET_BYTES} bytes")
    number = int.from_bytes(secret) << CHECK_BITS | _check(secret)
    places = range((WORDS - 1) * WORD_BITS, -1, -WORD_BITS)
    return " ".join(_words()[number >> place & 0x7FF] for place in places)


def from_words(untrusted_code: bytes) -> bytes:
    """The secret of a code as a person typed it: upper or lower case, numbered, four letters a word at least.

    Raises:
        BadRecoveryCode: it says which word cannot be right, and never what the word was.
    """
    try:
        text = unicodedata.normalize("NFKD", untrusted_code.decode()).lower()
    except UnicodeDecodeError as error:
        raise BadRecoveryCode(detail="it is not text") from error
    typed = re.findall(r"[a-z]+", text)
    if len(typed) != WORDS:
        raise BadRecoveryCode(detail=f"it has {len(typed)} words instead of {WORDS}")
    number = 0
    for place, word in enumerate(typed, 1):
        found = _numbers().get(word[:PREFIX])
        if found is None or not _words()[found].startswith(word):
            raise BadRecoveryCode(detail=f"word {place} is not one of the words that codes are made of")
        number = number << WORD_BITS | found
    secret = (number >> CHECK_BITS).to_bytes(SECRET_BYTES)
    if number & ((1 << CHECK_BITS) - 1) != _check(secret):
        raise BadRecoveryCode(detail="its words do not belong together; one is wrong, or two are swapped")
    return secret


def _check(secret: bytes) -> int:
    digest = hashlib.sha256(b"twinhull recovery code 1\0" + secret).digest()
    return int.from_bytes(digest) >> 256 - CHECK_BITS

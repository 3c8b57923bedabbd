"""What a guest says it has copied, before a person sees it: checked, and everything unseen made visible."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

from twinhull_policy.exchange import TEXT_BYTES, ExchangeFacts

from twinhull_client.gui.errors import NotText, TooMuchCopied
from twinhull_client.gui.exchange_link import Link, as_link

SEEN = "\n\t"
"""Characters of layout that a person sees as such in a text."""
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that are drawn as nothing (Unicode, DerivedCoreProperties: Default_Ignorable_Code_Point,
and the empty Braille pattern); what is not printable at all is found without a list."""
VARIATION = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
MOST_MARKS = 4
"""Most marks stacked on one letter; more would paint over other lines (UAX 15: stream-safe text has 30)."""


@dataclass(frozen=True)
class Copied:
    """A text that may be shown and asked about.

    Attributes:
        content: the bytes as they cross.
        shown: what the person reads.
        unseen: how many characters it has that nobody would have seen.
        lines: how many lines.
    """

    content: bytes
    shown: str
    unseen: int
    lines: int
    link: Link | None = None
    """The web address that is all of it, if it is one."""

    def questions(self, way: Literal["to_corporate", "from_corporate"]) -> tuple[ExchangeFacts, ...]:
        """What to ask of the policy, in order: an address may cross as one, and else as a text."""
        size = len(self.content)
        text = ExchangeFacts(way=way, kind="clipboard", size_bytes=size, type="text/plain")
        if self.link is None:
            return (text,)
        size = len(self.link.content)
        return ExchangeFacts(way=way, kind="urls", size_bytes=size, type=self.link.scheme), text


def examine(untrusted_content: bytes) -> Copied:
    """What a guest has copied. Raises NotText or TooMuchCopied."""
    if len(untrusted_content) > TEXT_BYTES:
        raise TooMuchCopied(limit=TEXT_BYTES // 1024)
    try:
        text = untrusted_content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText from error
    if not text or "\0" in text:
        raise NotText
    shown, unseen = visible(text)
    return Copied(untrusted_content, shown, unseen, text.count("\n") + 1, as_link(text))


def visible(text: str) -> tuple[str, int]:
    """A text with each character that is drawn as nothing, or turns others around, by its number instead.

    Returns it and how many there were. A line break made of two characters counts as seen.
    """
    parts, unseen, marks = [], 0, 0
    for character in text.replace("\r\n", "\n"):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if character in SEEN or (_drawn(character) and marks <= MOST_MARKS):
            parts.append(character)
        else:
            unseen += 1
            parts.append(f"[U+{ord(character):04X}]")
    return "".join(parts), unseen


def _drawn(character: str) -> bool:
    number = ord(character)
    return (
        character.isprintable() and character not in BLANKS and not any(number in each for each in VARIATION)
    )

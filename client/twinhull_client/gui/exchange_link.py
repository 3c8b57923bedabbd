"""Where an address of the web leads, read as a browser reads it; what is read in two ways is no link.

The host is what counts, and it is easily disguised: by a user name before it, by letters of other scripts
that look like Latin ones, by numbers. What browsers do with an address is the URL Standard of WHATWG, which
forgives more than RFC 3986. Only what both read alike is taken for a link here; all else may still cross as
the text it is.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from twinhull_policy.exchange import SCHEMES, URL_BYTES

_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
"""A host's name in ASCII (RFC 1123, 2.1; RFC 1035, 2.3.4), with the underscores that browsers let pass."""
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that has a browser read the whole name as an IPv4 address (URL Standard, host parsing)."""
_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What stays as it is where an address is brought into ASCII."""
MOST_NAMED = 6
"""Most letters of a host that are called by name."""


@dataclass(frozen=True)
class Link:
    """An address and where it leads.

    Attributes:
        content: the address as it crosses: printable ASCII.
        scheme: one of SCHEMES.
        host: as a browser asks for it: lower case, ASCII.
        reads: what a browser may show of the host instead; the same unless it has other letters than ASCII's.
        letters: those letters, each once, by what Unicode calls them; MOST_NAMED at most.
        mixed: whether one part of the name has letters of several scripts.
        port: a number that is written in it; 0 for none.
        disguised: whether something stands before the host that is not where it leads.
    """

    content: str
    scheme: str
    host: str
    reads: str
    letters: tuple[str, ...] = ()
    mixed: bool = False
    port: int = 0
    disguised: bool = False


def as_link(text: str) -> Link | None:
    """The link that a whole text is; None where it is more, else, or not read alike by everybody."""
    if len(text.encode()) > URL_BYTES or "\\" in text or not all(_may_stand(each) for each in text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
        name = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in SCHEMES or not text[len(parts.scheme) :].startswith("://"):
        return None
    host = _host(name)
    if not host:
        return None
    user = parts.netloc.rpartition("@")[0]
    where = (f"{_ascii(user)}@" if user else "") + host + (f":{port}" if port is not None else "")
    rest = text[text.index("://") + 3 :].removeprefix(parts.netloc)
    content = f"{parts.scheme}://{where}{_ascii(rest)}"
    if len(content) > URL_BYTES:
        return None
    reads = _decoded(host)
    letters = dict.fromkeys(unicodedata.name(each, f"U+{ord(each):04X}") for each in reads if each > "~")
    return Link(
        content=content,
        scheme=parts.scheme,
        host=host,
        reads=reads,
        letters=tuple(letters)[:MOST_NAMED],
        mixed=any(len(_scripts(part)) > 1 for part in reads.split(".")),
        port=port or 0,
        disguised=bool(user),
    )


def _may_stand(character: str) -> bool:
    """Whether a character may be in an address: it is drawn, and is no blank."""
    return character.isprintable() and not character.isspace() and character not in '"<>`'


def _ascii(text: str) -> str:
    return quote(text, safe=_KEPT)


def _host(name: str) -> str:
    """A host as a browser asks for it; empty where it is none, or is not read alike by everybody."""
    if "%" in name:  # a zone of IPv6, or letters that browsers decode
        return ""
    if ":" in name:
        try:
            return f"[{ipaddress.IPv6Address(name)}]"
        except ValueError:
            return ""
    try:
        host = name.encode("ascii").decode() if name.isascii() else name.encode("idna").decode().lower()
    except UnicodeError:
        return ""
    if _NAME.fullmatch(host) is None or _decoded(host) == "":
        return ""
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:  # 0x7f.1, 2130706433 and their like
            return ""
    return host


def _decoded(host: str) -> str:
    """A host with its encoded labels (RFC 3492) as letters; empty where one is damaged or has unseen ones."""
    labels = []
    for label in host.split("."):
        if label.startswith("xn--"):
            try:
                label = label[4:].encode("ascii").decode("punycode")
            except UnicodeError:
                return ""
            if not label or not all(each.isprintable() and not each.isspace() for each in label):
                return ""
        labels.append(label)
    return ".".join(labels)


def _scripts(label: str) -> set[str]:
    """The scripts of a label's letters, by the first word of their names; Japanese ones count as one."""
    words = {unicodedata.name(each, "?").split()[0] for each in label if each.isalpha()}
    if words & {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}:
        words -= {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK"}
        words.add("CJK")
    return words

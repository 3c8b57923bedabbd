"""A file that a guest offers, before a person sees it: a name that is only a name, and what its content is.

The name is the guest's. What crosses in its place is made here, of characters that are seen, and can be no
path. The type is what the content begins like: a comparison of bytes, no parser. A file can be several things
at once, and only the first is named; so the type narrows down what crosses, and is no scan for malware.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from twinhull_policy.exchange import FILE_BYTES, ExchangeFacts

from twinhull_client.gui.errors import FileTooLarge
from twinhull_client.gui.exchange_text import visible

NAME_BYTES = 120
"""Longest name that crosses, bytes: half of what a file system takes (Linux, NAME_MAX)."""
SHOWN_CHARACTERS = 4000
"""Most of a text's beginning that is shown."""
UNKNOWN = "application/octet-stream"
_REPLACED = frozenset('/\\:*?"<>|')
"""What is a path or a pattern to some program."""
_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (30, b"mimetypeapplication/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
    (
        30,
        b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.spreadsheet",
    ),
    (
        30,
        b"mimetypeapplication/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.presentation",
    ),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"OggS", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"#!", "application/x-shellscript"),
)
"""What files begin with, at which byte (IANA's registrations; shared-mime-info, freedesktop.org.xml)."""
_CONTROLS = re.compile(r"[\0-\x08\x0b\x0e-\x1f]")
"""What no text has; tabs, line and page breaks are left out."""
_MARKUP = ((b"<!doctype html", "text/html"), (b"<html", "text/html"), (b"<?xml", "application/xml"))
PROGRAMS = frozenset(
    {
        "application/x-executable",
        "application/vnd.microsoft.portable-executable",
        "application/x-shellscript",
    }
)
ENDINGS = {
    "application/pdf": ("pdf",),
    "image/png": ("png",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "application/vnd.oasis.opendocument.text": ("odt",),
    "application/vnd.oasis.opendocument.spreadsheet": ("ods",),
    "application/vnd.oasis.opendocument.presentation": ("odp",),
    "application/zip": ("zip", "docx", "xlsx", "pptx", "jar", "epub", "odt", "ods", "odp"),
    "application/x-ole-storage": ("doc", "xls", "ppt", "msg"),
}
"""How names of such a file end; of other types nothing is said."""


@dataclass(frozen=True)
class OfferedFile:
    """A file that may be shown and asked about.

    Attributes:
        content: its bytes as they cross.
        name: what it is called when it crosses.
        said: what the guest calls it, with all that is unseen made visible.
        type: media type by its content.
        beginning: what the person reads of a text; empty of anything else.
        whole: whether that is all of it.
    """

    content: bytes
    name: str
    said: str
    type: str
    beginning: str
    whole: bool

    @property
    def renamed(self) -> bool:
        """Whether it crosses under another name."""
        return self.said != self.name

    @property
    def program(self) -> bool:
        """Whether it begins as programs do."""
        return self.type in PROGRAMS

    @property
    def disguised(self) -> bool:
        """Whether its name ends as those of another type do."""
        ending = self.name.rpartition(".")[2].lower()
        claimed = any(ending in endings for endings in ENDINGS.values())
        return claimed and ending not in ENDINGS.get(self.type, ())

    def questions(self, way: Literal["to_corporate", "from_corporate"]) -> tuple[ExchangeFacts, ...]:
        """What to ask of the policy."""
        return (ExchangeFacts(way=way, kind="files", size_bytes=len(self.content), type=self.type),)


def examine_file(untrusted_content: bytes, untrusted_name: bytes) -> OfferedFile:
    """What a guest offers. Raises FileTooLarge."""
    if len(untrusted_content) > FILE_BYTES:
        raise FileTooLarge(limit=FILE_BYTES // 2**20)
    said = untrusted_name.decode("utf-8", errors="replace")
    kind, text = media_type(untrusted_content)
    part = text[:SHOWN_CHARACTERS]
    return OfferedFile(
        content=untrusted_content,
        name=safe_name(said),
        said=visible(said.replace("\n", "\v").replace("\t", "\v"))[0],
        type=kind,
        beginning=visible(part)[0],
        whole=part == text,
    )


def safe_name(untrusted_name: str) -> str:
    """A name of at most NAME_BYTES that is no path, is not hidden, and shows all its characters."""
    seen = []
    for character in unicodedata.normalize("NFC", untrusted_name):
        shown, unseen = visible(character)
        seen.append("_" if unseen or character in _REPLACED or character in "\n\t" else shown)
    name = "".join(seen).strip(" .").lstrip("-")
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > NAME_BYTES // 4:
        stem, dot, ending = name, "", ""
    room = NAME_BYTES - len((dot + ending).encode())
    name = stem.encode()[:room].decode("utf-8", errors="ignore").rstrip(" .") + dot + ending
    return name.strip(" .") or "file"


def media_type(untrusted_content: bytes) -> tuple[str, str]:
    """What a content begins like, and its text if it is one."""
    for at, beginning, kind in _BEGINNINGS:
        if untrusted_content[at : at + len(beginning)] == beginning and (
            at == 0 or _fits(untrusted_content, kind)
        ):
            text = _text(untrusted_content) if kind == "application/x-shellscript" else ""
            return kind, text
    text = _text(untrusted_content)
    if not text:
        return UNKNOWN, ""
    start = text[:1000].lstrip("\ufeff \t\r\n").lower().encode()
    return next((kind for beginning, kind in _MARKUP if start.startswith(beginning)), "text/plain"), text


def _fits(untrusted_content: bytes, kind: str) -> bool:
    """Whether what stands before a mark inside the file is there, too."""
    if kind == "image/webp":
        return untrusted_content.startswith(b"RIFF")
    return kind == "video/mp4" or untrusted_content.startswith(b"PK\x03\x04")


def _text(untrusted_content: bytes) -> str:
    try:
        text = untrusted_content.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if _CONTROLS.search(text) else text

"""What may cross the corporate partition's border: one pure answer for every gesture and every transfer.

Nothing crosses by itself. A person's gesture on the host asks, and this answers ``allow`` (the gesture is
enough), ``ask`` (the person confirms after a look at what it is) or ``deny``. Two layers, read in order:

===========  ===================================================================================  =======
rule         matches                                                                              verdict
===========  ===================================================================================  =======
malformed    a type that is not a media type (for an address: not a scheme), or a negative size   deny
scheme       an address that a browser does not fetch from the web (``file:``, ``javascript:``)   deny
too-much     more than the host carries: 64 KiB of text, 8 KiB of address,                        deny
             4 MiB of a copied picture, 32 MiB of a file
===========  ===================================================================================  =======

and then the policy's own transfer for that direction and kind. Before the first policy nothing crosses.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from .model import ExchangeSection, Transfer, TypedTransfer

TEXT_BYTES = 64 * 1024
"""Most text that the host carries at once (docs/security.md, P1; a person reads what they pass on)."""
IMAGE_BYTES = 4 * 1024 * 1024
"""Most of a copied picture, as PNG: a screen's worth of it."""
FILE_BYTES = 32 * 1024 * 1024
"""Largest file: viewers and desktop app hold it in memory, which both computers lack meanwhile."""
URL_BYTES = 8 * 1024
"""Longest address; what web servers take at most by default (nginx's large_client_header_buffers)."""
SCHEMES = ("http", "https")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,62}/[a-z0-9][a-z0-9.+_-]{0,62}")
_SCHEME = re.compile(r"[a-z][a-z0-9.+-]{0,31}")

Way = Literal["to_corporate", "from_corporate"]
Kind = Literal["clipboard", "files", "urls"]


class ExchangeFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that somebody wants to pass on."""

    way: Way
    """Into the corporate partition or out of it."""
    kind: Kind
    size_bytes: Annotated[int, Meta(ge=0, le=2**62)]
    """Of the content; of an address, its length."""
    type: Annotated[str, Meta(max_length=200)] = ""
    """Media type in lower case without parameters; of an address, its scheme. Empty: nobody knows."""


class ExchangeDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An answer. It never acts."""

    verdict: Literal["allow", "ask", "deny"]
    targets: tuple[Literal["corporate", "personal"], ...]
    """Where it may go; nowhere when denied."""
    rule: str
    """What decided: ``host:…`` or ``corporate:exchange.…``."""
    reason: str


def decide_exchange(facts: ExchangeFacts, section: ExchangeSection | None) -> ExchangeDecision:
    """The verdict on one transfer. Pure and total; ``section`` is None while no policy is in force."""
    refused = _host(facts)
    if refused is not None:
        return refused
    if section is None:
        return _denied("default", "No policy is in force, and what no policy allows is denied.")
    transfer: Transfer = getattr(getattr(section, facts.way), facts.kind)
    rule = f"corporate:exchange.{facts.way}.{facts.kind}"
    if transfer.verdict == "deny":
        return _denied(rule, "The policy does not let this cross.")
    if facts.size_bytes > transfer.limit_bytes:
        return _denied(
            rule, f"It is larger than the {transfer.limit_bytes} bytes that the policy lets cross."
        )
    types = transfer.types if isinstance(transfer, TypedTransfer) else UNSET
    if types is not UNSET and not any(_fits(facts.type, pattern) for pattern in types):
        return _denied(rule, f"The policy lets only {', '.join(types)} cross.")
    reason = (
        "The policy lets it cross."
        if transfer.verdict == "allow"
        else "The person at the laptop confirms it."
    )
    target: Literal["corporate", "personal"] = "corporate" if facts.way == "to_corporate" else "personal"
    return ExchangeDecision(verdict=transfer.verdict, targets=(target,), rule=rule, reason=reason)


def _host(facts: ExchangeFacts) -> ExchangeDecision | None:
    if facts.size_bytes < 0:
        return _denied("host:malformed", "Nothing is that small.")
    if facts.kind == "urls":
        if _SCHEME.fullmatch(facts.type) is None:
            return _denied("host:malformed", "It does not say what kind of address it is.")
        if facts.type not in SCHEMES:
            return _denied("host:scheme", "Only addresses of the web cross.")
        if facts.size_bytes > URL_BYTES:
            return _denied("host:too-much", f"An address is at most {URL_BYTES} bytes long.")
        return None
    if facts.type and _MEDIA_TYPE.fullmatch(facts.type) is None:
        return _denied("host:malformed", "Its type is not written as a media type.")
    if facts.kind == "files" and facts.size_bytes > FILE_BYTES:
        return _denied("host:too-much", f"A file has at most {FILE_BYTES} bytes.")
    # A text that does not say that it is one is no way around the limit.
    text = facts.kind == "clipboard" and (not facts.type or facts.type.startswith("text/"))
    if text and facts.size_bytes > TEXT_BYTES:
        return _denied("host:too-much", f"At most {TEXT_BYTES} bytes of text cross at once.")
    image = facts.kind == "clipboard" and facts.type.startswith("image/")
    if image and facts.size_bytes > IMAGE_BYTES:
        return _denied("host:too-much", f"At most {IMAGE_BYTES} bytes of a picture cross at once.")
    return None


def _fits(media_type: str, pattern: str) -> bool:
    """Whether a type is what ``text/plain`` or ``image/*`` names; an unknown one is neither."""
    return media_type.startswith(pattern[:-1]) if pattern.endswith("/*") else media_type == pattern


def _denied(rule: str, reason: str) -> ExchangeDecision:
    return ExchangeDecision(verdict="deny", targets=(), rule=rule, reason=reason)

"""Two questions to the network the laptop is on, asked here because nobody here has anything to lose.

Whatever answers is untrusted. What leaves this module are IP addresses, and a URL that is fit to be shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urljoin, urlsplit

import msgspec

NAME_PATTERN = r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A host's name with at least one dot, lower case, whose last label is no number (RFC 1123, section 2.1)."""
CHECK_PATTERN = r"^http://[a-z0-9.-]{1,253}(:[1-9][0-9]{0,4})?/[A-Za-z0-9._~/-]{0,200}$"
ADDRESSES = 8
NAME_SECONDS = 10.0
CHECK_SECONDS = 8.0
HEAD_BYTES = 8 * 1024
URL_CHARACTERS = 300
NO_CONTENT = 204
RESOLVER_FILES = (
    Path("/etc/resolv.conf"),
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/no-stub-resolv.conf"),
)
"""Where a laptop keeps the name servers that its network named; the last two are for where the first names a
stub on the laptop itself (systemd-resolved(8), NetworkManager.conf(5))."""
RESOLVERS = 3
"""As many as the C library asks (resolv.conf(5), MAXNS)."""
RESOLVER_FILE_BYTES = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_LOCATION = re.compile(rb"^location:[ \t]*([!-~]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

Reach = Literal["open", "portal", "nothing"]


class ResolveArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``resolve``."""

    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]


class PortalArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``portal``."""

    url: Annotated[str, msgspec.Meta(pattern=CHECK_PATTERN)]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the check.

    Attributes:
        reach: ``open``: the page answered as it should; ``portal``: something else answered in its place;
            ``nothing``: nobody did.
        location: where it wants a browser to go; empty when it did not say.
        addresses: of that place.
        resolvers: the network's own name servers, which know the names of such places.
    """

    reach: Reach
    location: str = ""
    addresses: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()


async def resolve(name: str) -> tuple[str, ...]:
    """The addresses of a name, at most ADDRESSES, in the resolver's order; none when it has none."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_SECONDS):
            answers = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    found = dict.fromkeys(_literal(str(answer[4][0])) for answer in answers)
    return tuple(address for address in found if address)[:ADDRESSES]


async def look(url: str) -> Found:
    """Ask for a page that answers 204 and nothing else; whoever answers otherwise stands in between."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            untrusted_head = await _head(parts.hostname or "", parts.port or 80, parts.path or "/")
    except (OSError, TimeoutError, ValueError):
        return Found("nothing")
    status = _STATUS.match(untrusted_head)
    if status is None:
        return Found("nothing")
    if int(status[1]) == NO_CONTENT:
        return Found("open")
    location = _shown(untrusted_head, url) if status[1].startswith(b"3") else url
    host = urlsplit(location).hostname or ""
    literal = _literal(host)
    addresses = (literal,) if literal else await resolve(host) if host else ()
    return Found("portal", location, addresses, resolvers())


def resolvers(files: Sequence[Path] = RESOLVER_FILES) -> tuple[str, ...]:
    """The name servers of the network the laptop is on, at most RESOLVERS; none when only stubs are named."""
    for path in files:
        text = ""
        with contextlib.suppress(OSError), path.open("rb") as file:
            text = file.read(RESOLVER_FILE_BYTES).decode("utf-8", "replace")
        words = [line.split() for line in text.splitlines()]
        named = [_literal(line[1]) for line in words if len(line) > 1 and line[0] == "nameserver"]
        found = dict.fromkeys(name for name in named if name and not ipaddress.ip_address(name).is_loopback)
        if found:
            return tuple(found)[:RESOLVERS]
    return ()


async def _head(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, limit=HEAD_BYTES)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        await writer.drain()
        head = b""
        while len(head) < HEAD_BYTES and b"\r\n\r\n" not in head:
            chunk = await reader.read(HEAD_BYTES - len(head))
            if not chunk:
                break
            head += chunk
        return head
    finally:
        writer.close()


def _shown(untrusted_head: bytes, asked: str) -> str:
    """The place of a redirection, if it is a web address fit to be shown; else the one that was asked for."""
    match = _LOCATION.search(untrusted_head)
    if match is None:
        return asked
    try:
        place = urlsplit(urljoin(asked, match[1].decode("ascii")))
        port = place.port
    except ValueError:
        return asked
    if place.scheme not in ("http", "https") or not place.hostname or place.username is not None:
        return asked
    host = f"[{place.hostname}]" if ":" in place.hostname else place.hostname
    shown = f"{place.scheme}://{host}{f':{port}' if port else ''}{place.path or '/'}"
    return shown[:URL_CHARACTERS]


def _literal(text: str) -> str:
    try:
        return "" if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return ""

"""A link that asks to connect this laptop: ``twinhull:enroll?server=https%3A%2F%2Ffleet.example%3A8443``.

It comes from a mail or a web page, through the desktop, and says an address and nothing else. A token in it
is refused: the desktop hands links over as arguments, which every user of the machine can read, and browsers
remember them. What it says is shown first; it sends nothing and chooses nothing.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from twinhull_policy.api.interface import URL_LIMIT

from twinhull_client.addresses import check_url
from twinhull_client.gui.errors import LinkMalformed

SCHEME, WHAT, FIELD = "twinhull", "enroll", "server"
LINK_LIMIT = 3 * URL_LIMIT + 64
"""Longest link, characters: an address of which each one is written as three (RFC 3986, 2.1)."""


def read_link(untrusted_link: str) -> str:
    """The address that a link says. Raises LinkMalformed, or BadUrl for what cannot be an address."""
    if len(untrusted_link) > LINK_LIMIT or not untrusted_link.isascii() or not untrusted_link.isprintable():
        raise LinkMalformed(reason="it is too long, or holds a character that no link holds")
    try:
        parts = urlsplit(untrusted_link)
        fields = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=2)
    except ValueError as error:
        raise LinkMalformed(reason="it says no address") from error
    if parts.scheme != SCHEME or parts.netloc or parts.path != WHAT or parts.fragment:
        raise LinkMalformed(reason=f"it does not begin with {SCHEME}:{WHAT}?{FIELD}=")
    if [name for name, _value in fields] != [FIELD]:
        raise LinkMalformed(reason="it says something else than an address, and a link may hold no token")
    address = fields[0][1]
    check_url(address)
    return address

"""What can be a fleet server's address; asked before the daemon is, which asks again."""

from __future__ import annotations

from urllib.parse import urlsplit

from twinhull_policy.api.interface import URL_LIMIT

from twinhull_client.errors import BadUrl


def check_url(url: str) -> None:
    """Refuse what cannot be a fleet server's address. Raises BadUrl."""
    if len(url) > URL_LIMIT:
        raise BadUrl(reason=f"it is longer than {URL_LIMIT} characters")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BadUrl(reason="it holds a character that no address holds")
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise BadUrl(reason="its host or port cannot be read") from error
    if not usable:
        raise BadUrl(reason="it has to be https://HOST or https://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadUrl(reason="it holds more than a host, a port and a path")

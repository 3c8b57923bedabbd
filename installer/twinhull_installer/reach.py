"""Whether a fleet server answers, and is the one that an enrolment token is of. Nothing secret is sent.

Enrolment itself pins both hashes of the token; this asks beforehand, so that a wrong address costs nothing.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import urllib.parse

from twinhull_installer.errors import NotTheServer, ServerNotReached

SECONDS = 20.0
LIMIT = 64 * 1024
"""Longest answer that is read, bytes: one certificate in PEM."""
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def require_server(url: str, token: str) -> None:
    """Ask the server for its CA and compare that with the token's hash.

    Args:
        url: ``https://HOST`` or ``https://HOST:PORT``, as the command that enrols found it good.
        token: as that command found it good.

    Raises:
        ServerNotReached: no answer, or not one of a fleet server.
        NotTheServer: another one.
    """
    untrusted_pem = _ca(url)
    found = _PEM.search(untrusted_pem)
    if found is None:
        raise ServerNotReached(url=url, reason="what answers there is no fleet server")
    try:
        sha256 = hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0])).hexdigest()
    except ValueError as error:
        raise ServerNotReached(url=url, reason="what answers there is no fleet server") from error
    if sha256 != token.strip().rpartition(".")[2]:
        raise NotTheServer(url=url)


def _ca(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    # Whom to trust is what the answer is compared by.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, timeout=SECONDS, context=context
    )
    try:
        connection.request("GET", "/v1/ca")
        answer = connection.getresponse()
        untrusted_body = answer.read(LIMIT)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ServerNotReached(url=url, reason=reason) from error
    finally:
        connection.close()
    return untrusted_body.decode("ascii", errors="replace")

"""People who administer a server under test, with a password and an authenticator of their own."""

from __future__ import annotations

import json
import time
import urllib.parse
from base64 import b32decode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from twinhull_policy.server.client import AdminClient
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import server_ca_path

from tests.support.fleet_processes import FleetServer

PHRASE = "correct horse battery"
PATIENCE = 15
"""Seconds that a sign-in may take on a busy machine."""


def code(totp_uri: str, at: float) -> str:
    """The authenticator's code at a time."""
    query = urllib.parse.parse_qs(urllib.parse.urlparse(totp_uri).query)
    secret = b32decode(query["secret"][0])
    return TOTP(secret, 6, SHA1(), 30).generate(int(at)).decode()  # noqa: S303 - what authenticators use


class Administrator:
    """One account of a running server.

    Attributes:
        name: of the account.
    """

    def __init__(self, server: FleetServer, name: str, role: str) -> None:
        self.name = name
        self._server = server
        arguments = ("account", "new", name, "--role", role, "--password-stdin", "--json")
        self._uri = str(json.loads(server.cli(*arguments, stdin=f"{PHRASE}\n"))["totp_uri"])
        self._last = 0

    def code(self) -> str:
        """A code that was not used yet: of the step before, of now, of the next, then wait for a new one."""
        # Not one that the server, which takes the step before, would find too old by the time it asks.
        step = max(int(time.time() + PATIENCE) // 30 - 1, self._last + 1)
        while step > int(time.time()) // 30 + 1:
            time.sleep(0.5)  # codes are made by the clock
        self._last = step
        return code(self._uri, step * 30)

    def client(self) -> AdminClient:
        """A client that is signed in."""
        client = AdminClient(self._server.admin_url, server_ca_path(Layout(self._server.directory)))
        client.sign_in(self.name, PHRASE, self.code())
        return client

"""The administrators' HTTP interface from the other end: typed by the same structs, over TLS that is
verified."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from twinhull_policy.errors import ErrorReport, RemoteError
from twinhull_policy.server import desk_types as t
from twinhull_policy.server.admin_http import PREFIX
from twinhull_policy.server.errors import RemoteUnreachable
from twinhull_policy.server.limits import LIMITS

T = TypeVar("T")
SECONDS = 60.0


class AdminClient:
    """One server.

    Args:
        url: ``https://host:port`` of the administrators' listener.
        ca_file: PEM of the CA that vouches for it.
        token: of a session; empty before :meth:`sign_in`.
    """

    def __init__(self, url: str, ca_file: Path, token: str = "") -> None:
        self.token = token
        self._url = url.rstrip("/")
        context = ssl.create_default_context(cafile=str(ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=SECONDS)

    def sign_in(self, name: str, password: str, code: str) -> t.Session:
        """Begin a session and use it from now on. Raises RemoteError, RemoteUnreachable."""
        asked = t.SignIn(name=name, password=password, code=code)
        session = self.request("POST", "/session", t.Session, asked)
        self.token = session.token
        return session

    def sign_out(self) -> None:
        """End the session."""
        self.request("DELETE", "/session", t.Done)

    def overview(self) -> t.Overview:
        """The fleet at a glance."""
        return self.request("GET", "/overview", t.Overview)

    def devices(self, query: t.DeviceQuery) -> t.DevicePage:
        """A page of devices."""
        return self.request("GET", f"/devices?{urlencode(msgspec.to_builtins(query))}", t.DevicePage)

    def publish(self, asked: t.Publish) -> t.Published:
        """Publish a signed policy."""
        return self.request("POST", "/policies", t.Published, asked)

    def request(self, method: str, path: str, answer: type[T], asked: msgspec.Struct | None = None) -> T:
        """Any request of the interface; ``docs/openapi.json`` lists them.

        Raises RemoteError in the server's own words, RemoteUnreachable.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if asked is not None:
            headers["Content-Type"] = "application/json"
        body = msgspec.json.encode(asked) if asked is not None else None
        try:
            response = self._pool.request(
                method, f"{self._url}{PREFIX}{path}", body=body, headers=headers, preload_content=False
            )
            untrusted_answer = response.read(LIMITS.admin_body_bytes, decode_content=False)
            response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise RemoteUnreachable(url=self._url, detail=str(error)) from error
        try:
            if response.status == 200:
                return msgspec.json.decode(untrusted_answer, type=answer)
            report = msgspec.json.decode(untrusted_answer, type=ErrorReport)
        except ValueError as error:
            raise RemoteUnreachable(url=self._url, detail="its answer is not one of ours") from error
        raise RemoteError(report)

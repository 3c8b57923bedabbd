"""Enrolment without a token (RFC 8628): the real server and its administrators, the real fetch and core."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sdbus import sd_bus_open_system
from twinhull_hypervisor.fetch.client import GrantPrompt
from twinhull_hypervisor.fetch.errors import GrantDenied, GrantExpired, GrantForAnotherServer
from twinhull_hypervisor.fetch.grant import Grant, begin
from twinhull_hypervisor.fetch.identity import IdentityStore
from twinhull_policy.api.interface import BUS_NAME, OBJECT_PATH, DaemonInterface
from twinhull_policy.errors import RemoteError, TwinhullError
from twinhull_policy.server import desk_types as t
from twinhull_policy.server.client import AdminClient
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import (
    make_authorities,
    server_ca_path,
    server_ca_sha256,
    server_certificate_path,
    server_key_path,
)
from twinhull_policy.server.setup import DEFAULT_GROUP
from twinhull_policy.server.store.grants import Grant as Waiting
from twinhull_policy.trust.fingerprint import server_fingerprint

from tests.support.administrators import Administrator
from tests.support.cli import PROGRAM, ROOT
from tests.support.core_laptop import core_laptop
from tests.support.fleet_processes import PATIENCE, WIREGUARD_KEY, FetchService, FleetServer
from tests.support.tls_proxy import TlsProxy

TOKEN_SECRET = "A" * 43


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FleetServer]:
    fleet = FleetServer(tmp_path / "server", administrators=True)
    fleet.publish_example(tmp_path)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()


def decide(administrator: AdminClient, user_code: str, group: str) -> None:
    """What the approval page does."""
    administrator.request("POST", "/grants", t.Done, t.Decide(user_code=user_code, group=group))


async def test_the_command_is_let_in(server: FleetServer, tmp_path: Path) -> None:
    """The command line, the core and fetch of a laptop, and an administrator who compares and approves."""
    administrator = Administrator(server, "op", "operator").client()
    fingerprint = server.cli("fingerprint").strip()
    (tmp_path / "laptop").mkdir()
    async with core_laptop(tmp_path / "laptop", enrolled=False) as laptop:
        fetch = FetchService(tmp_path / "laptop")
        fetch.directory, fetch.socket = laptop.paths.fetch, laptop.paths.fetch_socket
        fetch.start()
        try:
            command = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                PROGRAM,
                *("enroll", server.url, "--device-code", "--initiator", "the person at desk 4", "--json"),
                *("--server-fingerprint", fingerprint.replace(" ", "")),
                env=os.environ | {"PYTHONPATH": f"{ROOT / 'client'}:{ROOT / 'policy'}"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert command.stdout is not None
            assert command.stderr is not None
            line = await asyncio.wait_for(command.stdout.readline(), PATIENCE)
            assert line, await command.stderr.read()
            prompt = json.loads(line)
            waiting = await asyncio.to_thread(administrator.request, "GET", "/grants", list[Waiting])
            overview = await asyncio.to_thread(administrator.overview)
            assert [(g.user_code, g.key_sha256, g.initiator) for g in waiting] == [
                (prompt["user_code"], prompt["key_sha256"], "the person at desk 4")
            ]
            assert prompt["server_fingerprint"] == overview.server_fingerprint == fingerprint
            assert prompt["verification_uri"] == f"{server.admin_url}/grants"
            await asyncio.to_thread(decide, administrator, prompt["user_code"].lower(), DEFAULT_GROUP)
            rest, complaints = await asyncio.wait_for(command.communicate(), PATIENCE)
            assert (command.returncode, complaints) == (0, b"")
            enrolment = json.loads(rest)
            assert enrolment["device_id"] == server.json("device", "list")[0]["device_id"]
            status = await laptop.status()
            assert (status.enrolment.enrolled, status.policy.sequence > 0) == (True, True)
            assert "th1." not in "".join(fetch.running.log if fetch.running else [])
        finally:
            fetch.stop()


async def test_only_who_asked_and_compared_is_enrolled(server: FleetServer, tmp_path: Path) -> None:
    (tmp_path / "laptop").mkdir()
    async with core_laptop(tmp_path / "laptop", enrolled=False) as laptop:
        fetch = FetchService(tmp_path / "laptop")
        fetch.directory, fetch.socket = laptop.paths.fetch, laptop.paths.fetch_socket
        fetch.start()
        try:
            asked = json.loads(await laptop.daemon.begin_device_grant(server.url, "somebody"))
            shown = asked["server_fingerprint"]
            for wrong in ("", "0" * 32, shown[:-1], "f" + shown[1:] if shown[0] != "f" else "e" + shown[1:]):
                refusal = await laptop.refusal(laptop.daemon.poll_device_grant(wrong))
                assert refusal.code == "TH-ENR-203"
            other = sd_bus_open_system()
            stranger = DaemonInterface.new_proxy(BUS_NAME, OBJECT_PATH, other)
            refusal = await laptop.refusal(stranger.poll_device_grant(shown))
            other.close()
            assert refusal.code == "TH-ENR-013"
            assert json.loads(await laptop.daemon.poll_device_grant(shown))["wait_seconds"] > 0
        finally:
            fetch.stop()


def test_denied(server: FleetServer, fetch: FetchService) -> None:
    administrator = Administrator(server, "op", "operator").client()
    prompt = fetch.client.grant(server.url, "")
    decide(administrator, prompt.user_code, "")
    with pytest.raises(RemoteError) as caught:
        asyncio.run(outcome(fetch, prompt))
    assert caught.value.report().code == "TH-ENR-010"
    assert not fetch.client.state().enrolled
    for root, ca in (("0" * 64, prompt.ca_sha256), (prompt.root_sha256, "0" * 64)):
        changed = GrantPrompt(prompt.server, "", "", "", 1, "", root, ca)
        with pytest.raises(RemoteError) as caught:
            fetch.client.grant_poll(changed, WIREGUARD_KEY)
        assert caught.value.report().code == "TH-ENR-013"


async def outcome(fetch: FetchService, prompt: GrantPrompt) -> Any:
    """Ask as core does until there is an answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            progress = await asyncio.to_thread(fetch.client.grant_poll, prompt, WIREGUARD_KEY)
            if progress.enrolled is not None:
                return progress.enrolled
            await asyncio.sleep(progress.wait_seconds)


def test_a_server_without_a_console_says_so(tmp_path: Path, fetch: FetchService) -> None:
    fleet = FleetServer(tmp_path / "server")
    fleet.start()
    try:
        with pytest.raises(RemoteError) as caught:
            fetch.client.grant(fleet.url, "")
        assert caught.value.report().code == "TH-SRV-059"
    finally:
        fleet.stop()


async def test_somebody_in_the_middle_is_not_believed(
    server: FleetServer, fetch: FetchService, tmp_path: Path
) -> None:
    """Who passes the true CA on has no certificate of it: the request ends before anything is said."""
    async with TlsProxy(tmp_path, server.port) as proxy:
        with pytest.raises(RemoteError) as caught:
            await asyncio.to_thread(fetch.client.grant, f"https://localhost:{proxy.port}", "")
        assert caught.value.report().code == "TH-ENR-003"
        assert proxy.requests == ["GET /v1/ca"]


class Impostor:
    """A server of somebody else's, with a certificate of a CA of its own, that says what a test wants.

    Attributes:
        begin: answer of the device authorization endpoint.
        answers: of the token endpoint, one after the other, as (status, JSON); the last one for ever.
        asked: how often the token endpoint was asked.
    """

    def __init__(self, directory: Path) -> None:
        self.layout = Layout(directory)
        for path in (directory, self.layout.offline, self.layout.online):
            path.mkdir()
        make_authorities(self.layout, "localhost", "impostor")
        self.begin: dict[str, object] = {
            "device_code": "c" * 43,
            "user_code": "BCDF-GHJK",
            "verification_uri": "https://localhost/grants",
            "expires_in": 600,
            "interval": 1,
        }
        self.answers: list[tuple[int, object]] = [(400, {"error": "authorization_pending"})]
        self.asked = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        application = web.Application()
        application.add_routes(
            [
                web.get("/v1/ca", self._ca),
                web.get("/repository/metadata/1.root.json", self._root),
                web.post("/v1/device-authorization", self._begin),
                web.post("/v1/token", self._token),
            ]
        )
        runner = web.AppRunner(application)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_certificate_path(self.layout), server_key_path(self.layout))
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        host, port = runner.addresses[0]
        yield f"https://{host}:{port}"
        await runner.cleanup()

    async def _ca(self, _: web.Request) -> web.Response:
        return web.Response(body=server_ca_path(self.layout).read_bytes())

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(body=b"a root")

    async def _begin(self, _: web.Request) -> web.Response:
        return web.json_response(self.begin)

    async def _token(self, _: web.Request) -> web.Response:
        self.asked += 1
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.json_response(body, status=status)


class Clock:
    """Time that goes by when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def impostor(tmp_path: Path) -> Impostor:
    return Impostor(tmp_path / "impostor")


async def asked(tmp_path: Path, url: str, clock: Clock) -> Grant:
    grant = await begin(IdentityStore(tmp_path / "identity"), url, "")
    # The same request on a clock that the test sets.
    grant._clock = clock
    grant._next, grant._expires = 1.0, 600.0
    return grant


async def test_an_impostors_fingerprint_is_another(
    server: FleetServer, impostor: Impostor, tmp_path: Path
) -> None:
    async with impostor.serving() as url:
        prompt = (await begin(IdentityStore(tmp_path / "identity"), url, "")).prompt
    assert prompt.ca_sha256 == server_ca_sha256(impostor.layout)
    shown = server_fingerprint(prompt.root_sha256, prompt.ca_sha256)
    assert shown != server.cli("fingerprint").strip()
    # The true CA with another root, and the true root with another CA, are other servers too.
    _, _, root, ca = server.token().split(".")
    assert server_fingerprint(root, ca) == server.cli("fingerprint").strip()
    assert len({server_fingerprint(*pair) for pair in ((root, ca), (ca, root), (root, root), (ca, ca))}) == 4


async def test_asked_as_rarely_as_the_server_wants(impostor: Impostor, tmp_path: Path) -> None:
    clock = Clock()
    impostor.answers = [
        (400, {"error": "authorization_pending"}),
        (400, {"error": "slow_down"}),
        (429, {"error": "slow_down"}),
        (400, {"error": "authorization_pending"}),
    ]
    async with impostor.serving() as url:
        grant = await asked(tmp_path, url, clock)
        assert (await grant.poll(), impostor.asked) == (None, 0)  # not before the first interval is over
        waits = []
        for number in range(1, 5):
            clock.now += grant.wait_seconds()
            assert (await grant.poll(), impostor.asked) == (None, number)
            waits.append(grant.wait_seconds())
            assert (await grant.poll(), impostor.asked) == (None, number)
        assert waits == [1.0, 6.0, 11.0, 11.0]
    # Nobody there: half as often each time, never more rarely than once a minute; and it says so.
    for wait in (22.0, 44.0, 60.0, 60.0):
        clock.now += grant.wait_seconds()
        assert await grant.poll() is None
        assert "cannot be reached" in grant.problem
        assert grant.wait_seconds() == wait
    clock.now = 600.0
    with pytest.raises(GrantExpired):
        await grant.poll()


@pytest.mark.parametrize(
    ("status", "answer", "raised"),
    [
        (400, {"error": "access_denied"}, GrantDenied),
        (400, {"error": "expired_token"}, GrantExpired),
        (400, {"error": "invalid_grant"}, GrantExpired),
        (400, {"error": "invalid_client"}, TwinhullError),
        (400, {"error": 7}, TwinhullError),
        (400, [], TwinhullError),
        (500, "no", TwinhullError),
        (200, {}, TwinhullError),
        (200, {"access_token": "th1.x.y.z"}, TwinhullError),
        (200, {"access_token": "a" * 2000}, TwinhullError),
        (200, {"access_token": "a" * 20000}, TwinhullError),
        (302, {"access_token": ""}, TwinhullError),
    ],
)
async def test_answers(
    impostor: Impostor, tmp_path: Path, status: int, answer: object, raised: type[TwinhullError]
) -> None:
    clock = Clock()
    impostor.answers = [(status, answer)]
    async with impostor.serving() as url:
        grant = await asked(tmp_path, url, clock)
        clock.now = 1.0
        with pytest.raises(raised) as caught:
            await grant.poll()
    assert caught.value.message.isprintable()


async def test_the_token_is_for_what_was_shown(impostor: Impostor, tmp_path: Path) -> None:
    clock = Clock()
    async with impostor.serving() as url:
        grant = await asked(tmp_path, url, clock)
        root, ca = grant.prompt.root_sha256, grant.prompt.ca_sha256
        for other in ((root, "0" * 64), ("0" * 64, ca), (ca, root)):
            impostor.answers = [(200, {"access_token": ".".join(("th1", TOKEN_SECRET, *other))})]
            clock.now += grant.wait_seconds()
            with pytest.raises(GrantForAnotherServer):
                await grant.poll()
        impostor.answers = [(200, {"access_token": ".".join(("th1", TOKEN_SECRET, root, ca))})]
        clock.now += grant.wait_seconds()
        token = await grant.poll()
        assert token is not None
        assert (token.root_sha256, token.ca_sha256) == (root, ca)


@pytest.mark.parametrize(
    "changes",
    [
        {"user_code": "\x1b[2J"},
        {"user_code": "B" * 100},
        {"verification_uri": "http://localhost/grants"},
        {"verification_uri": "https://localhost/\u202egrants"},
        {"verification_uri_complete": "javascript:alert(1)"},
        {"expires_in": 0},
        {"expires_in": 10**9},
        {"interval": 0},
        {"interval": 3600},
        {"device_code": ""},
        {"device_code": "x&y=zzzzzzzzzzzzzzz"},
    ],
)
async def test_what_is_shown_is_bounded(impostor: Impostor, tmp_path: Path, changes: dict[str, Any]) -> None:
    impostor.begin |= changes
    async with impostor.serving() as url:
        with pytest.raises(TwinhullError) as caught:
            await begin(IdentityStore(tmp_path / "identity"), url, "")
    assert caught.value.code == "TH-ENR-004"
    assert caught.value.message.isprintable()

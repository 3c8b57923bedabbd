"""The administrators' HTTP interface: who may do what, that forms and sessions are ours, and two at once."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from twinhull_hypervisor.fetch.errors import ServerUnreachable
from twinhull_hypervisor.fetch.identity import IdentityStore
from twinhull_policy.errors import RemoteError
from twinhull_policy.example import example_policy
from twinhull_policy.server import admin
from twinhull_policy.server import desk_types as t
from twinhull_policy.server import storage as s
from twinhull_policy.server.accounts import Role
from twinhull_policy.server.admin_http import PREFIX, ROUTES
from twinhull_policy.server.client import AdminClient
from twinhull_policy.server.keys import load_signer
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.openapi import document
from twinhull_policy.server.pki import server_ca_path
from twinhull_policy.trust.policy_body import sign_policy

from tests.api.test_server_http import ANSWER_LIMIT, enrolled, next_statement, refusal
from tests.support.administrators import PHRASE, Administrator
from tests.support.fleet_processes import PATIENCE, FleetServer

EXAMPLES = {"{device_id}": "d-none", "{number}": "999", "{sha256}": "0" * 64, "{name}": "nobody"}


class Office:
    """A running server and one administrator of each role."""

    def __init__(self, directory: Path) -> None:
        self.server = FleetServer(directory / "server", administrators=True)
        self.server.start()
        self.layout = Layout(self.server.directory)
        self.ca = str(server_ca_path(self.layout))
        self.people = {role: Administrator(self.server, role.label, role.label) for role in Role}
        self.clients = {role: person.client() for role, person in self.people.items()}

    def ask(self, method: str, path: str, token: str = "", body: bytes = b"", **headers: Any) -> Any:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.server.admin_url}{path}"
        return requests.request(
            method, url, data=body, headers=headers, verify=self.ca, timeout=60, allow_redirects=False
        )

    def signed(self, description: str) -> str:
        policy = msgspec.structs.replace(example_policy(), description=description)
        return sign_policy(policy, [load_signer(self.layout.authority, "policy")]).decode()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("office"))
    try:
        yield office
    finally:
        office.server.stop()


def code_of(answer: Any) -> str:
    return str(json.loads(answer.text).get("code", ""))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_request_takes_its_role(office: Office, route: Any) -> None:
    """Nobody, every role below, then the role itself, against the running server."""
    path = PREFIX + route.path
    for name, value in EXAMPLES.items():
        path = path.replace(name, value)
    example = document()["paths"][PREFIX + route.path][route.method.lower()].get("requestBody")
    body = json.dumps(example["content"]["application/json"]["example"]).encode() if example else b""
    needed = route.role or Role.VIEWER
    assert code_of(office.ask(route.method, path, body=body)) == "TH-SRV-040"
    assert code_of(office.ask(route.method, path, "x" * 43, body)) == "TH-SRV-040"
    for role, client in office.clients.items():
        answer = office.ask(route.method, path, client.token, body)
        assert answer.status_code < 500
        assert (answer.status_code == 403 and code_of(answer) == "TH-SRV-042") == (role < needed), role


def test_the_table_of_routes_has_every_role() -> None:
    assert {route.role for route in ROUTES} == set(Role)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "TH-SRV-020"),
        (b"[]", "TH-SRV-020"),
        (b'{"group": "default", "extra": 1}', "TH-SRV-020"),
        (b'{"group": "Default"}', "TH-SRV-020"),
        (b'{"group": "default", "hours": 721}', "TH-SRV-020"),
        (b'{"group": "default", "hours": true}', "TH-SRV-020"),
        (b'{"group": "default", "label": "' + b"x" * 101 + b'"}', "TH-SRV-020"),
        (b'{"group": "default", "label": "' + b"x" * 4_000_000 + b'"}', "TH-SRV-020"),
        (b'{"group": "none"}', "TH-SRV-004"),
        (b"\xff", "TH-SRV-020"),
        (b"[" * 100_000, "TH-SRV-020"),
    ],
)
def test_requests_are_closed_and_bounded(office: Office, body: bytes, code: str) -> None:
    token = office.clients[Role.OPERATOR].token
    assert code_of(office.ask("POST", f"{PREFIX}/tokens", token, body)) == code


def test_two_publish_at_once_and_one_is_told(office: Office) -> None:
    """Both looked at the same policy; whoever comes second has to look again."""
    client = office.clients[Role.AUTHOR]
    base = next(g["policy_sha256"] or "" for g in office.server.json("group", "list"))

    def publish(number: int) -> str:
        asked = t.Publish(group="default", base=base, envelope=office.signed(f"version {number}"))
        own = AdminClient(office.server.admin_url, Path(office.ca), client.token)
        try:
            return own.publish(asked).sha256
        except RemoteError as error:
            return error.report().code

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(publish, range(4)))
    assert told.count("TH-SRV-008") == 3
    (won,) = [sha256 for sha256 in told if sha256 != "TH-SRV-008"]
    assert won in [group["policy_sha256"] for group in office.server.json("group", "list")]


def test_only_what_the_policy_key_signed_is_published(office: Office) -> None:
    """The server's own online keys are not enough, and neither is the author's word."""
    policy = example_policy()
    director = sign_policy(policy, [load_signer(office.layout.online, "director")]).decode()
    client = office.clients[Role.OWNER]
    for envelope in (director, "{}", "", office.signed("x").replace("payload", "payl0ad")):
        with pytest.raises(RemoteError) as caught:
            client.publish(t.Publish(group="default", base="", envelope=envelope))
        assert caught.value.report().code == "TH-SRV-056"


def cookie(office: Office, role: Role) -> tuple[dict[str, str], str]:
    """A console session: its cookie, and the value its forms carry."""
    person = office.people[role]
    fields = {"name": person.name, "password": PHRASE, "code": person.code(), "next": "/"}
    answer = office.ask("POST", "/sign-in", body=urllib.parse.urlencode(fields).encode())
    assert answer.status_code == 303
    held = {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}
    page = office.ask("GET", "/tokens", **held).text
    return held, page.split('name="csrf" value="')[1].split('"')[0]


def test_forms_from_elsewhere_are_refused(office: Office) -> None:
    held, csrf = cookie(office, Role.OPERATOR)
    fields = {"group": "default", "hours": "1", "label": ""}
    good = urllib.parse.urlencode(fields | {"csrf": csrf}).encode()
    cases = [
        (urllib.parse.urlencode(fields).encode(), {}),
        (urllib.parse.urlencode(fields | {"csrf": "x" * 43}).encode(), {}),
        (good, {"Sec-Fetch-Site": "cross-site"}),
        (good, {"Sec-Fetch-Site": "same-site"}),
    ]
    before = len(office.server.json("token", "list"))
    for body, headers in cases:
        answer = office.ask("POST", "/tokens", body=body, **held, **headers)
        assert answer.status_code == 403 and "TH-SRV-046" in answer.text
    assert len(office.server.json("token", "list")) == before
    assert office.ask("POST", "/tokens", body=good, **held).status_code == 200
    assert len(office.server.json("token", "list")) == before + 1


@pytest.mark.parametrize("path", ["/", "/sign-in", "/devices", "/devices/d-none", "/static/console.css"])
def test_every_page_forbids_what_it_does_not_need(office: Office, path: str) -> None:
    held, _ = cookie(office, Role.VIEWER) if path == "/" else ({}, "")
    answer = office.ask("GET", path, "", b"", **held)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy and answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "where",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\nb",
        "x" * 600,
    ],
)
def test_signing_in_leads_nowhere_else(office: Office, where: str) -> None:
    page = office.ask("GET", f"/sign-in?next={urllib.parse.quote(where)}").text
    assert '<input type="hidden" name="next" value="/">' in page


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    """By address and by name, also for the right password afterwards."""
    server = FleetServer(tmp_path / "server", administrators=True)
    server.start()
    try:
        person = Administrator(server, "alice", "owner")
        client = AdminClient(server.admin_url, server_ca_path(Layout(server.directory)))
        codes = []
        for _ in range(11):
            with pytest.raises(RemoteError) as caught:
                client.sign_in("alice", "wrong", "000000")
            codes.append(caught.value.report().code)
        assert codes == ["TH-SRV-041"] * 10 + ["TH-SRV-028"]
        with pytest.raises(RemoteError) as caught:
            client.sign_in("alice", PHRASE, person.code())
        assert caught.value.report().code == "TH-SRV-028"
    finally:
        server.stop()


@pytest.mark.parametrize("path", ["/v1/ca", "/v1/report-schema", "/v1/openapi.json", "/v1/statement"])
def test_nobody_floods_what_needs_no_certificate(office: Office, path: str) -> None:
    with requests.Session() as session:
        url = office.server.url + path
        statuses = [session.get(url, verify=office.ca, timeout=60).status_code for _ in range(200)]
    assert 429 in statuses


REPORT: dict[str, Any] = {"seq": 1, "policy": "0" * 64, "applied_at": 1}
ITEM = {"name": "policy", "desired": "", "actual": "", "state": "failed", "code": "TH-POL-008"}

DEVICE = {"model": "m", "interfaces": ["08:06:50"], "rule": "corporate:no-storage", "outcome": "blocked"}


@pytest.mark.parametrize(
    ("report", "accepted"),
    [
        (REPORT, True),
        (REPORT | {"items": [ITEM]}, True),
        (REPORT | {"location": "home"}, False),
        (REPORT | {"items": [ITEM | {"personal": "x"}]}, False),
        (REPORT | {"items": [ITEM] * 9}, False),
        (REPORT | {"items": [ITEM | {"name": "personal-image"}]}, False),
        (REPORT | {"policy": "x"}, False),
        (REPORT | {"seq": -1}, False),
        (
            REPORT
            | {"devices": [{"model": "m", "interfaces": [], "rule": "r", "outcome": "o", "port": "1"}]},
            False,
        ),
        ({"seq": 1}, False),
    ],
)
async def test_reports_hold_what_is_published_and_nothing_else(
    office: Office, tmp_path: Path, report: dict[str, Any], accepted: bool
) -> None:
    client, identity = await enrolled(office.server, IdentityStore(tmp_path / "laptop"))
    body = json.dumps(report).encode()
    async with client:
        if accepted:
            await client.post("/v1/report", body, ANSWER_LIMIT)
        else:
            assert await refusal(client.post("/v1/report", body, ANSWER_LIMIT)) == "TH-SRV-020"
    view = office.clients[Role.VIEWER].request("GET", f"/devices/{identity.device_id}", t.DeviceView)
    assert [kept.body for kept in view.reports] == ([body.decode()] if accepted else [])
    assert view.device.health == ("failed" if "items" in report and accepted else view.device.health)


async def test_a_rollout_halts_when_its_first_laptop_fails(office: Office, tmp_path: Path) -> None:
    """From the report over HTTP to the halted rollout and back to the old policy on the stream."""
    owner = office.clients[Role.OWNER]
    await asyncio.to_thread(owner.request, "POST", "/groups", t.Done, t.AskGroup(name="pilots"))
    first = await asyncio.to_thread(
        owner.publish, t.Publish(group="pilots", base="", envelope=office.signed("first"))
    )
    token = office.server.cli("token", "new", "--group", "pilots").strip()
    client, _ = await enrolled(office.server, IdentityStore(tmp_path / "laptop"), token)
    async with client, client.open("GET", "/v1/stream") as response:
        await next_statement(response)
        asked = t.Publish(group="pilots", base=first.sha256, envelope=office.signed("bad"), rings=True)
        begun = await asyncio.to_thread(owner.publish, asked)
        assert begun.rollout is not None
        await next_statement(response)
        report = REPORT | {"seq": 1, "policy": first.sha256, "items": [ITEM]}
        await client.post("/v1/report", json.dumps(report).encode(), ANSWER_LIMIT)
        views = await asyncio.to_thread(owner.request, "GET", "/rollouts", list[t.RolloutView])
        halted = next(view for view in views if view.rollout.number == begun.rollout)
        assert (halted.rollout.state, halted.progress.failed) == ("halted", 1)
        path = f"/rollouts/{begun.rollout}"
        await asyncio.to_thread(owner.request, "POST", path, dict[str, Any], t.Steer(action="withdraw"))
        await next_statement(response)


async def test_revocation_that_nobody_announced_ends_the_stream(office: Office, tmp_path: Path) -> None:
    """Written straight into the database, as by a command line that was killed before it could tell."""
    client, identity = await enrolled(office.server, IdentityStore(tmp_path / "laptop"))
    async with client:
        with pytest.raises(ServerUnreachable):
            async with client.open("GET", "/v1/stream") as response, asyncio.timeout(PATIENCE):
                await next_statement(response)
                storage = s.open_storage(office.layout.database)
                await asyncio.to_thread(admin.revoke_device, storage, identity.device_id)
                storage.close()
                await response.content.read()
                raise ServerUnreachable(server=office.server.url, detail="the stream ended properly")
        assert await refusal(client.get("/v1/statement", ANSWER_LIMIT)) == "TH-SRV-026"


async def test_long_poll(office: Office, tmp_path: Path) -> None:
    """At once when there is news, when it comes, or empty in the end."""
    client, _ = await enrolled(office.server, IdentityStore(tmp_path / "laptop"))
    async with client:
        assert await client.get("/v1/statement?after=0&wait=30", ANSWER_LIMIT)
        async with client._session.get(f"{client.server}/v1/statement?after=1&wait=1") as answer:
            assert answer.status == 204
        waiting = asyncio.create_task(client.get("/v1/statement?after=1&wait=30", ANSWER_LIMIT))
        await asyncio.to_thread(office.server.publish_example, tmp_path, "long poll")
        assert await waiting
        for query in ("after=x", "wait=31", "after=-1", "other=1"):
            assert await refusal(client.get(f"/v1/statement?{query}", ANSWER_LIMIT)) == "TH-SRV-020"


def test_the_remote_command_line(office: Office, tmp_path: Path) -> None:
    """Signed here with the policy key, published there."""
    session = tmp_path / "session.json"
    person = office.people[Role.AUTHOR]
    where = ("--session", session)
    answer = f"{PHRASE}\n{person.code()}\n"
    arguments = ("remote", "sign-in", office.server.admin_url, "--name", person.name, "--ca", office.ca)
    office.server.cli(*arguments, "--stdin", *where, stdin=answer)
    assert session.stat().st_mode & 0o777 == 0o600
    fleet = office.server.json("remote", "overview", *where)
    assert fleet["tenant"] == "example"
    policy = tmp_path / "policy.json"
    policy.write_bytes(msgspec.json.encode(example_policy()))
    office.server.cli("group", "new", "remote")
    publish = ("remote", "publish", policy, "--key-directory", office.layout.authority, "--group", "remote")
    assert office.server.json(*publish, "--base", "", *where)["changed"]
    assert "TH-SRV-008" in office.server.cli(*publish, "--base", "", *where, status=1)
    office.server.cli("remote", "sign-out", *where)
    assert not session.exists()


def test_the_audit_log_is_checked_by_command(office: Office) -> None:
    verdict = office.server.json("audit", "verify")
    assert verdict["broken_at"] is None
    assert office.server.json("audit", "verify", "--head", verdict["head"])["head_found"]
    assert "TH-SRV-057" in office.server.cli("audit", "verify", "--head", "0" * 64, status=1)

"""The console in a real browser, over real TLS: what people do with it, with and without a mouse."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update
from twinhull_hypervisor.fetch.fleet_client import FleetClient
from twinhull_hypervisor.fetch.identity import IdentityStore, pinned_context
from twinhull_policy.errors import RemoteError
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical
from twinhull_policy.server import storage as s
from twinhull_policy.server.device_grants import GRANT_TYPE
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import server_ca_path

from tests.support.administrators import PHRASE
from tests.support.chromium import Browser
from tests.support.console_tour import PAGES, Tour, tour
from tests.support.fleet_processes import WIREGUARD_KEY
from tests.support.server_store import fill

CHECKS = (Path(__file__).parents[1] / "support" / "accessibility.js").read_text()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """A server with a fleet."""
    directory = tmp_path_factory.mktemp("console")
    with tour(directory) as running:
        running.settle(directory)
        yield running


@pytest.fixture
async def browser(running: Tour, tmp_path: Path) -> AsyncIterator[Browser]:
    """Signed in as the owner; whatever a page complains about fails the test."""
    async with running.browser(tmp_path / "profile") as browser:
        await running.sign_in(browser, running.owner)
        yield browser
        assert browser.complaints == []


async def go(running: Tour, browser: Browser, path: str) -> None:
    await browser.open(running.server.admin_url + path)


async def click(browser: Browser, name: str) -> None:
    """Press the button of this name."""
    script = (
        f"[...document.querySelectorAll('button')].find(b => b.textContent.trim() === {json.dumps(name)})"
    )
    async with browser.loading():
        await browser.run(f"{script}.click()")


async def put(browser: Browser, field: str, value: str) -> None:
    """Fill a field in, as typing does."""
    script = f"document.getElementById({json.dumps(field)})"
    await browser.run(
        f"{script}.value = {json.dumps(value)}; {script}.dispatchEvent(new Event('input', {{bubbles: true}}))"
    )


async def text(browser: Browser) -> str:
    return str(await browser.run("document.querySelector('main').innerText"))


async def test_signing_in_needs_all_three_and_leaves_a_guarded_cookie(running: Tour, tmp_path: Path) -> None:
    async with running.browser(tmp_path / "profile") as browser:
        await go(running, browser, "/devices?health=failed")
        assert await browser.run("document.title") == "Sign in · Twinhull"
        for field, value in (("name", "alice"), ("password", PHRASE), ("code", "000000")):
            await put(browser, field, value)
        async with browser.loading():
            await browser.run("document.querySelector('form').submit()")
        assert "Name, password or code is wrong." in str(
            await browser.run("document.querySelector('[role=alert]').innerText")
        )
        # Going on goes where one wanted to; the address was not forgotten.
        await put(browser, "password", PHRASE)
        await put(browser, "code", await asyncio.to_thread(running.owner.code))
        async with browser.loading():
            await browser.run("document.querySelector('form').submit()")
        assert str(await browser.run("location.search")) == "?health=failed"
        (cookie,) = (await browser.send("Network.getCookies"))["cookies"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        assert cookie["session"] and cookie["path"] == "/" and not cookie["domain"].startswith(".")
        await click(browser, "Sign out")
        await go(running, browser, "/")
        assert await browser.run("document.title") == "Sign in · Twinhull"
        # A refused sign-in is answered 401, which the browser's log notes.
        assert all("401" in complaint for complaint in browser.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_for_everybody(running: Tour, browser: Browser, scheme: str) -> None:
    """Landmarks, names, labels, contrast, nothing inline; also when nothing is there and when it went
    wrong."""
    pages = PAGES | {"device": f"/devices/{running.device_id}"}
    for width in (1280, 480):
        await browser.theme(scheme, width=width)
        for name, path in pages.items():
            await go(running, browser, path)
            assert await browser.run(CHECKS) == [], (name, width)
    # The error page is a 404, which the browser's log notes.
    browser.complaints = [one for one in browser.complaints if "404" not in one]


async def test_a_device_says_no_more_than_its_receipts_prove(running: Tour, browser: Browser) -> None:
    await go(running, browser, f"/devices/{running.device_id}")
    script = (
        "[...document.querySelectorAll('table')].find(t => t.caption.textContent.includes('receipts'))"
        ".tBodies[0].rows"
    )
    rows = await browser.run(f"[...{script}].map(row => [...row.cells].map(cell => cell.innerText))")
    states = [(row[1], row[2].split("\n")[0].strip()) for row in rows]
    receipts = [[cell != "no receipt" for cell in row[4:]] for row in rows]
    shown = [(*state, has) for state, has in zip(states, receipts, strict=True)]
    assert shown == [
        ("lock", "withdrawn", [False, False, False]),
        ("lock", "expired", [True, False, False]),
        ("rotate-vpn-key", "failed", [True, False, True]),
        ("release", "done", [True, True, True]),
        ("unlock", "started", [True, True, False]),
        ("lock", "delivered", [True, False, False]),
        ("wipe", "queued", [False, False, False]),
    ]
    page = await text(browser)
    assert "nothing heard of it from the laptop" in page
    assert "no gateway answers" in page
    assert "TH-IMG-201" in page


async def test_the_checks_bite(running: Tour, browser: Browser) -> None:
    broken = {
        "no label": "document.querySelector('main').append(document.createElement('input'))",
        "no name": "document.querySelector('main').append(document.createElement('button'))",
        "table without caption": "document.querySelector('main').append(document.createElement('table'))",
        "not one h1": "document.querySelector('main').append(document.createElement('h1'))",
        "contrast": (
            "document.querySelector('h1').style.color = getComputedStyle(document.body).backgroundColor"
        ),
    }
    for what, script in broken.items():
        await go(running, browser, "/")
        await browser.run(f"{script}; 0")
        assert any(finding.startswith(what) for finding in await browser.run(CHECKS)), what


async def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(
    running: Tour, browser: Browser
) -> None:
    await go(running, browser, "/devices")
    count = int(await browser.run("document.querySelectorAll('a[href], button, input, select').length"))
    hidden = int(await browser.run("document.querySelectorAll('input[type=hidden]').length"))
    reached = set()
    for number in range(count - hidden):
        await browser.press("Tab")
        outline = await browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        if number == 0:
            assert await browser.run("document.activeElement.className") == "skip"
            assert await browser.run("document.activeElement.getBoundingClientRect().left >= 0")
        script = "[...document.querySelectorAll('*')].indexOf(document.activeElement)"
        reached.add(await browser.run(script))
    assert len(reached) == count - hidden


async def test_a_policy_is_checked_while_it_is_written_then_proposed_signed_and_published(
    running: Tour, browser: Browser
) -> None:
    await go(running, browser, "/policies/edit?group=sales")
    document = json.loads(canonical(example_policy()))
    await put(browser, "document", json.dumps(document | {"name": "Not a name"}))
    await browser.wait_for("document.getElementById('checked').innerText.includes('Not a valid policy.')")
    assert "$.name" in await text(browser)
    await put(browser, "document", json.dumps(document))
    await browser.wait_for("document.getElementById('checked').innerText.includes('office: a valid policy.')")
    await put(browser, "note", "first <b>policy</b>")
    await click(browser, "Propose for signing")
    assert "first <b>policy</b>" in await text(browser)
    number = max(draft["number"] for draft in running.server.json("policy", "drafts"))
    published = running.server.json("policy", "sign", str(number))
    await go(running, browser, "/policies/edit?group=sales")
    assert published["sha256"][:12] in await text(browser)
    rules = [rule for rule in document["devices"] if rule["name"] != "audio"]
    await put(browser, "document", json.dumps(document | {"devices": rules}))
    changed = await browser.wait_for(
        "/Changes ([1-9][0-9]*) of [0-9]+ verdicts/.test(document.getElementById('checked').innerText)"
    )
    assert changed
    assert "headset, plugged in" in await text(browser)
    # Without a script the button does the same, on the whole page.
    await click(browser, "Check")
    assert "headset, plugged in" in await text(browser)
    # Somebody else is quicker: the draft is refused, whatever was typed.
    second = json.dumps(document | {"description": "quicker"})
    path = running.server.directory.parent / "quicker.json"
    await asyncio.to_thread(path.write_text, second)
    running.server.cli("policy", "publish", path, "--group", "sales")
    await click(browser, "Propose for signing")
    assert "no longer" in await text(browser)
    browser.complaints = [one for one in browser.complaints if "409" not in one]


async def test_a_token_with_its_code_enrols_a_laptop(running: Tour, browser: Browser, tmp_path: Path) -> None:
    await go(running, browser, "/tokens")
    await put(browser, "label", "<script>alert(1)</script>")
    await click(browser, "Make token")
    token = str(await browser.run("document.getElementById('token').innerText"))
    assert int(await browser.run("document.querySelectorAll('.token svg path').length")) >= 1
    async with laptop(running) as client:
        store = IdentityStore(tmp_path / "laptop")
        request = {"token": token, "csr": store.request(), "wireguard_public_key": WIREGUARD_KEY}
        answer = json.loads(await client.post("/v1/enrol", msgspec.json.encode(request), 1 << 20))
    await go(running, browser, f"/devices/{answer['device_id']}")
    assert await browser.run("document.querySelector('h1').innerText") == "<script>alert(1)</script>"
    async with browser.loading():
        await browser.run("document.querySelector('button.danger').click()")
    assert "revoked" in await text(browser)


def laptop(running: Tour) -> FleetClient:
    """A client without a certificate."""
    ca = server_ca_path(Layout(running.server.directory)).read_text()
    return FleetClient(running.server.url, pinned_context(ca))


async def test_a_laptop_that_asks_is_let_in_by_its_code_and_key(
    running: Tour, browser: Browser, tmp_path: Path
) -> None:
    store = IdentityStore(tmp_path / "laptop")
    csr = store.request()
    async with laptop(running) as client:
        asked = {"client_id": "twinhull", "csr": csr, "initiator": "carol <img src=x onerror=alert(1)>"}
        begun = await form(client, "/v1/device-authorization", asked)
        code = begun["user_code"]
        assert begun["verification_uri_complete"] == f"{running.server.admin_url}/grants?code={code}"
        poll = {"client_id": "twinhull", "device_code": begun["device_code"], "grant_type": GRANT_TYPE}
        assert await form(client, "/v1/token", poll) == {
            "error": "authorization_pending",
            "error_description": "",
        }
        await browser.open(begun["verification_uri_complete"])
        shown = await text(browser)
        assert code in shown and "127.0.0.1" in shown and "carol <img src=x onerror=alert(1)>" in shown
        await click(browser, f"Let {code} in")
        storage = running.storage()
        with storage.write() as tx:
            tx.execute(update(s.grants).values(polled_at=0.0))
        storage.close()
        granted = await form(client, "/v1/token", poll)
        assert set(granted) == {"access_token", "token_type", "expires_in"}
        for who, code_expected in ((IdentityStore(tmp_path / "thief"), "TH-SRV-035"), (store, "")):
            request = {"token": granted["access_token"], "csr": who.request()}
            body = msgspec.json.encode(request | {"wireguard_public_key": WIREGUARD_KEY})
            try:
                answer = json.loads(await client.post("/v1/enrol", body, 1 << 20))
                assert not code_expected and answer["device_id"]
            except RemoteError as error:
                assert error.report().code == code_expected


async def form(client: FleetClient, path: str, fields: dict[str, str]) -> dict[str, str]:
    """Post a form; the answer, whatever its status."""
    body = urllib.parse.urlencode(fields)
    async with client._session.post(f"{client.server}{path}", data=body, headers=FORM) as response:
        answer = await response.json()
    assert isinstance(answer, dict)
    return answer


async def test_a_second_person_approves_a_wipe(running: Tour, browser: Browser) -> None:
    await go(running, browser, "/approvals")
    assert "left in a taxi" in await text(browser)
    await click(browser, "Approve request 1")
    assert "by alice" in await text(browser)


async def test_rings_are_steered(running: Tour, browser: Browser) -> None:
    await go(running, browser, "/rings")
    await click(browser, "Resume rollout 1")
    assert "resumed by alice" in await text(browser)


async def test_search_and_filters_in_a_fleet_of_100_000(tmp_path: Path) -> None:
    """Whole pages, each from one walk over an index (tests/unit/test_server_store.py says which)."""
    with tour(tmp_path) as running:
        storage = running.storage()
        fill(storage, 100_000)
        storage.close()
        async with running.browser(tmp_path / "profile") as browser:
            await running.sign_in(browser, running.owner)
            assert "100,000 laptops" in await text(browser)
            await go(running, browser, "/devices?text=laptop+9999")
            assert "6 laptops" in await text(browser)
            await go(running, browser, "/devices?group=sales&health=failed")
            first = await browser.run("document.querySelector('tbody a').href")
            async with browser.loading():
                await browser.run("document.querySelector('a[rel=next]').click()")
            assert await browser.run("document.querySelector('tbody a').href") > first
            assert await browser.run("document.querySelectorAll('tbody tr').length") == 50
            assert browser.complaints == []

"""A server with a small fleet in every state, and a browser that is signed in to its console.

``python -m tests.support.console_tour DIRECTORY`` writes the pictures of docs/console.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import case, update
from twinhull_policy.example import example_policy
from twinhull_policy.parse import canonical
from twinhull_policy.report import Item, Report
from twinhull_policy.server import rollout, two_persons
from twinhull_policy.server import storage as s
from twinhull_policy.server.layout import Layout
from twinhull_policy.server.pki import server_certificate_path
from twinhull_policy.server.store import commands, devices, grants, groups, reports, statements
from twinhull_policy.trust.documents import Action

from tests.support.administrators import PHRASE, Administrator
from tests.support.chromium import Browser
from tests.support.fleet_processes import FleetServer
from tests.support.server_store import GROUPS, HEALTH, fill

FLEET = 320
PAGES = {
    "fleet": "/",
    "devices": "/devices",
    "nothing-found": "/devices?text=nothing-is-called-so",
    "policies": "/policies",
    "editor": "/policies/edit?group=default",
    "rings": "/rings",
    "tokens": "/tokens",
    "requests": "/grants",
    "two-persons": "/approvals",
    "audit": "/audit",
    "accounts": "/accounts",
    "error": "/devices/d-none",
}
"""Every kind of page, by the name of its picture."""


class Tour:
    """A running server and its people.

    Attributes:
        server: its process.
        owner, other: two administrators.
        device_id: a device that was told and has reported something.
    """

    def __init__(self, directory: Path) -> None:
        self.server = FleetServer(directory / "server", administrators=True)
        for name in GROUPS[1:]:
            self.server.cli("group", "new", name)
        self.server.start()
        self.owner = Administrator(self.server, "alice", "owner")
        self.other = Administrator(self.server, "bob", "operator")
        self.device_id = ""

    def storage(self) -> s.Storage:
        return s.open_storage(Layout(self.server.directory).database)

    def settle(self, directory: Path, fleet: int = FLEET) -> None:
        """A fleet with policies, a halted rollout, a request that waits, and tokens."""
        first = self.server.publish_example(directory, "version 1")
        storage = self.storage()
        fill(storage, fleet)
        with storage.write() as tx:
            tx.execute(update(s.devices).values(enrolled_at=s.devices.c.enrolled_at + time.time() - 9e5))
            self.device_id = devices.page(tx, devices.Filter(group="default"), "", 1)[0].device_id
            groups.assign_policy(tx, "engineering", first)
        second = directory / "second.json"
        document = json.loads(canonical(example_policy()))
        rules = [rule for rule in document["devices"] if rule["name"] != "no-storage"]
        second.write_text(json.dumps(document | {"description": "version 2", "devices": rules}))
        published = self.server.json("policy", "publish", second, "--rings", "--group", "engineering")
        with storage.write() as tx:
            rollout.steer(tx, published["rollout"], "halt", "rollout")
            begun = rollout.start(tx, "default", published["sha256"], None, "alice")
            assert begun.percent == 1
            two_persons.ask(tx, [self.device_id], "left in a taxi", "bob")
        self.server.cli("token", "new", "--label", "front desk")
        with storage.write() as tx:
            # As if most had reported: publishing has just made everybody's state "not confirmed yet".
            state = case(*[((s.devices.c.ring % 7) == n, health) for n, health in enumerate(HEALTH)])
            problem = case((state == "failed", "TH-IMG-201: corporate-image"), else_="")
            tx.execute(update(s.devices).values(health=state, problem=problem, last_seen=time.time() - 40))
            silent = update(s.devices).where(s.devices.c.ring % 50 == 0)
            tx.execute(silent.values(last_seen=time.time() - 90_000))
            told = statements.newest(tx, self.device_id)
            assert told is not None
            report = Report(
                seq=told.seq,
                policy=first,
                applied_at=int(time.time()),
                items=(
                    Item(name="policy", desired=first, actual=first, state="active"),
                    Item(
                        name="corporate-image",
                        desired="ab" * 32,
                        actual="",
                        state="failed",
                        code="TH-IMG-201",
                        reason="The golden image corporate-abababababababab.qcow2 could not be fetched.",
                    ),
                ),
            )
            body = msgspec.json.encode(report).decode()
            reports.add(tx, [(self.device_id, time.time(), body)], 50)
            said = devices.Said(
                device_id=self.device_id, at=time.time(), seq=told.seq, policy=first, problem=""
            )
            devices.reported(tx, [said])
            self._command(tx)
            asked = grants.Grant(
                device_code_sha256="c" * 64,
                user_code="BCDF-GHJK",
                key_sha256="0123456789abcdef" * 4,
                initiator="the person at desk 4",
                address="192.0.2.7",
                created_at=time.time() - 60,
                expires_at=time.time() + 9e5,
                polled_at=0.0,
                interval=5,
                state="pending",
                group=None,
                decided_by="",
            )
            grants.add(tx, asked)
        storage.close()

    def _command(self, tx: s.Tx) -> None:
        """Commands to the device, one in each state there is; receipts as the store keeps them."""
        now = time.time()
        every: list[tuple[Action, tuple[commands.State, ...], float]] = [
            ("wipe", (), now + 9e5),
            ("lock", ("delivered",), now + 9e5),
            ("unlock", ("delivered", "started"), now + 9e5),
            ("release", ("delivered", "started", "done"), now + 9e5),
            ("rotate-vpn-key", ("delivered", "failed"), now + 9e5),
            ("lock", ("delivered",), now - 60),
            ("lock", (), now + 9e5),
        ]
        for action, states, not_after in every:
            number = commands.next_number(tx)
            commands.add(
                tx,
                number=number,
                device_id=self.device_id,
                action=action,
                sha256="0" * 64,
                envelope=b"{}",
                by="alice",
                issued_at=now - 3600,
                not_after=not_after,
                approval=None,
            )
            for state in states:
                detail = "TH-NET-004: no gateway answers" if state == "failed" else ""
                noted = commands.progress(
                    tx, number, self.device_id, state=state, detail=detail, receipt=b"{}", now=now - 60
                )
                assert noted
        assert commands.withdraw(tx, number, now)

    @property
    def trusted_key(self) -> str:
        """The server's key as Chromium is told to trust it, in place of a CA in its store."""
        pem = server_certificate_path(Layout(self.server.directory)).read_bytes()
        public = x509.load_pem_x509_certificate(pem).public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return b64encode(hashlib.sha256(der).digest()).decode()

    @asynccontextmanager
    async def browser(self, profile: Path) -> AsyncIterator[Browser]:
        """A browser, not signed in."""
        async with Browser(profile, self.trusted_key) as browser:
            yield browser

    async def sign_in(self, browser: Browser, who: Administrator) -> None:
        """With the keyboard alone: the focus is where one begins."""
        await browser.open(f"{self.server.admin_url}/sign-in")
        code = await asyncio.to_thread(who.code)
        for number, text in enumerate((who.name, PHRASE, code)):
            if number:
                await browser.press("Tab")
            await browser.type(text)
        async with browser.loading():
            await browser.press("Enter")


@contextmanager
def tour(directory: Path) -> Iterator[Tour]:
    """A running server with nothing in it but two administrators."""
    running = Tour(directory)
    try:
        yield running
    finally:
        running.server.stop()


async def _pictures(directory: Path, into: Path) -> None:
    with tour(directory) as running:
        async with running.browser(directory / "profile") as browser:
            for scheme in ("light", "dark"):
                await browser.theme(scheme)
                await browser.open(f"{running.server.admin_url}/sign-in")
                await browser.screenshot(into / f"console-sign-in-{scheme}.png")
            await running.sign_in(browser, running.owner)
            await browser.screenshot(into / "console-empty-dark.png")
            await asyncio.to_thread(running.settle, directory)
            pages = PAGES | {"device": f"/devices/{running.device_id}"}
            for scheme in ("light", "dark"):
                await browser.theme(scheme)
                for name, path in pages.items():
                    await browser.open(running.server.admin_url + path)
                    await browser.screenshot(into / f"console-{name}-{scheme}.png")
            await browser.theme("light", width=480)
            await browser.open(running.server.admin_url)
            await browser.screenshot(into / "console-narrow-light.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(_pictures(Path(temporary), Path(sys.argv[1])))

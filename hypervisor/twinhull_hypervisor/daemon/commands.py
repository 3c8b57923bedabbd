"""Carrying out the employer's commands: verified, written down, done once, answered with a signed receipt.

Nothing here can reach the personal partition: a command has no field that names one, and what is called to do
the work (:class:`CorporateSide`) has no argument for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Protocol

from twinhull_policy.canonical import encode
from twinhull_policy.errors import TwinhullError
from twinhull_policy.trust.command import verify_command
from twinhull_policy.trust.documents import Receipt
from twinhull_policy.trust.envelope import envelope_hash
from twinhull_policy.trust.root import TrustedRoot
from twinhull_policy.trust.statement import DeviceIdentity

from ..fetch.client import FetchClient
from . import command_book as books
from .command_book import Book, Entry
from .state import State

logger = logging.getLogger(__name__)
P = ParamSpec("P")

RETRY_SECONDS = 30.0
"""Wait before a command that could not be carried out, or a receipt that could not be delivered, is tried
again."""
REVOKED = "TH-SRV-026"
"""What the server answers once it has let a laptop go."""
FINAL = frozenset({"TH-SRV-121", "TH-TRU-005", "TH-TRU-080", "TH-TRU-081"})
"""Answers to a receipt that asking again does not change."""
Removed = Literal["keys", "contents", "firmware-variables", "enrolment"]


class NotPossible(TwinhullError):
    """This laptop cannot do it: {detail}."""

    code = "TH-DMN-030"
    next_step = "Tell your administrator; nothing was changed."


class CorporateSide(Protocol):
    """What commands may do. Each method may be called again after it was cut short."""

    async def enforce(self) -> None:
        """Bring the corporate partition to what is allowed now: ended and closed while it is locked."""

    async def erase(self) -> Sequence[Removed]:
        """Destroy the corporate partition: its machine, its keys, its contents. Says what is gone."""

    async def leave(self) -> None:
        """Forget the enrolment and everything the server said."""

    async def rotate_vpn_key(self) -> str:
        """Make a new tunnel key; the public half, base64. Raises NotPossible."""


class Commands:
    """The journal and what follows from it.

    Args:
        state: where the journal is.
        client: delivers receipts.
        personal: the personal partition's volume, for the proof that it was not touched.
        on_change: told "commands" when something shown has changed.
    """

    def __init__(
        self,
        state: State,
        client: FetchClient,
        personal: Path,
        on_change: Callable[[str], object],
    ) -> None:
        self._state = state
        self._client = client
        self._personal = personal
        self._on_change = on_change
        self._refused: set[str] = set()
        self._act = asyncio.Event()
        self._deliver = asyncio.Event()

    def book(self) -> Book:
        """The journal as it stands."""
        return self._state.get("commands", Book) or Book()

    def _change(
        self, change: Callable[Concatenate[Book, P], Book], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """One step of the journal. Receiving and carrying out happen in different threads."""
        with self._state.transaction():
            self._state.put("commands", change(self.book(), *args, **kwargs))

    def locked(self) -> str:
        """Why the corporate partition may not run, in words; empty when no command forbids it."""
        number = self.book().locked_by
        return f"Your employer locked it (command {number})." if number else ""

    def receive(
        self, untrusted_envelopes: Sequence[str], root: TrustedRoot, device: DeviceIdentity, now: int
    ) -> None:
        """Write down the commands of a verified statement that are new and hold; refusals go to the log.

        Any thread; :meth:`poke` has them carried out. ``now`` is already raised to the time floor.
        """
        for text in untrusted_envelopes:
            untrusted = text.encode()
            name = envelope_hash(untrusted)
            if name in self._refused or self.book().knows(name):
                continue
            try:
                verified = verify_command(
                    untrusted, root=root, device=device, marks=self.book().marks, now=now
                )
            except TwinhullError as error:
                self._refused.add(name)
                self._state.log("refused", f"A command: {error.code}: {error.message}", text)
                logger.warning("command refused: %s %s", error.code, error.message)
                continue
            with self._state.transaction():
                self._change(books.accept, verified, time.time())
                self._state.log(
                    "received", f"Command {verified.command.number}: {verified.command.action}", text
                )

    def poke(self) -> None:
        """There may be something to do, or the server may be reachable again. In the loop's thread."""
        self._act.set()
        self._deliver.set()

    async def run(self, corporate: CorporateSide) -> None:
        """Go on with what is written down, then with what comes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._act, lambda: self.carry_out(corporate)))
            tasks.create_task(self._repeat(self._deliver, lambda: self.deliver(corporate)))

    @staticmethod
    async def _repeat(event: asyncio.Event, work: Callable[[], Any]) -> None:
        while True:
            event.clear()
            try:
                await work()
            except TwinhullError as error:
                logger.warning("%s: %s", error.code, error.message)
            except OSError as error:
                logger.warning("%s: %s", error.filename, error.strerror)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await event.wait()

    async def carry_out(self, corporate: CorporateSide) -> None:
        """Carry out every command that has not ended, in order. Raises what may go well the next time."""
        while (entry := self.book().next()) is not None:
            self._change(books.start, entry, time.time())
            self._deliver.set()
            try:
                receipt = await self._do(entry, corporate)
            except NotPossible as error:
                receipt = entry.receipt("failed", time.time(), detail=f"{error.code}: {error.message}"[:400])
            with self._state.transaction():
                self._change(books.end, entry, receipt)
                words = receipt.detail or "done"
                self._state.log("done", f"Command {entry.number} ({entry.action}): {words}")
            if entry.action == "unlock":
                await corporate.enforce()
            self._on_change("commands")
            self._deliver.set()

    async def _do(self, entry: Entry, corporate: CorporateSide) -> Receipt:
        if entry.action in ("wipe", "release"):
            key = secrets.token_bytes(32)
            before = await asyncio.to_thread(seal, self._personal, key)
            removed = await corporate.erase()
            after = await asyncio.to_thread(seal, self._personal, key)
            return entry.receipt(
                "done",
                time.time(),
                detail="The corporate partition's keys and contents are destroyed.",
                removed=list(removed),
                personal_before=before,
                personal_after=after,
            )
        if entry.action == "rotate-vpn-key":
            return entry.receipt("done", time.time(), wireguard_public_key=await corporate.rotate_vpn_key())
        if entry.action == "lock":
            await corporate.enforce()
        return entry.receipt("done", time.time())

    async def deliver(self, corporate: CorporateSide) -> None:
        """Hand the receipts over in order; the owner's log keeps the exact bytes (P6)."""
        for receipt in self.book().outbox:
            try:
                sent = await asyncio.to_thread(self._client.receipt, encode(receipt).decode())
            except TwinhullError as error:
                if error.report().code not in (FINAL | {REVOKED} if self.book().released else FINAL):
                    raise
                # A server that has let the laptop go, or forgot the command, will never take it.
                sent = f"not taken: {error.report().code}"
            with self._state.transaction():
                self._change(books.taken, receipt)
                words = f"Receipt for command {receipt.number} ({receipt.action}): {receipt.state}"
                self._state.log("reported", words, sent)
        book = self.book()
        if book.released and not book.outbox and book.next() is None:
            await corporate.leave()
            with self._state.transaction():
                self._state.forget("commands")
                self._state.log("done", "This laptop has left the company")
            self._on_change("enrolment")


def seal(directory: Path, key: bytes) -> str:
    """What a volume is, under a key: its files' names and identities, and its wrapped keys byte for byte.

    Not the disk itself: its owner may be writing to it. Without ``key`` the result says nothing.
    """
    told = hmac.new(key, digestmod=sha256)
    for path in sorted(directory.rglob("*")) if directory.is_dir() else []:
        about = path.lstat()
        identity = "" if path.name == "keys.json" else f"{about.st_dev}:{about.st_ino}"
        content = path.read_bytes() if path.name == "keys.json" else b""
        for part in (str(path.relative_to(directory)).encode(), identity.encode(), content):
            told.update(len(part).to_bytes(8, "big") + part)
    return told.hexdigest()

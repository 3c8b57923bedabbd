"""Following the fleet server: what fetch brings is accepted, its images are imported, results are reported.

Driven by events: fetch says when its inbox changed, so nothing here polls the server. The one timer is the
wait before fetch is tried again after it went away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec import UNSET
from twinhull_policy.api.types import DeviceInfo, EnrolmentInfo, GrantProgress, GrantPrompt, ImageInfo
from twinhull_policy.errors import Blame, TwinhullError
from twinhull_policy.names import Partition
from twinhull_policy.report import DeviceDecision, Item, Report, TunnelProof
from twinhull_policy.trust.documents import ImageReference
from twinhull_policy.trust.fingerprint import normal_fingerprint, server_fingerprint
from twinhull_policy.trust.token import parse_token

from ..fetch.client import Enrolled, FetchClient
from ..fetch.client import GrantPrompt as AskedGrant
from ..fetch.errors import NoGrant
from ..storage.slots import EscrowTarget
from .device_journal import reported
from .images import ImageStore
from .inbox import Inbox, InboxIncomplete
from .partition_errors import DidNotComeUp
from .paths import Paths
from .state import PARTITION_DOCUMENTS, Identity, PartitionRecord, State

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""Wait before talking to a fetch that went away."""
DEVICES_SECONDS = 5.0
"""Decisions on devices are gathered for so long."""
DEVICES_KEPT = 64
"""So many fit into a report of 32 KiB."""
REASON_LENGTH = 200
"""Of the words about a failure in a report."""
PROGRESS_SECONDS = 0.5
"""How often a running download is asked how far it is."""


class EnrolledElsewhere(TwinhullError):
    """This laptop is already enrolled with {server}."""

    code = "TH-ENR-201"
    next_step = "Leave that company first ('twinhull disk wipe corporate'), then enrol again."


class NoStatement(TwinhullError):
    """The server accepted this laptop but its first statement did not come in time."""

    code = "TH-ENR-202"
    next_step = "Run the same command again; the enrolment itself is kept."


class FingerprintDiffers(TwinhullError):
    """The fingerprint given is not the one this server has."""

    code = "TH-ENR-203"
    blame = Blame.DENIED
    next_step = "Nothing was enrolled. Somebody may be between you and the server; tell your administrator."


class Fleet:
    """The laptop's side of the policy channel.

    Attributes:
        connected: whether fetch holds the push stream open.
        inbox: what is in force.
    """

    def __init__(
        self,
        state: State,
        paths: Paths,
        inbox: Inbox,
        images: ImageStore,
        client: FetchClient,
        on_change: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self.connected = False
        self.inbox = inbox
        self._state = state
        self._paths = paths
        self._images = images
        self._client = client
        self._on_change = on_change
        self._progress: dict[str, int] = {}
        self._problems: dict[str, str] = {}
        self._accepting = asyncio.Lock()
        self._accepted = asyncio.Condition()
        self._importer: asyncio.Task[None] | None = None
        self._devices: deque[DeviceDecision] = deque(maxlen=DEVICES_KEPT)
        self._reporter: asyncio.Task[None] | None = None
        self._vpn: TunnelProof | None = None
        self._refused = ""
        self._grant: tuple[str, AskedGrant] | None = None

    async def run(self) -> None:
        """Accept what came while this process was away, then follow fetch until cancelled."""
        await self.accept()
        while True:
            try:
                async for event in self._client.watch():
                    await self._handle(event)
            except TwinhullError as error:
                logger.info("fetch is away: %s", error.message)
            self._set_connected(False)
            await asyncio.sleep(RETRY_SECONDS)

    async def _handle(self, event: str) -> None:
        state = await asyncio.to_thread(self._client.state)
        self._set_connected(state.connected)
        if event != "state":
            await self.accept()

    def _set_connected(self, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            self._on_change("enrolment")

    async def accept(self) -> None:
        """Put what is in the inbox in force if it deserves it, and see to its images."""
        if self._state.get("identity", Identity) is None:
            return
        async with self._accepting:
            try:
                changed = await asyncio.to_thread(self.inbox.accept, int(self._now()))
            except TwinhullError as error:
                logger.warning("refused: %s %s", error.code, error.message)
                self._on_change("policy")
                refused: TwinhullError | None = error
            else:
                refused = None
        if refused is not None:
            await self._report_refusal(refused)
            return
        self._refused = ""
        self._see_to_images()
        async with self._accepted:
            self._accepted.notify_all()
        if changed:
            self._on_change("policy")
            await self._report()

    async def _report_refusal(self, error: TwinhullError) -> None:
        """Tell once that something was refused and why; what only is not here yet is no failure."""
        if isinstance(error, InboxIncomplete) or self._refused == error.code:
            return
        self._refused = error.code
        await self._report(error)

    def _wanted(self) -> tuple[str, ...]:
        """What the policy in force has the laptop report."""
        return () if self.inbox.in_force is None else tuple(self.inbox.in_force.policy.report)

    def _items(self, policy: str, refused: TwinhullError | None) -> Iterator[Item]:
        """Desired versus actual, of what the policy wants told."""
        if refused is not None:
            reason = refused.message[:REASON_LENGTH]
            yield Item(
                name="policy", desired="", actual=policy, state="failed", code=refused.code, reason=reason
            )
        elif "policy" in self._wanted():
            yield Item(name="policy", desired=policy, actual=policy, state="active")
        image = self.wanted_images().get(Partition.CORPORATE)
        if image is not None and "image" in self._wanted():
            yield self._image_item(image)

    def _image_item(self, image: ImageReference) -> Item:
        """Which image the corporate partition stands on; before there is one, whether it is here."""
        record = self._state.get(PARTITION_DOCUMENTS[Partition.CORPORATE], PartitionRecord)
        here, problem = self._images.has(image.sha256), self._problems.get(image.sha256, "")
        actual, code, tried, given_up = image.sha256 if here else "", "", False, False
        if record is not None and record.created and self._images.has(record.image_sha256):
            actual, tried = record.image_sha256, record.update is not None
            given_up = record.given_up == image.sha256
        if actual == image.sha256:
            return Item(
                name="corporate-image", desired=actual, actual=actual, state="pending" if tried else "active"
            )
        if given_up:
            code, problem = DidNotComeUp.code, "The partition was updated to it, and it did not come up."
        elif problem and not here:
            code = ImageNotFetched.code
        return Item(
            name="corporate-image",
            desired=image.sha256,
            actual=actual,
            state="failed" if code else "pending",
            code=code,
            reason=problem[:REASON_LENGTH] if code else "",
        )

    async def report_image(self) -> None:
        """The corporate partition stands on another image: tell the server if the policy says so."""
        if "image" in self._wanted():
            await self._report()

    async def _report(self, refused: TwinhullError | None = None) -> None:
        """Tell the server what is in force now. The owner's log keeps the exact bytes (P6)."""
        position = self._state.position()
        devices = list(self._devices)
        report = Report(
            seq=position.seq,
            policy=position.policy_sha256,
            applied_at=int(position.applied_at),
            items=tuple(self._items(position.policy_sha256, refused)),
            devices=tuple(devices),
            vpn=self._vpn if "vpn" in self._wanted() else None,
        )
        body = msgspec.json.encode(report).decode()
        try:
            await asyncio.to_thread(self._client.report, body)
        except TwinhullError as error:
            logger.info("not reported: %s", error.message)
        else:
            for device in devices:
                if device in self._devices:
                    self._devices.remove(device)
            told = f"; {len(devices)} decisions on devices" if devices else ""
            self._state.log("reported", f"Statement {position.seq} is in force{told}", body)

    def report_device(self, info: DeviceInfo) -> None:
        """A device's place has changed: tell the server if that is the employer's and the policy says so.

        Decisions of DEVICES_SECONDS go together; of many, or while the server cannot be reached, the newest
        DEVICES_KEPT are told.
        """
        told = reported(info)
        in_force = self.inbox.in_force
        if told is None or in_force is None or "devices" not in in_force.policy.report:
            return
        self._devices.append(told)
        if self._reporter is None or self._reporter.done():
            self._reporter = asyncio.create_task(self._report_devices())

    async def _report_devices(self) -> None:
        await asyncio.sleep(DEVICES_SECONDS)
        await self._report()

    def report_vpn(self, told: TunnelProof) -> None:
        """The canaries have found something else than before: tell the server if the policy says so."""
        in_force = self.inbox.in_force
        if in_force is None or "vpn" not in in_force.policy.report:
            return
        self._vpn = told
        if self._reporter is None or self._reporter.done():
            self._reporter = asyncio.create_task(self._report())

    def enrolment(self) -> EnrolmentInfo:
        """Who this laptop belongs to."""
        identity = self._state.get("identity", Identity)
        if identity is None:
            return EnrolmentInfo(enrolled=False)
        return EnrolmentInfo(
            enrolled=True,
            server=identity.server,
            tenant=identity.tenant,
            device_id=identity.device_id,
            enrolled_at=identity.enrolled_at,
            connected=self.connected,
        )

    async def enrol(self, url: str, token: bytearray, wireguard_public_key: str) -> EnrolmentInfo:
        """Enrol, pin the root of trust, and wait until the first policy is in force.

        Idempotent for the same server, so an interrupted enrolment is finished by asking again.

        Args:
            url: the fleet server, https.
            token: the one-time token as text.
            wireguard_public_key: the laptop's tunnel key, base64.

        Raises:
            EnrolledElsewhere: enrolled with another server.
            NoStatement: enrolled, but no policy came within a minute.
            TwinhullError: the server or the token was refused, in fetch's words.
        """
        identity = self._state.get("identity", Identity)
        if identity is not None and identity.server != url.rstrip("/"):
            raise EnrolledElsewhere(server=identity.server)
        if identity is None:
            parsed = parse_token(token.decode("ascii", "replace"))
            answer = await asyncio.to_thread(self._client.enrol, url, wireguard_public_key, token)
            await self._enrolled(url, answer, parsed.root_sha256)
        await self._wait_for_first()
        return self.enrolment()

    async def _enrolled(self, url: str, answer: Enrolled, root_sha256: str) -> None:
        """Pin the root and keep who this laptop is now."""
        await asyncio.to_thread(self.inbox.pin_root, root_sha256)
        with self._state.transaction():
            self._state.put(
                "identity",
                Identity(
                    server=url.rstrip("/"),
                    tenant=answer.tenant,
                    device_id=answer.device_id,
                    enrol_epoch=answer.enrol_epoch,
                    enrolled_at=time.time(),
                ),
            )
            self._state.log("done", f"Enrolled with {url} as {answer.device_id}")
        self._on_change("enrolment")

    async def begin_grant(self, url: str, initiator: str, caller: str) -> GrantPrompt:
        """Ask the server at ``url`` to let this laptop in (RFC 8628); one request at a time.

        Args:
            url: the fleet server, https.
            initiator: who the server is told has started this.
            caller: who alone may ask what came of it.

        Raises:
            EnrolledElsewhere: this laptop is enrolled.
            TwinhullError: the server refused or cannot be reached, in fetch's words.
        """
        identity = self._state.get("identity", Identity)
        if identity is not None:
            raise EnrolledElsewhere(server=identity.server)
        self._grant = None
        asked = await asyncio.to_thread(self._client.grant, url, initiator)
        self._grant = (caller, asked)
        return GrantPrompt(
            server=asked.server,
            user_code=asked.user_code,
            verification_uri=asked.verification_uri,
            verification_uri_complete=asked.verification_uri_complete,
            expires_in=asked.expires_in,
            key_sha256=asked.key_sha256,
            server_fingerprint=server_fingerprint(asked.root_sha256, asked.ca_sha256),
        )

    async def poll_grant(
        self, untrusted_fingerprint: str, caller: str, wireguard_public_key: str
    ) -> GrantProgress:
        """What came of it; enrols once it was granted, and pins the root that the fingerprint is of.

        Raises:
            NoGrant: ``caller`` has not asked, or somebody asked since.
            FingerprintDiffers: the person compared something else.
            NoStatement: enrolled, but no policy came within a minute.
            TwinhullError: it is over, in fetch's words.
        """
        if self._grant is None or self._grant[0] != caller:
            raise NoGrant
        asked = self._grant[1]
        shown = server_fingerprint(asked.root_sha256, asked.ca_sha256)
        if normal_fingerprint(untrusted_fingerprint) != shown:
            raise FingerprintDiffers
        progress = await asyncio.to_thread(self._client.grant_poll, asked, wireguard_public_key)
        if progress.enrolled is None:
            return GrantProgress(wait_seconds=progress.wait_seconds, problem=progress.problem)
        self._grant = None
        await self._enrolled(asked.server, progress.enrolled, asked.root_sha256)
        await self._wait_for_first()
        return GrantProgress(wait_seconds=0.0, enrolment=self.enrolment())

    async def _wait_for_first(self) -> None:
        await self.accept()
        try:
            async with asyncio.timeout(60), self._accepted:
                await self._accepted.wait_for(lambda: self.inbox.in_force is not None)
        except TimeoutError as error:
            raise NoStatement from error

    def wanted_images(self) -> dict[Partition, ImageReference]:
        """The images the statement in force names."""
        if self.inbox.in_force is None:
            return {}
        images = self.inbox.in_force.statement.images
        named = {Partition.CORPORATE: images.corporate, Partition.PERSONAL: images.personal}
        return {partition: image for partition, image in named.items() if image is not None}

    def image_here(self, name: Partition) -> ImageReference | None:
        """The image that the statement in force names for a partition, once it is here."""
        image = self.wanted_images().get(name)
        return image if image is not None and self._images.has(image.sha256) else None

    def escrow_target(self) -> EscrowTarget | Literal["nobody", "unknown"]:
        """To whom the policy in force has the corporate volume's escrow sealed; unknown without a policy."""
        identity = self._state.get("identity", Identity)
        in_force = self.inbox.in_force
        if identity is None or in_force is None:
            return "unknown"
        if in_force.policy.partition.escrow_key is UNSET:
            return "nobody"
        return EscrowTarget(in_force.policy.partition.escrow_key, identity.tenant, identity.device_id)

    def image_infos(self) -> list[ImageInfo]:
        """Each wanted image and how far it is."""
        return [
            ImageInfo(
                name=image.target,
                partition=partition,
                sha256=image.sha256,
                size_bytes=image.length,
                received_bytes=image.length
                if self._images.has(image.sha256)
                else self._progress.get(image.sha256, 0),
                ready=self._images.has(image.sha256),
            )
            for partition, image in self.wanted_images().items()
        ]

    def image_problem(self, sha256: str) -> str:
        """Why an image is not here, empty when nothing is wrong."""
        return self._problems.get(sha256, "")

    def _see_to_images(self) -> None:
        missing = [i for i in self.wanted_images().values() if not self._images.has(i.sha256)]
        if missing and (self._importer is None or self._importer.done()):
            self._importer = asyncio.create_task(self._bring(missing))

    async def _bring(self, images: list[ImageReference]) -> None:
        for image in {image.sha256: image for image in images}.values():
            try:
                await self._bring_one(image)
                self._problems.pop(image.sha256, None)
                self._state.log("done", f"Golden image {image.target} verified and stored")
            except TwinhullError as error:
                logger.warning("image %s: %s", image.target, error.message)
                self._problems[image.sha256] = error.message
            self._on_change("images")

    async def _bring_one(self, image: ImageReference) -> None:
        while True:
            progress = await asyncio.to_thread(self._client.image, image.target, image.sha256, image.length)
            if progress.received != self._progress.get(image.sha256):
                self._progress[image.sha256] = progress.received
                self._on_change("images")
            if progress.done:
                break
            if progress.error:
                raise ImageNotFetched(target=image.target, detail=progress.error)
            await asyncio.sleep(PROGRESS_SECONDS)
        source = self._paths.targets / image.target
        await asyncio.to_thread(self._images.add, source, image.sha256, image.length)


class ImageNotFetched(TwinhullError):
    """The golden image {target} could not be fetched: {detail}."""

    code = "TH-IMG-201"
    next_step = "It is tried again with the next message from the server; the old image stays usable."

"""The service: verbs for core on a socket, threads for its connections, one event loop for the network."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import select
import signal
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from securesystemslib.signer import CryptoSigner
from twinhull_policy.escrow import Generation
from twinhull_policy.trust.documents import ImageReference, Receipt, WipeReceipt
from twinhull_policy.trust.receipt import parse_receipt, parse_wipe, sign_receipt, sign_wipe
from twinhull_policy.trust.token import EnrolmentToken, parse_token

from .. import ipc
from . import outside
from .durable import locked, remove_tree
from .enrol import enrol
from .errors import BadArguments, EnrolledWithAnother, LocalFailure, NoGrant, NotEnrolled
from .fleet_client import check_url
from .follow import Follower
from .grant import Grant, begin
from .identity import Identity, IdentityStore
from .images import Images
from .layout import Layout
from .limits import LIMITS

log = logging.getLogger("twinhull.fetch")
T = TypeVar("T")
CONNECTIONS = 16
VERB_SECONDS = 300.0
"""The longest a verb may take; each step in it has a shorter limit of its own."""


class Event(msgspec.Struct, frozen=True):
    """What a watcher is told: there is something new in the inbox, or fetch stands otherwise than before."""

    event: Literal["inbox", "state"]


INBOX, STATE = Event("inbox"), Event("state")


WireguardKey = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/]{43}=$")]


class EnrolArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``enrol``."""

    url: str
    wireguard_public_key: WireguardKey


class GrantArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``grant``."""

    url: str
    initiator: Annotated[str, msgspec.Meta(max_length=100)]


class GrantPollArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``grant_poll``: what the person agreed to, as ``grant`` said it."""

    wireguard_public_key: WireguardKey
    server: str
    root_sha256: str
    ca_sha256: str


class ShareArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``share``."""

    generation: Generation


class ReportArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of ``report``."""

    body: Annotated[str, msgspec.Meta(max_length=LIMITS.report_bytes)]


class Service:
    """The state of one running service. Its coroutines run in the event loop, its verbs in other threads."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._store = IdentityStore(layout.identity)
        self._images = Images(layout)
        self._watchers = ipc.Watchers(lost=STATE)
        self._loop = asyncio.get_running_loop()
        self._changing = asyncio.Lock()
        self._follower: Follower | None = None
        self._following: asyncio.Task[None] | None = None
        self._grant: Grant | None = None

    def start(self) -> None:
        """Begin to follow the server if enrolled."""
        identity = self._store.load()
        if identity is not None:
            self._follow(identity)

    async def stop(self) -> None:
        """Stop following and downloading."""
        self._watchers.close()
        await self._unfollow()
        await asyncio.to_thread(self._images.stop)

    def handlers(self, connection: socket.socket) -> dict[str, ipc.Handler]:
        """The closed set of verbs for :func:`twinhull_hypervisor.ipc.serve`, on one connection."""
        return {
            "enrol": self._verb_enrol,
            "grant": self._verb_grant,
            "grant_poll": self._verb_grant_poll,
            "state": self._verb_state,
            "watch": lambda _arguments, fds: self._verb_watch(connection, fds),
            "sync": self._verb_sync,
            "image": self._verb_image,
            "report": self._verb_report,
            "share": self._verb_share,
            "receipt": self._verb_receipt,
            "sign_wipe": self._verb_sign_wipe,
            "resolve": self._verb_resolve,
            "portal": self._verb_portal,
            "forget": self._verb_forget,
        }

    def _verb_enrol(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        arguments = _arguments(untrusted, EnrolArguments, fds, descriptors=1)
        token = parse_token(_read_secret(fds[0]))
        server = check_url(arguments.url)

        identity = self._in_loop(self._enrol(server, token, arguments.wireguard_public_key))
        return _enrolled(identity)

    async def _enrol(self, server: str, token: EnrolmentToken, wireguard_public_key: str) -> Identity:
        async with self._changing:
            identity = self._store.load()
            if identity is not None and identity.server != server:
                raise EnrolledWithAnother(server=identity.server)
            if identity is None:
                identity = await enrol(self._layout, self._store, server, token, wireguard_public_key)
                log.info("enrolled server=%s device=%s", server, identity.device_id)
                self._follow(identity)
            return identity

    def _verb_grant(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        arguments = _arguments(untrusted, GrantArguments, fds)

        async def run() -> Grant:
            async with self._changing:
                identity = self._store.load()
                # With the same server, core may not have heard how an enrolment ended.
                if identity is not None and identity.server != check_url(arguments.url):
                    raise EnrolledWithAnother(server=identity.server)
                return await begin(self._store, arguments.url, arguments.initiator)

        self._grant = grant = self._in_loop(run())
        log.info("device grant asked server=%s", grant.prompt.server)
        return msgspec.structs.asdict(grant.prompt)

    def _verb_grant_poll(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        asked = _arguments(untrusted, GrantPollArguments, fds)
        grant = self._grant
        agreed = (asked.server, asked.root_sha256, asked.ca_sha256)
        prompt = None if grant is None else grant.prompt
        if grant is None or prompt is None or agreed != (prompt.server, prompt.root_sha256, prompt.ca_sha256):
            raise NoGrant
        token = self._in_loop(grant.poll())
        if token is None:
            return {"wait_seconds": grant.wait_seconds(), "problem": grant.problem}
        identity = self._in_loop(self._enrol(asked.server, token, asked.wireguard_public_key))
        self._grant = None
        return {"wait_seconds": 0.0, "problem": "", "enrolled": _enrolled(identity)}

    def _verb_state(self, _untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        _refuse_descriptors(fds)
        follower = self._follower
        identity = follower.identity if follower else None
        return {
            "enrolled": identity is not None,
            "server": identity.server if identity else "",
            "tenant": identity.tenant if identity else "",
            "device_id": identity.device_id if identity else "",
            "enrol_epoch": identity.enrol_epoch if identity else 0,
            "enrolled_at": identity.enrolled_at if identity else 0.0,
            "connected": follower.connected if follower else False,
            "error": follower.error if follower else "",
        }

    def _verb_watch(self, connection: socket.socket, fds: list[int]) -> dict[str, Any]:
        _refuse_descriptors(fds)
        self._watchers.watch(connection)
        return {}

    def _verb_sync(self, _untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        _refuse_descriptors(fds)
        self._in_loop(self._enrolled().sync())
        return {}

    def _verb_image(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        image = _arguments(untrusted, ImageReference, fds)
        follower = self._enrolled()
        job = self._images.ask(image, lambda: (*follower.repository(), follower.identity.server))
        return {"received": job.received, "done": job.done, "error": job.error}

    def _verb_report(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        arguments = _arguments(untrusted, ReportArguments, fds)
        self._in_loop(self._enrolled().report(arguments.body))
        return {}

    def _verb_share(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        arguments = _arguments(untrusted, ShareArguments, fds)
        share = self._in_loop(self._enrolled().share(arguments.generation))
        return {"share": base64.b64encode(share).decode()}

    def _verb_receipt(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        arguments = _arguments(untrusted, ReportArguments, fds)
        follower = self._enrolled()
        receipt = parse_receipt(arguments.body.encode())
        _require_own(receipt, follower.identity)
        envelope = sign_receipt(receipt, CryptoSigner(self._store.key()))
        self._in_loop(follower.post_receipt(envelope))
        return {"envelope": envelope.decode()}

    def _verb_sign_wipe(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """Sign what the owner did. It is sent to nobody: what is wiped may be the personal partition."""
        arguments = _arguments(untrusted, ReportArguments, fds)
        receipt = parse_wipe(arguments.body.encode())
        _require_own(receipt, self._enrolled().identity)
        return {"envelope": sign_wipe(receipt, CryptoSigner(self._store.key())).decode()}

    def _verb_resolve(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        arguments = _arguments(untrusted, outside.ResolveArguments, fds)
        return {"addresses": list(self._in_loop(outside.resolve(arguments.name)))}

    def _verb_portal(self, untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        found = self._in_loop(outside.look(_arguments(untrusted, outside.PortalArguments, fds).url))
        return {
            "reach": found.reach,
            "location": found.location,
            "addresses": list(found.addresses),
            "resolvers": list(found.resolvers),
        }

    def _verb_forget(self, _untrusted: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        _refuse_descriptors(fds)

        async def run() -> None:
            async with self._changing:
                await self._unfollow()
                await asyncio.to_thread(self._images.stop)
                # The identity goes first: a laptop cut off here is not enrolled, and starts over cleanly.
                self._store.forget()
                remove_tree(self._layout.inbox)
                remove_tree(self._layout.repository)
                self._layout.prepare()

        self._in_loop(run())
        self._watchers.tell(STATE)
        return {}

    def _enrolled(self) -> Follower:
        if self._follower is None:
            raise NotEnrolled
        return self._follower

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(VERB_SECONDS)
        except RuntimeError as error:
            work.close()
            raise LocalFailure(detail="it is being stopped") from error
        except OSError as error:
            raise LocalFailure(detail=f"{error.filename or ''} {error.strerror or error}".strip()) from error

    def _follow(self, identity: Identity) -> None:
        self._follower = Follower(
            self._layout,
            self._store,
            identity,
            on_inbox=lambda: self._watchers.tell(INBOX),
            on_state=lambda: self._watchers.tell(STATE),
        )
        self._following = self._loop.create_task(self._follower.run())

    async def _unfollow(self) -> None:
        following, self._following = self._following, None
        follower, self._follower = self._follower, None
        if following is not None:
            following.cancel()
            await asyncio.wait([following])
        if follower is not None:
            await follower.settled()


def run_service(directory: Path, path: Path, allowed: frozenset[int]) -> None:
    """Serve on the socket at ``path`` until SIGTERM or SIGINT; one service a directory (a lock file)."""
    layout = Layout(directory)
    layout.prepare()
    with locked(directory / ".lock"):
        asyncio.run(_main(layout, path, allowed))


async def _main(layout: Layout, path: Path, allowed: frozenset[int]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = Service(layout)
    service.start()
    listener = ipc.listening_socket(path)
    serving = {"connections": CONNECTIONS}
    accepting = (listener, service.handlers, allowed)
    threading.Thread(target=ipc.serve, args=accepting, kwargs=serving, daemon=True).start()
    log.info("listening socket=%s", path)
    await stopping.wait()
    log.info("stopping")
    # close() alone does not wake accept(); shutdown() does.
    listener.shutdown(socket.SHUT_RDWR)
    await service.stop()
    listener.close()


def _require_own(receipt: Receipt | WipeReceipt, identity: Identity) -> None:
    own = (identity.tenant, identity.device_id, identity.enrol_epoch)
    if (receipt.tenant, receipt.device_id, receipt.enrol_epoch) != own:
        raise BadArguments(detail="the receipt is of another enrolment")


def _arguments(untrusted: dict[str, Any], kind: type[T], fds: list[int], descriptors: int = 0) -> T:
    """Arguments of the right shape and number of descriptors, which are closed if not."""
    try:
        if len(fds) != descriptors:
            raise BadArguments(detail=f"{len(fds)} descriptors came, not {descriptors}")
        return msgspec.convert(untrusted, kind)
    except (msgspec.ValidationError, BadArguments) as error:
        for fd in fds:
            os.close(fd)
        raise BadArguments(detail=str(error)) from error


def _enrolled(identity: Identity) -> dict[str, Any]:
    return {
        "tenant": identity.tenant,
        "device_id": identity.device_id,
        "enrol_epoch": identity.enrol_epoch,
        "server": identity.server,
    }


def _refuse_descriptors(fds: list[int]) -> None:
    _arguments({}, dict[str, Any], fds)


def _read_secret(fd: int) -> str:
    """A secret from a pipe's read end, which is closed; at most ``LIMITS.token_bytes``, within seconds."""
    content = b""
    try:
        while len(content) <= LIMITS.token_bytes:
            if not select.select([fd], [], [], LIMITS.connect_seconds)[0]:
                raise BadArguments(detail="no token came through its pipe")
            chunk = os.read(fd, LIMITS.token_bytes + 1)
            if not chunk:
                break
            content += chunk
    finally:
        os.close(fd)
    return content.decode("ascii", "replace")

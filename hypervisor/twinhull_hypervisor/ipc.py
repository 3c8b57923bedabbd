"""Core and helpers talk here: SOCK_SEQPACKET unix sockets, one JSON packet a message, peer credentials.

A packet is at most :data:`PACKET_LIMIT` bytes, so a message is read whole or refused whole and nothing is
ever reassembled. The server checks SO_PEERCRED (unix(7)) before it reads the first byte. File descriptors
travel as SCM_RIGHTS. The listening socket comes from the service manager (sd_listen_fds(3)) or, for a helper
started by hand, from a path it binds itself.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import grp
import logging
import os
import pwd
import select
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twinhull_policy.errors import Blame, ErrorReport, RemoteError, TwinhullError

logger = logging.getLogger(__name__)

CORE_USER = "twinhull"
"""The core's user, and the group that may connect to a helper of root's."""
PACKET_LIMIT = 64 * 1024
MAX_FDS = 4
WAITING = 256
"""Different events that may wait for one watcher."""
SEND_SECONDS = 5.0
"""A watcher that does not take a packet for this long is let go; it will connect again and look anew."""
_UCRED = struct.Struct("3i")
T = TypeVar("T")


class HelperUnreachable(TwinhullError):
    """The helper {helper} cannot be reached."""

    code = "TH-IPC-001"
    blame = Blame.UNREACHABLE
    next_step = "Run 'systemctl status twinhull.target', or installer/quickstart again."


class BadPacket(TwinhullError):
    """A message between Twinhull's own processes is malformed: {detail}."""

    code = "TH-IPC-002"
    blame = Blame.MALFORMED
    next_step = "The two processes may be of different versions; restart Twinhull."


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verb from a closed set, and its arguments."""

    verb: str
    arguments: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a result or an error."""

    result: Any = None
    error: ErrorReport | None = None


Handler = Callable[[dict[str, Any], list[int]], Any]
"""Takes the arguments and any descriptors (which it owns and closes); returns something JSON can carry."""


def send_packet(connection: socket.socket, payload: bytes, fds: list[int] | None = None) -> None:
    """Send one packet, with descriptors if given. Raises BadPacket when it is too long."""
    if len(payload) > PACKET_LIMIT:
        raise BadPacket(detail=f"{len(payload)} bytes, at most {PACKET_LIMIT} allowed")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    connection.sendmsg([payload], ancillary)


def receive_packet(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Receive one packet and its descriptors; empty bytes when the peer has gone."""
    size = array.array("i").itemsize
    payload, ancillary, flags, _ = connection.recvmsg(PACKET_LIMIT + 1, socket.CMSG_SPACE(MAX_FDS * size))
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % size])
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(payload) > PACKET_LIMIT:
        for fd in fds:
            os.close(fd)
        raise BadPacket(detail="too long")
    return payload, list(fds)


def converted(untrusted: Mapping[str, Any], shape: type[T], refused: type[TwinhullError]) -> T:
    """Arguments in the shape of their verb. Raises ``refused`` with a ``detail`` naming the field."""
    try:
        return msgspec.convert(untrusted, shape)
    except msgspec.ValidationError as error:
        raise refused(detail=str(error).rstrip(".")) from error


@contextlib.contextmanager
def owned(fds: list[int], count: int, refused: type[TwinhullError]) -> Iterator[None]:
    """Descriptors that came with a request: closed on leaving. Raises ``refused`` when there are others."""
    try:
        if len(fds) != count:
            raise refused(detail=f"{count} descriptors come with it")
        yield
    finally:
        for fd in fds:
            os.close(fd)


def call(
    path: Path,
    verb: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    fds: list[int] | None = None,
    timeout: float = 30.0,
) -> Any:
    """Ask a helper once and wait for its answer.

    Args:
        path: the helper's socket.
        verb: one of its verbs.
        arguments: JSON-compatible, bounded by PACKET_LIMIT.
        fds: descriptors to lend; the caller keeps its own.
        timeout: seconds, 1 to 600.

    Raises:
        HelperUnreachable: nobody listens, or no answer came in time.
        RemoteError: the helper refused or failed, in its own words.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            send_packet(connection, msgspec.json.encode(Request(verb, dict(arguments or {}))), fds)
            payload, received = receive_packet(connection)
        except OSError as error:
            raise HelperUnreachable(helper=path.stem) from error
        for fd in received:
            os.close(fd)
        if not payload:
            raise HelperUnreachable(helper=path.stem)
        reply = msgspec.json.decode(payload, type=Reply)
    if reply.error is not None:
        raise RemoteError(reply.error)
    return reply.result


def listening_socket(path: Path, mode: int = 0o660) -> socket.socket:
    """The socket the service manager passed (LISTEN_FDS), else one bound at ``path`` with ``mode``."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        return socket.socket(fileno=3)  # SD_LISTEN_FDS_START, sd_listen_fds(3)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    path.chmod(mode)
    listener.listen(8)
    return listener


def peer_uid(connection: socket.socket) -> int:
    """The uid at the other end, from SO_PEERCRED."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(credentials)[1])


def answer(connection: socket.socket, handlers: Mapping[str, Handler], allowed_uids: frozenset[int]) -> None:
    """Serve one connection: check who it is, then answer its requests one by one until it closes."""
    if peer_uid(connection) not in allowed_uids:
        return
    while True:
        fds: list[int] = []
        try:
            untrusted_payload, fds = receive_packet(connection)
            if not untrusted_payload:
                return
            try:
                request = msgspec.json.decode(untrusted_payload, type=Request)
            except (msgspec.DecodeError, RecursionError) as error:
                raise BadPacket(detail="not a request") from error
            handler = handlers.get(request.verb)
            if handler is None:
                raise BadPacket(detail="unknown verb")
            lent, fds = fds, []
            reply = Reply(result=handler(request.arguments, lent))
        except TwinhullError as error:
            reply = Reply(error=error.report())
        finally:
            for fd in fds:
                os.close(fd)
        try:
            send_packet(connection, msgspec.json.encode(reply))
        except (BrokenPipeError, ConnectionResetError):
            return


def serve(
    listener: socket.socket,
    handlers: Callable[[socket.socket], Mapping[str, Handler]],
    allowed_uids: frozenset[int],
    *,
    connections: int,
) -> None:
    """Answer connections, each on a thread, until the listener is shut down.

    Args:
        listener: listens already.
        handlers: the closed set of verbs for one connection.
        allowed_uids: who is answered; others are hung up on before a byte is read.
        connections: how many are attended to at once, 1 to 64; more wait in the listener's queue.
    """
    places = threading.BoundedSemaphore(connections)

    def attend(connection: socket.socket) -> None:
        try:
            with connection:
                answer(connection, handlers(connection), allowed_uids)
        except OSError as error:
            logger.info("a connection ended: %s", error.strerror)
        finally:
            places.release()

    while True:
        places.acquire()
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=attend, args=(connection,), daemon=True).start()


def core_uids() -> frozenset[int]:
    """Whom a helper answers: root, and the core's user where there is one."""
    try:
        return frozenset({0, pwd.getpwnam(CORE_USER).pw_uid})
    except KeyError:
        logger.warning("there is no user %s; only root is answered", CORE_USER)
        return frozenset({0})


def give_to_core(path: Path) -> None:
    """Let the core's group connect to the socket at ``path``; SO_PEERCRED still decides who is answered.

    Without CAP_CHOWN it takes being in that group: the service manager starts helpers with it.
    """
    try:
        gid = grp.getgrnam(CORE_USER).gr_gid
    except KeyError:
        return
    if path.is_socket() and path.stat().st_uid == os.getuid() and path.stat().st_gid != gid:
        try:
            os.chown(path, -1, gid)
        except PermissionError:
            logger.warning("%s stays root's alone: its service was not started in group %s", path, CORE_USER)


class Watchers:
    """The helper's side of the verb ``watch``: who watches, and what is waiting for each of them.

    Told of events in any thread, it sends them in the watching connections' own threads. A watcher that does
    not read, or a machine where something happens a thousand times a minute, costs a bounded amount of
    memory: equal events that wait are one; past :data:`WAITING` a watcher hears that some were lost.

    Args:
        lost: the event that says so.
    """

    def __init__(self, lost: msgspec.Struct) -> None:
        self._lost = msgspec.json.encode(lost)
        self._lock = threading.Lock()
        self._waiting: dict[int, dict[bytes, None]] = {}
        self._closing = False

    def tell(self, event: msgspec.Struct) -> None:
        """Something happened. Never waits."""
        payload = msgspec.json.encode(event)
        with self._lock:
            for wake, events in self._waiting.items():
                # Told again it moves to the end: after a pull, an earlier plug is not the last word.
                events.pop(payload, None)
                events[payload] = None
                if len(events) > WAITING:
                    events.clear()
                    events[self._lost] = None
                os.eventfd_write(wake, 1)

    def close(self) -> None:
        """End all watching."""
        with self._lock:
            self._closing = True
            for wake in self._waiting:
                os.eventfd_write(wake, 1)

    def watch(self, connection: socket.socket) -> None:
        """Answer the request, then send events until the other side closes or speaks again."""
        wake = os.eventfd(0, os.EFD_CLOEXEC)
        with self._lock:
            self._waiting[wake] = {}
        try:
            # Registered before the answer: what happens once the client has it is not missed.
            connection.settimeout(SEND_SECONDS)
            send_packet(connection, msgspec.json.encode(Reply(result={})))
            poll = select.poll()
            poll.register(wake, select.POLLIN)
            poll.register(connection, select.POLLIN | select.POLLHUP)
            while not self._closing:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if connection.fileno() in ready:
                    return
                os.eventfd_read(wake)
                with self._lock:
                    events, self._waiting[wake] = self._waiting[wake], {}
                for payload in events:
                    send_packet(connection, payload)
        except OSError:
            return  # the watcher went away, or does not read
        finally:
            with self._lock:
                del self._waiting[wake]
            os.close(wake)


async def follow(path: Path) -> AsyncIterator[bytes]:
    """What a helper sends after the verb ``watch``: its answer to that, then each event, unread.

    Raises:
        HelperUnreachable: it is not there, or went away; try again later.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(str(path))
            send_packet(connection, msgspec.json.encode(Request("watch")))
        except OSError as error:
            raise HelperUnreachable(helper=path.stem) from error
        connection.setblocking(False)
        readable = asyncio.Event()
        loop.add_reader(connection, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                for payload in _waiting(connection, path.stem):
                    yield payload
        finally:
            loop.remove_reader(connection)


def _waiting(connection: socket.socket, helper: str) -> list[bytes]:
    """All packets that are there now; raises HelperUnreachable when the other side closed."""
    packets: list[bytes] = []
    while True:
        try:
            payload, fds = receive_packet(connection)
        except BlockingIOError:
            return packets
        except OSError as error:
            raise HelperUnreachable(helper=helper) from error
        for fd in fds:
            os.close(fd)
        if not payload:
            if packets:
                return packets  # the end is seen again next time
            raise HelperUnreachable(helper=helper)
        packets.append(payload)

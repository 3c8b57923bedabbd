"""Core and helpers talk here: SOCK_SEQPACKET unix sockets, one JSON packet a message, peer credentials.

A packet is at most :data:`PACKET_LIMIT` bytes, so a message is read whole or refused whole and nothing is
ever reassembled. The server checks SO_PEERCRED (unix(7)) before it reads the first byte. File descriptors
travel as SCM_RIGHTS. The listening socket comes from the service manager (sd_listen_fds(3)) or, for a helper
started by hand, from a path it binds itself.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from twinhull_policy.errors import Blame, ErrorReport, RemoteError, TwinhullError

PACKET_LIMIT = 64 * 1024
MAX_FDS = 4
_UCRED = struct.Struct("3i")


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

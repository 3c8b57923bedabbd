"""The part of the NBD protocol that reading takes: fixed newstyle handshake, READ and DISC.

Every other request is refused, so nothing that a guest or its QEMU sends becomes more than a READ on the
stick. Source: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md; QEMU's nbd driver and
``qemu-img`` are what the tests read with.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Protocol

MOST_BYTES = 32 * 1024 * 1024
"""Of one request: the limit the protocol recommends, and QEMU keeps."""
_OPTION_BYTES = 8 * 1024
"""Of an option's data: a name of 4096 bytes and a list of what is asked about it."""
_OPTIONS = 64
"""Options in one handshake."""
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_OPTION, _REPLY = 0x49484156454F5054, 0x0003E889045565A9
_EXPORT_NAME, _ABORT, _LIST, _INFO, _GO = 1, 2, 3, 6, 7
_ACK, _SERVER, _INFORMATION, _UNSUPPORTED, _INVALID = 1, 2, 3, 2**31 + 1, 2**31 + 3
_ABOUT_EXPORT, _ABOUT_BLOCKS = 0, 3
_FLAGS = 1 | 2
"""NBD_FLAG_HAS_FLAGS and NBD_FLAG_READ_ONLY."""
_REQUEST, _SIMPLE_REPLY = 0x25609513, 0x67446698
_READ, _WRITE, _DISC = 0, 1, 2
_DISCARD_BYTES = 64 * 1024


class Disk(Protocol):
    """What is served."""

    size: int
    block_bytes: int

    def read(self, place: int, length: int) -> bytes:
        """Bytes within ``size``. Raises OSError; with ENODEV there is nothing more to come."""


class BadClient(Exception):
    """The other side does not speak the protocol; says how."""


def serve(connection: socket.socket, disk: Disk) -> None:
    """Answer one client until it goes, or the disk does.

    Raises:
        BadClient: it does not speak the protocol, or more than its bounds.
        OSError: the connection broke.
    """
    try:
        if _handshake(connection, disk):
            _transmission(connection, disk)
    except EOFError:
        return


def _handshake(connection: socket.socket, disk: Disk) -> bool:
    """Options, until the client begins to read; False if it leaves."""
    connection.sendall(struct.pack(">8sQH", b"NBDMAGIC", _OPTION, _FIXED_NEWSTYLE | _NO_ZEROES))
    (flags,) = struct.unpack(">I", _exactly(connection, 4))
    if flags & ~(_FIXED_NEWSTYLE | _NO_ZEROES):
        raise BadClient("flags that do not exist")
    for _ in range(_OPTIONS):
        magic, option, length = struct.unpack(">QII", _exactly(connection, 16))
        if magic != _OPTION or length > _OPTION_BYTES:
            raise BadClient("no option, or one that is too long")
        untrusted_data = _exactly(connection, length)
        if option == _EXPORT_NAME:
            zeroes = b"" if flags & _NO_ZEROES else bytes(124)
            connection.sendall(struct.pack(">QH", disk.size, _FLAGS) + zeroes)
            return True
        if option == _ABORT:
            _reply(connection, option, _ACK)
            return False
        if option == _LIST:
            _reply(connection, option, _SERVER, struct.pack(">I", 0))
            _reply(connection, option, _ACK)
        elif option in (_INFO, _GO):
            wanted = _asked_about(untrusted_data)
            if wanted is None:
                _reply(connection, option, _INVALID)
                continue
            _reply(connection, option, _INFORMATION, struct.pack(">HQH", _ABOUT_EXPORT, disk.size, _FLAGS))
            if _ABOUT_BLOCKS in wanted:
                sizes = struct.pack(">HIII", _ABOUT_BLOCKS, disk.block_bytes, 64 * 1024, MOST_BYTES)
                _reply(connection, option, _INFORMATION, sizes)
            _reply(connection, option, _ACK)
            if option == _GO:
                return True
        else:
            _reply(connection, option, _UNSUPPORTED)
    raise BadClient("too many options")


def _asked_about(untrusted_data: bytes) -> tuple[int, ...] | None:
    """What INFO and GO ask about an export, whatever it is called: there is one. None if malformed."""
    if len(untrusted_data) < 6:
        return None
    (name,) = struct.unpack_from(">I", untrusted_data)
    if len(untrusted_data) < 4 + name + 2:
        return None
    (count,) = struct.unpack_from(">H", untrusted_data, 4 + name)
    if len(untrusted_data) != 4 + name + 2 + 2 * count:
        return None
    return struct.unpack_from(f">{count}H", untrusted_data, 4 + name + 2)


def _reply(connection: socket.socket, option: int, kind: int, data: bytes = b"") -> None:
    connection.sendall(struct.pack(">QIII", _REPLY, option, kind, len(data)) + data)


def _transmission(connection: socket.socket, disk: Disk) -> None:
    while True:
        magic, flags, kind, cookie, place, length = struct.unpack(">IHHQQI", _exactly(connection, 28))
        if magic != _REQUEST:
            raise BadClient("no request")
        if kind == _DISC:
            return
        error, data, gone = 0, b"", False
        if kind == _WRITE:
            if length > MOST_BYTES:
                raise BadClient("a request that is too long")
            _discard(connection, length)
            error = errno.EPERM
        elif kind != _READ:
            error = errno.EPERM
        elif flags or not length or length > MOST_BYTES or place + length > disk.size:
            error = errno.EINVAL
        else:
            try:
                data = disk.read(place, length)
            except OSError as failed:
                error, gone = errno.EIO, failed.errno == errno.ENODEV
        connection.sendall(struct.pack(">IIQ", _SIMPLE_REPLY, error, cookie))
        if data:
            connection.sendall(data)
        if gone:
            return


def _exactly(connection: socket.socket, length: int) -> bytes:
    """So many bytes; raises EOFError when the other side closed."""
    content = bytearray()
    while len(content) < length:
        chunk = connection.recv(length - len(content))
        if not chunk:
            raise EOFError
        content += chunk
    return bytes(content)


def _discard(connection: socket.socket, length: int) -> None:
    while length:
        length -= len(_exactly(connection, min(length, _DISCARD_BYTES)))

"""What a viewer and the desktop app say to each other over their one SOCK_SEQPACKET socket.

One JSON object a packet, at most :data:`PACKET_LIMIT` bytes, at most one descriptor beside it. Every message
is a frozen dataclass whose fields are booleans or integers with declared bounds; there is no text in it. What
a guest wrote travels in one way only: as the bytes of a sealed memory beside an answer that was asked for.
Both sides use this module, so it is standard library only.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import json
import os
import socket
from dataclasses import dataclass, field
from typing import Any

PACKET_LIMIT = 1024
MAX_WIDTH = 7680
MAX_HEIGHT = 4320
BYTES_PER_PIXEL = 4
MAX_FRAME_BYTES = MAX_WIDTH * MAX_HEIGHT * BYTES_PER_PIXEL
MAX_CURSOR = 256
"""Widest and highest pointer image, pixels."""
MAX_CHANNELS = 16
"""Most connections one viewer may ask for in its life."""
MIN_WIDTH, MIN_HEIGHT = 320, 200
"""Smallest screen a guest is asked for; what is shown smaller is scaled."""
MAX_MM = 10_000
"""Largest screen for the eye, millimetres."""
MAX_CLIPBOARD = 64 * 1024
"""Most copied text, bytes: what the host carries at once (twinhull_policy.exchange, TEXT_BYTES)."""
MAX_IMAGE = 4 * 1024 * 1024
"""Most of a copied picture, bytes as PNG (twinhull_policy.exchange, IMAGE_BYTES)."""
MAX_GESTURE = 2**31
"""Gestures are numbered from 1; nobody makes more."""
NO_AGENT, NO_TEXT, TOO_LARGE = 1, 2, 3
"""Why there is no copied text: nothing in the guest answers such questions; it has none; it is too much."""
MAX_FILE = 32 * 1024 * 1024
"""Largest file, bytes (twinhull_policy.exchange, FILE_BYTES)."""
MAX_FILE_NAME = 255
"""Longest name of one, bytes (Linux, NAME_MAX)."""
NO_FILE, BROKEN_OFF = 2, 4
"""Why there is no file, beside NO_AGENT and TOO_LARGE: none is offered; it did not come to its end."""


class ProtocolError(Exception):
    """The peer sent something outside the protocol."""


def bounded(low: int, high: int) -> Any:
    """A field holding an integer from ``low`` to ``high`` inclusive."""
    return field(metadata={"low": low, "high": high})


def flag() -> Any:
    """A field holding a boolean."""
    return field()


@dataclass(frozen=True)
class ChannelRequest:
    """Viewer: give me one more connection to my partition's screen."""

    id: int = bounded(1, MAX_CHANNELS)


@dataclass(frozen=True)
class Frame:
    """Viewer: the screen has this size now; the pixels are in the sealed memory beside this message."""

    width: int = bounded(1, MAX_WIDTH)
    height: int = bounded(1, MAX_HEIGHT)
    stride: int = bounded(BYTES_PER_PIXEL, MAX_WIDTH * BYTES_PER_PIXEL)


@dataclass(frozen=True)
class Damage:
    """Viewer: these pixels of the current frame changed."""

    x: int = bounded(0, MAX_WIDTH)
    y: int = bounded(0, MAX_HEIGHT)
    width: int = bounded(1, MAX_WIDTH)
    height: int = bounded(1, MAX_HEIGHT)


@dataclass(frozen=True)
class Cursor:
    """Viewer: the pointer looks like the image beside this message (RGBA, rows without padding)."""

    width: int = bounded(1, MAX_CURSOR)
    height: int = bounded(1, MAX_CURSOR)
    hot_x: int = bounded(0, MAX_CURSOR)
    hot_y: int = bounded(0, MAX_CURSOR)


@dataclass(frozen=True)
class CursorHidden:
    """Viewer: the guest shows no pointer."""


@dataclass(frozen=True)
class ClipboardText:
    """Viewer: what was copied in the guest, asked for by gesture ``id``, is beside this message."""

    id: int = bounded(1, MAX_GESTURE)
    size: int = bounded(1, MAX_CLIPBOARD)


@dataclass(frozen=True)
class ClipboardImage:
    """Viewer: the picture copied in the guest, asked for by gesture ``id``, is beside this, as PNG."""

    id: int = bounded(1, MAX_GESTURE)
    size: int = bounded(1, MAX_IMAGE)


@dataclass(frozen=True)
class ClipboardNothing:
    """Viewer: nothing comes of gesture ``id``, for one of NO_AGENT, NO_TEXT and TOO_LARGE."""

    id: int = bounded(1, MAX_GESTURE)
    reason: int = bounded(NO_AGENT, TOO_LARGE)


@dataclass(frozen=True)
class ClipboardTaken:
    """Viewer: the guest took what gesture ``id`` offered, and it is gone from here."""

    id: int = bounded(1, MAX_GESTURE)


@dataclass(frozen=True)
class ClipboardAsk:
    """App: a person wants the text, or else the picture, that is copied in the guest now."""

    id: int = bounded(1, MAX_GESTURE)
    image: bool = flag()


@dataclass(frozen=True)
class ClipboardOffer:
    """App: the guest may take the text, or the picture, beside this message, once."""

    id: int = bounded(1, MAX_GESTURE)
    size: int = bounded(1, MAX_IMAGE)
    image: bool = flag()


@dataclass(frozen=True)
class ClipboardWithdraw:
    """App: gesture ``id`` is over; forget what was asked or offered for it."""

    id: int = bounded(1, MAX_GESTURE)


@dataclass(frozen=True)
class FileContent:
    """Viewer: the file that gesture ``id`` asked for: its content, then its name, are beside this."""

    id: int = bounded(1, MAX_GESTURE)
    size: int = bounded(0, MAX_FILE)
    name_size: int = bounded(1, MAX_FILE_NAME)


@dataclass(frozen=True)
class FileMoved:
    """Viewer: so much of gesture ``id``'s file has left the guest, or reached it."""

    id: int = bounded(1, MAX_GESTURE)
    done: int = bounded(0, MAX_FILE)
    size: int = bounded(0, MAX_FILE)


@dataclass(frozen=True)
class FileNothing:
    """Viewer: nothing comes of gesture ``id``: NO_AGENT, NO_FILE, TOO_LARGE or BROKEN_OFF."""

    id: int = bounded(1, MAX_GESTURE)
    reason: int = bounded(NO_AGENT, BROKEN_OFF)


@dataclass(frozen=True)
class FileStored:
    """Viewer: the guest says that it keeps gesture ``id``'s file, and it is gone from here."""

    id: int = bounded(1, MAX_GESTURE)


@dataclass(frozen=True)
class FileAsk:
    """App: a person wants the file that is offered in the guest now."""

    id: int = bounded(1, MAX_GESTURE)


@dataclass(frozen=True)
class FileBring:
    """App: the guest is to keep the file beside this message: content, then name."""

    id: int = bounded(1, MAX_GESTURE)
    size: int = bounded(0, MAX_FILE)
    name_size: int = bounded(1, MAX_FILE_NAME)


@dataclass(frozen=True)
class FileWithdraw:
    """App: gesture ``id`` is over; forget what was asked or brought for it."""

    id: int = bounded(1, MAX_GESTURE)


@dataclass(frozen=True)
class Channel:
    """App: the connection you asked for is beside this message."""

    id: int = bounded(1, MAX_CHANNELS)


@dataclass(frozen=True)
class ChannelRefused:
    """App: there is no such connection now."""

    id: int = bounded(1, MAX_CHANNELS)


@dataclass(frozen=True)
class Key:
    """App: a key; ``code`` is PC XT set 1, with 0x100 added for the codes prefixed 0xe0."""

    code: int = bounded(1, 0x1FF)
    down: bool = flag()


@dataclass(frozen=True)
class Pointer:
    """App: the pointer is at this pixel of the frame; ``buttons`` is SPICE's button mask."""

    x: int = bounded(0, MAX_WIDTH)
    y: int = bounded(0, MAX_HEIGHT)
    buttons: int = bounded(0, 0xFF)


@dataclass(frozen=True)
class Button:
    """App: a button (SPICE numbers: 1 left, 2 middle, 3 right, 4 wheel up, 5 wheel down)."""

    button: int = bounded(1, 7)
    down: bool = flag()
    buttons: int = bounded(0, 0xFF)


@dataclass(frozen=True)
class Shown:
    """App: what you announced has been painted; a screen nobody sees sends none, so its viewer rests."""


@dataclass(frozen=True)
class Resize:
    """App: the window has room for this many pixels, and is so large for the eye (guests scale by that)."""

    width: int = bounded(MIN_WIDTH, MAX_WIDTH)
    height: int = bounded(MIN_HEIGHT, MAX_HEIGHT)
    width_mm: int = bounded(1, MAX_MM)
    height_mm: int = bounded(1, MAX_MM)


FromClipboard = ClipboardText | ClipboardImage | ClipboardNothing | ClipboardTaken
ToClipboard = ClipboardAsk | ClipboardOffer | ClipboardWithdraw
FromFiles = FileContent | FileMoved | FileNothing | FileStored
ToFiles = FileAsk | FileBring | FileWithdraw
FromViewer = ChannelRequest | Frame | Damage | Cursor | CursorHidden | FromClipboard | FromFiles
FromApp = Channel | ChannelRefused | Key | Pointer | Button | Shown | Resize | ToClipboard | ToFiles
Message = FromViewer | FromApp

FROM_VIEWER: dict[str, type[Any]] = {
    "channel-request": ChannelRequest,
    "frame": Frame,
    "damage": Damage,
    "cursor": Cursor,
    "cursor-hidden": CursorHidden,
    "clipboard-text": ClipboardText,
    "clipboard-image": ClipboardImage,
    "clipboard-nothing": ClipboardNothing,
    "clipboard-taken": ClipboardTaken,
    "file-content": FileContent,
    "file-moved": FileMoved,
    "file-nothing": FileNothing,
    "file-stored": FileStored,
}
FROM_APP: dict[str, type[Any]] = {
    "channel": Channel,
    "channel-refused": ChannelRefused,
    "key": Key,
    "pointer": Pointer,
    "button": Button,
    "shown": Shown,
    "resize": Resize,
    "clipboard-ask": ClipboardAsk,
    "clipboard-offer": ClipboardOffer,
    "clipboard-withdraw": ClipboardWithdraw,
    "file-ask": FileAsk,
    "file-bring": FileBring,
    "file-withdraw": FileWithdraw,
}
CARRIES_DESCRIPTOR = (
    *(Frame, Cursor, Channel, ClipboardText, ClipboardImage, ClipboardOffer),
    *(FileContent, FileBring),
)
_NAMES = {kind: name for table in (FROM_VIEWER, FROM_APP) for name, kind in table.items()}


def encode(message: Message) -> bytes:
    """A message as one packet."""
    return json.dumps({"type": _NAMES[type(message)], **dataclasses.asdict(message)}).encode()


def decode(untrusted_packet: bytes, table: dict[str, type[Any]]) -> Any:
    """The message in a packet; ``table`` says which ones the peer may send.

    Raises:
        ProtocolError: it is too long, not JSON, of an unknown type, or a field is missing, spare, of
            another type or out of bounds.
    """
    if len(untrusted_packet) > PACKET_LIMIT:
        raise ProtocolError("too long")
    try:
        untrusted_fields = json.loads(untrusted_packet)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(untrusted_fields, dict):
        raise ProtocolError("not an object")
    untrusted_type = untrusted_fields.pop("type", None)
    kind = table.get(untrusted_type) if isinstance(untrusted_type, str) else None
    if kind is None:
        raise ProtocolError("unknown type")
    fields = dataclasses.fields(kind)
    if set(untrusted_fields) != {each.name for each in fields}:
        raise ProtocolError("missing or spare fields")
    for each in fields:
        untrusted_value = untrusted_fields[each.name]
        if "low" not in each.metadata:
            if type(untrusted_value) is not bool:
                raise ProtocolError(f"{each.name} is not a boolean")
        elif type(untrusted_value) is not int or not (
            each.metadata["low"] <= untrusted_value <= each.metadata["high"]
        ):
            raise ProtocolError(f"{each.name} is out of bounds")
    return kind(**untrusted_fields)


def send(connection: socket.socket, message: Message, fd: int | None = None) -> None:
    """Send one message, lending ``fd`` if given. Raises OSError as the socket does."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
    connection.sendmsg([encode(message)], rights, socket.MSG_NOSIGNAL)


def receive(connection: socket.socket, table: dict[str, type[Any]]) -> tuple[Any, int | None]:
    """Receive one message and the descriptor that belongs to it, which the caller then owns.

    Raises:
        EOFError: the peer has gone.
        ProtocolError: anything outside the protocol; every descriptor that came is closed.
        OSError: as the socket does, BlockingIOError when nothing is there.
    """
    size = array.array("i").itemsize
    packet, ancillary, flags, _ = connection.recvmsg(
        PACKET_LIMIT + 1, socket.CMSG_SPACE(size), socket.MSG_CMSG_CLOEXEC
    )
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % size])
    with contextlib.ExitStack() as undo:
        for fd in fds:
            undo.callback(os.close, fd)
        if not packet:
            raise EOFError
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise ProtocolError("too long, or too many descriptors")
        message = decode(packet, table)
        if len(fds) != (1 if isinstance(message, CARRIES_DESCRIPTOR) else 0):
            raise ProtocolError("a descriptor is missing or spare")
        undo.pop_all()
    return message, fds[0] if fds else None

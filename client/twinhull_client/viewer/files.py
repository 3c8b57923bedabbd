"""A file that the guest's person offers, and one that is brought there; only what a gesture on the host asks.

A SPICE port of its own (``org.twinhull.files.0``) leads to a small program in the guest. The host speaks and
the guest answers: each request has a number that cannot be foreseen, and what answers another one than the
last is dropped, as is all that comes unasked. So the guest can neither push nor pull.

Both ways the same frame, little endian: MAGIC, kind, number, value, length; then so many bytes. What comes
where a frame should begin and is none is skipped, up to the next one: what was cut off spoils one gesture.

=======  ====================================  ==================================================
kind     request                               answer
=======  ====================================  ==================================================
OFFERED  what is offered?                      value: its size; bytes: its name
READ     value: where to read from             value: the same; bytes: what is there, none at the end
TAKEN    the offer is over                     the same
BEGIN    value: a size; bytes: a name          the same, without bytes
WRITE    value: where to; bytes: what to       the same, without bytes
END      all was written: keep it              the same
STOP     forget what was begun                 the same
NOTHING                                        there is no such thing, or it could not be done
=======  ====================================  ==================================================
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from typing import Any

from gi.repository import GObject  # type: ignore[import-not-found]

from twinhull_client.viewer import protocol
from twinhull_client.viewer.canvas import sealed_memory

PORT = "org.twinhull.files.0"
MAGIC = b"TWHF"
FRAME = struct.Struct("<4sIIQI")
NOTHING, OFFERED, READ, TAKEN, BEGIN, WRITE, END, STOP = range(8)
PART = 64 * 1024
"""Most bytes of a frame, beside its head."""
NUMBER_BYTES = 4

Send = Callable[[protocol.FromFiles, int | None], object]

_DONE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Pipe:
    """Writes to a port. By ctypes: SPICE's library keeps the bytes by reference until it has sent them
    (spice_port_channel_write_async), and PyGObject would have freed its copy by then."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._write = ctypes.CDLL("libspice-client-glib-2.0.so.8").spice_port_channel_write_async
        pointer = ctypes.c_void_p
        self._write.argtypes = (pointer, pointer, ctypes.c_size_t, pointer, _DONE, pointer)
        self._write.restype = None
        self._kept: dict[int, Any] = {}
        self._next = 0
        self._done = _DONE(lambda _source, _result, key: self._kept.pop(key, None))

    def write(self, content: bytes) -> None:
        """Have it sent."""
        self._next += 1
        kept = ctypes.create_string_buffer(content, len(content))
        self._kept[self._next] = kept
        # the hash of a GObject's wrapper is the object's address (PyGObject, pygobject_hash)
        self._write(hash(self._channel), kept, len(content), None, self._done, self._next)


class Files:
    """One guest's port.

    Args:
        channel: SPICE's port channel.
        send: sends to the app; takes the message and the descriptor it lends.
    """

    def __init__(self, channel: Any, send: Send) -> None:
        self._channel, self._send = channel, send
        self._pipe = Pipe(channel)
        self._pending = bytearray()
        self._number = 0
        self._forget()
        GObject.Object.connect(channel, "port-data", self._on_data)
        GObject.Object.connect(channel, "notify::port-opened", lambda _channel, _property: self._on_opened())

    def _forget(self) -> None:
        self._gesture, self._expects = 0, STOP
        self._name, self._size, self._at = b"", 0, 0
        self._content = bytearray()

    # -- what the app wants ----------------------------------------------------------------------------

    def ask(self, gesture: int) -> None:
        """Ask the guest for the file that is offered there; an earlier gesture is forgotten."""
        if self._begin(gesture):
            self._request(OFFERED)

    def bring(self, gesture: int, name: bytes, content: bytes) -> None:
        """Have the guest keep a file."""
        if self._begin(gesture):
            self._name, self._size, self._content = name, len(content), bytearray(content)
            self._request(BEGIN, self._size, name)

    def withdraw(self, gesture: int) -> None:
        """Forget a gesture; what was begun in the guest is thrown away there."""
        if gesture == self._gesture:
            self._stop()

    def _begin(self, gesture: int) -> bool:
        if self._gesture:
            self._stop()
        named = self._channel.get_property("port-name") == PORT
        if not named or not self._channel.get_property("port-opened"):
            self._send(protocol.FileNothing(gesture, protocol.NO_AGENT), None)
            return False
        self._gesture = gesture
        return True

    def _stop(self) -> None:
        self._forget()
        del self._pending[:1]  # should a frame have been cut off, it does not take in what comes next
        self._request(STOP)

    def _fail(self, reason: int) -> None:
        gesture = self._gesture
        self._stop()
        self._send(protocol.FileNothing(gesture, reason), None)

    def _request(self, kind: int, value: int = 0, content: bytes = b"") -> None:
        self._number = int.from_bytes(os.urandom(NUMBER_BYTES), "little")  # nobody answers unasked
        self._expects = kind
        self._pipe.write(FRAME.pack(MAGIC, kind, self._number, value, len(content)) + content)

    # -- what the guest says ---------------------------------------------------------------------------

    def _on_opened(self) -> None:
        """The guest's program came or went: nothing that was begun goes on."""
        self._pending.clear()
        gesture = self._gesture
        self._forget()
        if gesture:
            self._send(protocol.FileNothing(gesture, protocol.BROKEN_OFF), None)

    def _on_data(self, _channel: Any, address: int | None, size: int) -> None:
        if not address or size < 1:
            return
        self._pending += ctypes.string_at(address, size)
        while self._at_a_frame():
            _magic, kind, number, value, length = FRAME.unpack_from(self._pending)
            whole = FRAME.size + length
            if length <= PART and len(self._pending) < whole:
                return
            untrusted_content = bytes(self._pending[FRAME.size : whole]) if length <= PART else b""
            del self._pending[: whole if length <= PART else 1]
            if self._gesture and number == self._number:
                if length <= PART:
                    self._on_answer(kind, value, untrusted_content)
                else:
                    self._fail(protocol.BROKEN_OFF)

    def _at_a_frame(self) -> bool:
        """Skip what is no frame; whether the head of one is there."""
        if not self._pending.startswith(MAGIC):
            at = self._pending.find(MAGIC)
            del self._pending[: at if at >= 0 else max(0, len(self._pending) - len(MAGIC) + 1)]
        return len(self._pending) >= FRAME.size

    def _on_answer(self, kind: int, value: int, untrusted_content: bytes) -> None:
        if kind == NOTHING and self._expects == OFFERED:
            gesture = self._gesture
            self._forget()
            self._send(protocol.FileNothing(gesture, protocol.NO_FILE), None)
        elif kind != self._expects:
            self._fail(protocol.BROKEN_OFF)
        elif kind == OFFERED:
            self._on_offered(value, untrusted_content)
        elif kind == READ:
            self._on_read(value, untrusted_content)
        elif kind in (BEGIN, WRITE):
            self._write_on()
        elif kind == END:
            gesture = self._gesture
            self._forget()
            self._send(protocol.FileStored(gesture), None)

    def _on_offered(self, size: int, untrusted_name: bytes) -> None:
        if not 1 <= len(untrusted_name) <= protocol.MAX_FILE_NAME:
            self._fail(protocol.BROKEN_OFF)
        elif size > protocol.MAX_FILE:
            self._fail(protocol.TOO_LARGE)
        else:
            self._name, self._size = untrusted_name, size
            self._read_on()

    def _read_on(self) -> None:
        self._send(protocol.FileMoved(self._gesture, len(self._content), self._size), None)
        if len(self._content) < self._size:
            self._request(READ, len(self._content))
        else:
            self._deliver()

    def _on_read(self, offset: int, untrusted_content: bytes) -> None:
        if offset != len(self._content) or not untrusted_content:
            self._fail(protocol.BROKEN_OFF)  # it has become shorter
            return
        self._content += untrusted_content[: self._size - offset]
        self._read_on()

    def _deliver(self) -> None:
        gesture, content, name = self._gesture, self._content, self._name
        self._forget()
        self._request(TAKEN)
        fd = sealed_memory("twinhull-file", len(content) + len(name))
        try:
            os.write(fd, content + name)
            self._send(protocol.FileContent(gesture, len(content), len(name)), fd)
        finally:
            os.close(fd)

    def _write_on(self) -> None:
        part = bytes(self._content[self._at : self._at + PART])
        self._send(protocol.FileMoved(self._gesture, self._at, self._size), None)
        if part:
            at, self._at = self._at, self._at + len(part)
            self._request(WRITE, at, part)
        else:
            self._request(END)

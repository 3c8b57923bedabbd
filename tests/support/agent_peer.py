"""The other end of a guest's SPICE agent channel: what a hostile or an honest agent says, said by a test.

The guest is real, on real QEMU with a real SPICE server: the one sector of agent_peer.s carries bytes between
the agent's channel and a socket. Messages are those of spice-protocol, vd_agent.h: chunks of (port, size), in
them messages of (protocol, type, opaque, size) and data.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".s")
QEMU = "/usr/bin/qemu-system-x86_64"
CHUNK, MESSAGE = struct.Struct("<II"), struct.Struct("<IIQI")
CLIENT_PORT, PROTOCOL = 1, 1
CHUNK_LIMIT = 2048
"""VD_AGENT_MAX_DATA_SIZE"""
TEXT, ANNOUNCE, GRAB, REQUEST, RELEASE = 4, 6, 7, 8, 9
UTF8, PNG, NONE = 1, 2, 0
CAPABILITIES = 1 << 5 | 1 << 6
"""Clipboard by demand, and selections."""
CLIPBOARD = struct.pack("<B3x", 0)
PATIENCE = 60.0


class Peer:
    """What a test puts at the end of a guest's channel; it listens on its own thread until it is closed."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._socket = connection
        self._thread = threading.Thread(target=self._listen, name=name)
        self._thread.start()

    def _listen(self) -> None:
        raise NotImplementedError

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            part = self._socket.recv(size - len(content))
            if not part:
                raise EOFError
            content += part
        return content

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._socket.close()


class AgentPeer(Peer):
    """The agent of one guest.

    Attributes:
        heard: types and data of the client's messages, in order.
        answer: called with each; what a test wants done at once.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._lock = threading.Lock()
        self.heard: list[tuple[int, bytes]] = []
        self.answer: Callable[[int, bytes], None] = lambda _kind, _data: None
        super().__init__(connection, "agent")

    def say(self, kind: int, data: bytes, *, announced: int | None = None) -> None:
        """Send one message; ``announced`` is the size it claims to have."""
        raw = MESSAGE.pack(PROTOCOL, kind, 0, len(data) if announced is None else announced) + data
        parts = [raw[at : at + CHUNK_LIMIT] for at in range(0, len(raw), CHUNK_LIMIT)]
        with self._lock, suppress(OSError):
            self._socket.sendall(b"".join(CHUNK.pack(CLIENT_PORT, len(part)) + part for part in parts))

    def text(self, content: bytes, form: int = UTF8, *, announced: int | None = None) -> None:
        """Say what is copied."""
        head = CLIPBOARD + struct.pack("<I", form)
        self.say(TEXT, head + content, announced=None if announced is None else announced + len(head))

    def grab(self, form: int = UTF8) -> None:
        """Say that something was copied."""
        self.say(GRAB, CLIPBOARD + struct.pack("<I", form))

    def request(self, form: int = UTF8) -> None:
        """Ask for the client's clipboard."""
        self.say(REQUEST, CLIPBOARD + struct.pack("<I", form))

    def of(self, kind: int) -> list[bytes]:
        """The data of all messages of one kind so far."""
        return [data for each, data in self.heard if each == kind]

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            pending = b""
            while True:
                _port, size = CHUNK.unpack(self._exactly(CHUNK.size))
                pending += self._exactly(size)
                while len(pending) >= MESSAGE.size:
                    _protocol, kind, _opaque, length = MESSAGE.unpack_from(pending)
                    if len(pending) < MESSAGE.size + length:
                        break
                    data = pending[MESSAGE.size : MESSAGE.size + length]
                    pending = pending[MESSAGE.size + length :]
                    if kind == ANNOUNCE:
                        self.say(ANNOUNCE, struct.pack("<II", 0, CAPABILITIES))
                    self.heard.append((kind, data))
                    self.answer(kind, data)


@contextmanager
def guest_with_agent(folder: Path, name: str) -> Iterator[tuple[Path, AgentPeer]]:
    """A guest; yields the socket of its SPICE server and its agent."""
    with guest_with_channel(folder, name, "spicevmc,id=channel,name=vdagent") as (spice, connection):
        peer = AgentPeer(connection)
        try:
            yield spice, peer
        finally:
            peer.close()


@contextmanager
def guest_with_channel(folder: Path, name: str, channel: str) -> Iterator[tuple[Path, socket.socket]]:
    """A guest that passes on what comes through a channel of SPICE's: a ``-chardev`` with the id ``channel``.

    Yields the socket of its SPICE server, and the other end, which whoever takes it closes.
    """
    disk, spice, port = folder / f"{name}.raw", folder / f"{name}.spice", folder / f"{name}.agent"
    built, linked = folder / f"{name}.o", folder / f"{name}.bin"
    subprocess.run(["/usr/bin/as", "--32", "-o", built, SOURCE], check=True, timeout=60)
    layout = ("-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00")
    subprocess.run(["/usr/bin/ld", *layout, "-o", linked, built], check=True, timeout=60)
    disk.write_bytes(linked.read_bytes())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(port))
        listener.listen(1)
        listener.settimeout(PATIENCE)
        process = subprocess.Popen(
            [
                *(QEMU, "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-display", "none"),
                *("-device", "VGA", "-drive", f"file={disk},format=raw,if=ide"),
                *("-chardev", channel, "-device", "isa-serial,chardev=channel"),
                *("-chardev", f"socket,id=peer,path={port}", "-device", "isa-serial,chardev=peer"),
                *("-spice", f"unix=on,addr={spice},disable-ticketing=on,agent-mouse=off"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            connection, _ = listener.accept()
            yield spice, connection
        finally:
            process.kill()
            process.wait(10)

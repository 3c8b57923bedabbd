"""The other end of a guest's port for files: the program of the golden images itself, or a test in its place.

The guest is real, on real QEMU with a real SPICE server; what its port carries goes through its one sector
(agent_peer.s) to a socket, where the program answers as it does on the virtio port of a Debian guest.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.agent_peer import Peer, guest_with_channel

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "installer/images/files/desktop/usr/lib/twinhull/files"
PYTHON = "/usr/bin/python3"
MAGIC = b"TWHF"
FRAME = struct.Struct("<4sIIQI")
NOTHING, OFFERED, READ, TAKEN, BEGIN, WRITE, END, STOP = range(8)
PORT = "spiceport,id=channel,name=org.twinhull.files.0"

Answer = tuple[int, int, bytes] | None


class Desk:
    """A person's home in a guest."""

    def __init__(self, folder: Path) -> None:
        self.home, self.runtime = folder / "home", folder / "run"
        for each in (self.home, self.runtime):
            each.mkdir(parents=True)
        self.downloads = self.home / "Downloads"

    @property
    def environment(self) -> dict[str, str]:
        """What its programs are started with."""
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "LANG": "C.UTF-8"}

    def offer(self, path: Path) -> subprocess.CompletedProcess[str]:
        """Choose Send To in a file's menu."""
        argv = [PYTHON, "-IB", str(PROGRAM), "offer", str(path)]
        return subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def kept(self) -> dict[str, bytes]:
        """What is in Downloads."""
        return {each.name: each.read_bytes() for each in self.downloads.glob("*")}

    @contextmanager
    def serving(self, connection: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
        """Have the program answer on a socket."""
        process = subprocess.Popen(
            [PYTHON, "-IB", str(PROGRAM), "serve", "0"],
            env=self.environment,
            stdin=connection.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


class FilePeer(Peer):
    """What a test answers in the program's place.

    Attributes:
        heard: kinds, values and bytes of the host's requests, in order.
        answer: what each one gets; None for nothing.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.heard: list[tuple[int, int, bytes]] = []
        self.number = 0
        self.answer: Callable[[int, int, bytes], Answer] = lambda _kind, _value, _content: None
        super().__init__(connection, "files")

    def say(self, kind: int, value: int, content: bytes, *, number: int, length: int | None = None) -> None:
        """Send one frame; ``length`` is what it claims to have."""
        head = FRAME.pack(MAGIC, kind, number, value, len(content) if length is None else length)
        with suppress(OSError):
            self._socket.sendall(head + content)

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                _magic, kind, number, value, length = FRAME.unpack(self._exactly(FRAME.size))
                content = self._exactly(length)
                self.number = number
                self.heard.append((kind, value, content))
                told = self.answer(kind, value, content)
                if told is not None:
                    self.say(*told, number=number)


@contextmanager
def guest_with_desk(folder: Path, name: str) -> Iterator[tuple[Path, Desk]]:
    """A guest whose files the images' own program answers for."""
    desk = Desk(folder / name)
    with guest_with_channel(folder, name, PORT) as (spice, connection), connection, desk.serving(connection):
        yield spice, desk


@contextmanager
def guest_with_file_peer(folder: Path, name: str) -> Iterator[tuple[Path, FilePeer]]:
    """A guest whose files a test answers for."""
    with guest_with_channel(folder, name, PORT) as (spice, connection):
        peer = FilePeer(connection)
        try:
            yield spice, peer
        finally:
            peer.close()


def old(desk: Desk, seconds: float) -> None:
    """Have an offer be so old."""
    link = desk.runtime / "twinhull-offer"
    at = link.lstat().st_mtime - seconds
    os.utime(link, (at, at), follow_symlinks=False)

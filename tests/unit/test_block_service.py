"""twinhull-blockd: whom it serves, for how long, and that nothing is left when it is over."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.block.client import ServeArguments, ask
from twinhull_hypervisor.block.service import MOST_SERVED, Blockd
from twinhull_hypervisor.ipc import call, listening_socket, serve
from twinhull_policy.errors import RemoteError
from twinhull_policy.names import Partition

from tests.support.stick_pipes import StickPipes, oserror

CONTENT = os.urandom(64 * 1024)
ARGUMENTS = ServeArguments(partition=Partition.PERSONAL, interface=0, endpoint_in=0x81, endpoint_out=2)
HELLO = struct.pack(">I", 3) + struct.pack(">QII", 0x49484156454F5054, 1, 0)
SECONDS = 60.0
NODE = Path(os.devnull)
"""Stands in for a node that devd opened; what is behind it is emulated."""


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Bench:
    """blockd on a socket, with emulated sticks behind the descriptors it is handed.

    Attributes:
        uid: as whom the partition's QEMU runs.
        sticks: what was claimed, and not let go of yet.
    """

    def __init__(self, directory: Path, patience: float = SECONDS) -> None:
        # Short, as a socket's address is at most 107 bytes (unix(7)) and pytest numbers its directories.
        self.directory = directory / "s"
        self.directory.mkdir()
        self.uid = os.getuid()
        self.path = directory / "blockd.sock"
        self.sticks: list[StickPipes] = []
        self.busy = False
        self.blockd = Blockd(
            self.directory, uid_of=lambda _: self._user(), pipes=self._pipes, patience=patience
        )
        self._listener = listening_socket(self.path)
        allowed = frozenset({os.getuid()})
        self._thread = threading.Thread(
            target=serve, args=(self._listener, self.blockd.handlers, allowed), kwargs={"connections": 4}
        )
        self._thread.start()

    def _user(self) -> int:
        if self.uid < 0:
            raise KeyError
        return self.uid

    @contextlib.contextmanager
    def _pipes(self, fd: int, _: ServeArguments) -> Iterator[StickPipes]:
        os.fstat(fd)
        if self.busy:
            raise oserror(errno.EBUSY)
        stick = StickPipes(CONTENT)
        self.sticks.append(stick)
        try:
            yield stick
        finally:
            self.sticks.remove(stick)

    def serve(self) -> Path:
        """Have a stick served; its socket."""
        with NODE.open() as node:
            return Path(ask(self.path, ARGUMENTS, node.fileno(), SECONDS).socket)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._listener.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(SECONDS)
        client.connect(str(path))
        yield client


def read(client: socket.socket, place: int, length: int) -> bytes:
    client.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, place, length))
    content = b""
    while len(content) < 16 + length:
        chunk = client.recv(65536)
        assert chunk
        content += chunk
    return content[16:]


def handshake(client: socket.socket) -> int:
    client.sendall(HELLO)
    content = b""
    while len(content) < 28:
        chunk = client.recv(28 - len(content))
        assert chunk, "it hung up"
        content += chunk
    return int.from_bytes(content[18:26], "big")


def test_one_client_of_the_right_user_reads_and_then_all_is_let_go(bench: Bench) -> None:
    before = descriptors()
    path = bench.serve()
    assert path.parent == bench.directory and len(path.stem) == 32
    with connected(path) as client:
        assert handshake(client) == len(CONTENT)
        assert read(client, 512, 1000) == CONTENT[512:1512]
        with pytest.raises(ConnectionRefusedError), connected(path):
            raise AssertionError("a second one was let in")
        assert path.is_socket(), "there for as long as it is served: the core looks"
    until(lambda: not path.exists() and not bench.sticks)
    until(lambda: descriptors() <= before)


def test_another_user_reads_not_one_byte_and_does_not_take_the_place(bench: Bench) -> None:
    bench.uid = os.getuid() + 1
    path = bench.serve()
    with connected(path) as stranger:
        assert stranger.recv(100) == b""
    assert bench.sticks and path.exists(), "it still waits for the right one"


def test_nobody_comes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, patience=0.05)
    path = bench.serve()
    until(lambda: not path.exists() and not bench.sticks)
    bench.close()


def test_a_stick_that_is_pulled_ends_it(bench: Bench) -> None:
    path = bench.serve()
    with connected(path) as client:
        handshake(client)
        bench.sticks[0].pulled = True
        client.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, 512))
        assert client.recv(16)[4:8] == struct.pack(">I", errno.EIO)
        assert client.recv(16) == b""
    until(lambda: not path.exists() and not bench.sticks)


def test_a_client_that_talks_nonsense_ends_it(bench: Bench) -> None:
    path = bench.serve()
    with connected(path) as client:
        client.sendall(b"\xff" * 100)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(100):
                pass
    until(lambda: not path.exists() and not bench.sticks)


def test_no_more_than_so_many(bench: Bench) -> None:
    for _ in range(MOST_SERVED):
        bench.serve()
    with pytest.raises(RemoteError) as refused:
        bench.serve()
    assert refused.value.report().code == "TH-DEV-303"
    assert len(bench.sticks) == MOST_SERVED
    with connected(next(bench.directory.glob("*.sock"))):
        pass

    def served() -> bool:
        with contextlib.suppress(RemoteError):
            return bool(bench.serve())
        return False

    until(served)


@pytest.mark.parametrize(
    ("arguments", "nodes", "code"),
    [
        ({}, 1, "TH-DEV-301"),
        ({"partition": "net", "interface": 0, "endpoint_in": 129, "endpoint_out": 2}, 1, "TH-DEV-301"),
        ({"partition": "personal", "interface": 32, "endpoint_in": 129, "endpoint_out": 2}, 1, "TH-DEV-301"),
        ({"partition": "personal", "interface": 0, "endpoint_in": 2, "endpoint_out": 2}, 1, "TH-DEV-301"),
        ({"partition": "personal", "interface": 0, "endpoint_in": 129, "endpoint_out": 129}, 1, "TH-DEV-301"),
        ({"partition": "personal", "interface": 0, "endpoint_in": 129, "endpoint_out": 2}, 0, "TH-DEV-301"),
        ({"partition": "personal", "interface": 0, "endpoint_in": 129, "endpoint_out": 2}, 2, "TH-DEV-301"),
    ],
)
def test_what_is_no_request_is_refused_and_its_descriptors_closed(
    bench: Bench, arguments: dict[str, object], nodes: int, code: str
) -> None:
    before = descriptors()
    with NODE.open() as node, pytest.raises(RemoteError) as refused:
        call(bench.path, "serve", arguments, fds=[node.fileno()] * nodes)
    assert refused.value.report().code == code
    until(lambda: descriptors() <= before)


def test_one_that_is_held_or_whose_partition_has_no_user_is_not_served(bench: Bench) -> None:
    for change in ({"busy": True}, {"busy": False, "uid": -1}):
        vars(bench).update(change)
        with pytest.raises(RemoteError) as refused:
            bench.serve()
        assert refused.value.report().code == "TH-DEV-302"
    assert list(bench.directory.iterdir()) == [] and bench.sticks == []


def test_what_a_process_before_it_served_is_seen_to_be_over(tmp_path: Path) -> None:
    left = tmp_path / "0.sock"
    left.touch()
    Blockd(tmp_path)
    assert not left.exists()

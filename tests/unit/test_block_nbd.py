"""The NBD server against QEMU's own client, and against clients that do not keep to the protocol."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.block import nbd
from twinhull_hypervisor.block.disk import UsbDisk

from tests.lab.usb_peer.storage import BLOCK
from tests.support.stick_pipes import StickPipes

CONTENT = b"".join(struct.pack(">Q", number) * (BLOCK // 8) for number in range(4000))
OPTION = 0x49484156454F5054


@contextmanager
def served(path: Path, pipes: StickPipes) -> Iterator[list[BaseException]]:
    """A stick on a socket, for one client; what its thread died of."""
    problems: list[BaseException] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(20)

        def attend() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    nbd.serve(connection, UsbDisk(pipes))
            except BaseException as error:
                problems.append(error)

        thread = threading.Thread(target=attend)
        thread.start()
        yield problems
        thread.join(20)
        assert not thread.is_alive()


def qemu_io(path: Path, *commands: str) -> str:
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "-r", "-f", "raw", *words, f"nbd:unix:{path}"], capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def test_qemu_copies_the_whole_stick(tmp_path: Path) -> None:
    with served(tmp_path / "s", StickPipes(CONTENT)) as problems:
        copy = ["qemu-img", "convert", "-f", "raw", "-O", "raw", f"nbd:unix:{tmp_path / 's'}"]
        subprocess.run([*copy, str(tmp_path / "copy")], check=True, timeout=60)
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert problems == []


def test_qemu_knows_that_it_cannot_write(tmp_path: Path) -> None:
    pipes = StickPipes(CONTENT)
    with served(tmp_path / "s", pipes):
        opened = ["qemu-io", "-f", "raw", "-c", "write 0 512", f"nbd:unix:{tmp_path / 's'}"]
        said = subprocess.run(opened, capture_output=True, text=True, timeout=60)
    assert said.returncode != 0 and "Permission denied" in said.stderr, said.stderr
    assert 0x2A not in pipes.stick.record.scsi


def test_a_stick_that_is_pulled_is_an_error_in_the_guest_and_ends_the_serving(tmp_path: Path) -> None:
    pipes = StickPipes(CONTENT)
    receive, reads = pipes.receive, []

    def pull_soon(length: int, timeout_ms: int) -> bytes:
        reads.append(length)
        pipes.pulled = pipes.stick.record.scsi[0x28] >= 2
        return receive(length, timeout_ms)

    pipes.receive = pull_soon  # type: ignore[method-assign]
    with served(tmp_path / "s", pipes) as problems:
        said = qemu_io(tmp_path / "s", "read 0 1M", "read 0 512")
    assert "read failed" in said
    assert problems == []


class Client:
    """A client that says what a test wants."""

    def __init__(self, disk: UsbDisk) -> None:
        self.mine, theirs = socket.socketpair()
        self.mine.settimeout(20)
        self.outcome: list[BaseException | None] = []

        def attend() -> None:
            with theirs:
                try:
                    nbd.serve(theirs, disk)
                    self.outcome.append(None)
                except (nbd.BadClient, OSError) as error:
                    self.outcome.append(error)

        self._thread = threading.Thread(target=attend)
        self._thread.start()

    def begin(self) -> None:
        """Handshake as small as it can be."""
        assert self.take(18) == struct.pack(">8sQH", b"NBDMAGIC", OPTION, 3)
        self.mine.sendall(struct.pack(">I", 3) + struct.pack(">QII", OPTION, 1, 0))
        assert self.take(10) == struct.pack(">QH", len(CONTENT), 3)

    def request(self, kind: int, place: int, length: int, data: bytes = b"") -> tuple[int, bytes]:
        """One request; its error, and the data that came."""
        self.mine.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 77, place, length) + data)
        magic, error, cookie = struct.unpack(">IIQ", self.take(16))
        assert (magic, cookie) == (0x67446698, 77)
        return error, b"" if error or kind else self.take(length)

    def take(self, length: int) -> bytes:
        """So many bytes."""
        content = b""
        while len(content) < length:
            chunk = self.mine.recv(length - len(content))
            assert chunk, "it hung up"
            content += chunk
        return content

    def end(self) -> BaseException | None:
        """Hang up; what came of it on the other side."""
        self.mine.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.outcome[0]


@pytest.fixture
def pipes() -> StickPipes:
    return StickPipes(CONTENT)


@pytest.fixture
def client(pipes: StickPipes) -> Iterator[Client]:
    client = Client(UsbDisk(pipes))
    yield client
    client.end()


@pytest.mark.parametrize(
    ("kind", "place", "length", "data", "error"),
    [
        (0, 1, 511, b"", 0),
        (0, len(CONTENT) - 512, 513, b"", 22),
        (0, 2**64 - 1, 512, b"", 22),
        (0, 0, 0, b"", 22),
        (0, 0, 2**32 - 1, b"", 22),
        (1, 0, 512, bytes(512), 1),
        (3, 0, 0, b"", 1),
        (4, 0, 512, b"", 1),
        (6, 0, 512, b"", 1),
        (999, 0, 512, b"", 1),
    ],
    ids=[
        "read",
        "past the end",
        "far past",
        "nothing",
        "too much",
        "write",
        "flush",
        "trim",
        "zeroes",
        "unknown",
    ],
)
def test_each_request_has_one_answer(
    client: Client, pipes: StickPipes, kind: int, place: int, length: int, data: bytes, error: int
) -> None:
    client.begin()
    before = dict(pipes.stick.record.scsi)
    found, content = client.request(kind, place, length, data)
    assert found == error
    assert content == (CONTENT[place : place + length] if not error else b"")
    assert error == 0 or dict(pipes.stick.record.scsi) == before, "the stick was not asked"
    assert client.request(0, 0, 8) == (0, CONTENT[:8]), "it goes on"


def test_asking_about_the_disk_first(client: Client) -> None:
    client.take(18)
    client.mine.sendall(struct.pack(">I", 3))
    reply = struct.Struct(">QIII")
    for option, data, kinds in (
        (8, b"", [2**31 + 1]),
        (3, b"", [2, 1]),
        (6, struct.pack(">IH", 99, 0), [2**31 + 3]),
        (6, struct.pack(">IHH", 0, 1, 3), [3, 3, 1]),
        (7, struct.pack(">I2sH", 2, b"hi", 0), [3, 1]),
    ):
        client.mine.sendall(struct.pack(">QII", OPTION, option, len(data)) + data)
        for kind in kinds:
            magic, answered, found, length = reply.unpack(client.take(reply.size))
            assert (magic, answered, found) == (0x3E889045565A9, option, kind)
            client.take(length)
    assert client.request(0, 512, 4) == (0, CONTENT[512:516])


HELLO = struct.pack(">I", 3)
GO = HELLO + struct.pack(">QII", OPTION, 1, 0)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (struct.pack(">I", 4), "flags"),
        (HELLO + struct.pack(">QII", 7, 1, 0), "no option"),
        (HELLO + struct.pack(">QII", OPTION, 7, 2**31), "too long"),
        (HELLO + struct.pack(">QII", OPTION, 8, 0) * 65, "too many"),
        (GO + struct.pack(">IHHQQI", 1, 0, 0, 0, 0, 512), "no request"),
        (GO + struct.pack(">IHHQQI", 0x25609513, 0, 1, 0, 0, 2**32 - 1), "too long"),
    ],
    ids=["flags", "magic", "long option", "options", "request", "long write"],
)
def test_who_does_not_keep_to_it_is_hung_up_on(pipes: StickPipes, said: bytes, complaint: str) -> None:
    client = Client(UsbDisk(pipes))
    client.mine.sendall(said)
    with contextlib.suppress(ConnectionResetError):
        while client.mine.recv(65536):
            pass
    outcome = client.end()
    assert isinstance(outcome, nbd.BadClient) and complaint in str(outcome)


@given(st.sampled_from([b"", HELLO, GO]), st.binary(max_size=300))
def test_no_bytes_whatever_do_more_than_end_it(start: bytes, untrusted: bytes) -> None:
    pipes = StickPipes(CONTENT)
    client = Client(UsbDisk(pipes))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.mine.sendall(start + untrusted)
        client.mine.shutdown(socket.SHUT_WR)
        while client.mine.recv(65536):
            pass
    outcome = client.end()
    assert outcome is None or isinstance(outcome, nbd.BadClient | OSError)
    assert pipes.stick.record.scsi.keys() <= {0x00, 0x03, 0x12, 0x25, 0x28}
    assert pipes.stick._medium.read(0, len(CONTENT)) == CONTENT

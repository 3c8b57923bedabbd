"""A viewer is hostile: what it may send, and what everything else does to it."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot
from twinhull_client.gui.frame import cursor_image, map_frame
from twinhull_client.gui.viewer_link import ViewerLink
from twinhull_client.viewer import protocol
from twinhull_client.viewer.canvas import Canvas, sealed_memory


def open_descriptors() -> int:
    gc.collect()  # what earlier tests left to the collector is none of these tests' business
    return len(list(Path("/proc/self/fd").iterdir()))


def memory(size: int, seals: int) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


BOTH = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
BAD_FRAMES = {
    "not sealed": (64, 0, protocol.Frame(4, 4, 16)),
    "can shrink": (64, fcntl.F_SEAL_GROW, protocol.Frame(4, 4, 16)),
    "can grow": (64, fcntl.F_SEAL_SHRINK, protocol.Frame(4, 4, 16)),
    "one byte short": (63, BOTH, protocol.Frame(4, 4, 16)),
    "empty": (0, BOTH, protocol.Frame(4, 4, 16)),
    "stride below width": (64, BOTH, protocol.Frame(4, 4, 12)),
    "stride not whole pixels": (80, BOTH, protocol.Frame(4, 4, 18)),
    "larger than the limit": (64, BOTH, protocol.Frame(7680, 4320, 7680 * 4)),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_bad_frame_memory_is_refused_and_closed(case: str) -> None:
    size, seals, message = BAD_FRAMES[case]
    fd = memory(size, seals)
    with pytest.raises(protocol.ProtocolError):
        map_frame(message, fd)
    with pytest.raises(OSError):
        os.fstat(fd)


def test_a_file_a_socket_and_a_pipe_are_no_frame(tmp_path: Path) -> None:
    near, far = socket.socketpair()
    reader, writer = os.pipe()
    (tmp_path / "file").write_bytes(bytes(64))
    for fd in (near.detach(), reader, os.open(tmp_path / "file", os.O_RDWR)):
        with pytest.raises(protocol.ProtocolError):
            map_frame(protocol.Frame(4, 4, 16), fd)
    far.close()
    os.close(writer)


def test_good_frame_is_live_and_damage_is_bounded() -> None:
    fd = memory(64, BOTH)
    keep = os.dup(fd)
    frame = map_frame(protocol.Frame(4, 4, 16), fd)
    os.pwrite(keep, b"\x01\x02\x03\xff", 16)
    os.close(keep)
    assert frame.image.pixel(0, 1) & 0xFFFFFF == 0x030201
    assert frame.damaged(protocol.Damage(0, 0, 4, 4)) == frame.rect
    for damage in (
        protocol.Damage(1, 0, 4, 1),
        protocol.Damage(0, 4, 1, 1),
        protocol.Damage(7680, 0, 7680, 1),
    ):
        with pytest.raises(protocol.ProtocolError):
            frame.damaged(damage)


def test_cursor_is_copied_and_checked() -> None:
    image = cursor_image(protocol.Cursor(2, 2, 1, 1), sealed_memory("cursor", 16))
    assert (image.width(), image.height()) == (2, 2)
    with pytest.raises(protocol.ProtocolError):
        cursor_image(protocol.Cursor(2, 2, 3, 0), sealed_memory("cursor", 16))


BAD_PACKETS = {
    "garbage": b"\xff\xfe\x00",
    "not an object": b"[1]",
    "no type": b'{"x": 1}',
    "unknown type": b'{"type": "shell"}',
    "type not text": b'{"type": []}',
    "the app's own message": b'{"type": "key", "code": 1, "down": true}',
    "missing field": b'{"type": "frame", "width": 1, "height": 1}',
    "spare field": b'{"type": "damage", "x": 0, "y": 0, "width": 1, "height": 1, "title": "x"}',
    "negative": b'{"type": "damage", "x": -1, "y": 0, "width": 1, "height": 1}',
    "zero": b'{"type": "frame", "width": 0, "height": 1, "stride": 4}',
    "huge": b'{"type": "frame", "width": 99999999999999999999, "height": 1, "stride": 4}',
    "too wide": b'{"type": "frame", "width": 7681, "height": 1, "stride": 4}',
    "float": b'{"type": "frame", "width": 1.0, "height": 1, "stride": 4}',
    "boolean for number": b'{"type": "frame", "width": true, "height": 1, "stride": 4}',
    "too many channels": b'{"type": "channel-request", "id": 17}',
    "deep": b"[" * 1000,
    "too long": b" " * 2000,
}


@pytest.mark.parametrize("case", BAD_PACKETS)
def test_bad_packets_are_refused(case: str) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(BAD_PACKETS[case], protocol.FROM_VIEWER)


@given(st.binary(max_size=1100))
def test_random_bytes_are_refused(untrusted_packet: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):  # random bytes are never a message of ours
        protocol.decode(untrusted_packet, protocol.FROM_VIEWER)


def test_descriptors_that_do_not_belong_are_closed() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        before = open_descriptors()
        protocol.send(far, protocol.Damage(0, 0, 1, 1), far.fileno())
        with pytest.raises(protocol.ProtocolError):
            protocol.receive(near, protocol.FROM_VIEWER)
        protocol.send(far, protocol.Frame(1, 1, 4))
        with pytest.raises(protocol.ProtocolError):
            protocol.receive(near, protocol.FROM_VIEWER)
        assert open_descriptors() == before


def test_canvas_copies_only_the_damage() -> None:
    source = (ctypes.c_uint32 * 16)(*range(16))
    canvas = Canvas(4, 4, ctypes.addressof(source), 16)
    assert canvas.take_damage() is None
    canvas.invalidate(-5, 1, 7, 1)
    canvas.invalidate(50, 50, 1, 1)
    assert canvas.take_damage() == protocol.Damage(0, 1, 2, 1)
    pixels = [int.from_bytes(os.pread(canvas.fd, 4, 4 * n), sys.byteorder) for n in range(16)]
    assert pixels == [0, 0, 0, 0, 4, 5, *[0] * 10]
    canvas.close()


HOSTILE = {
    "crashes at once": "raise SystemExit(1)",
    "garbage": "s.send(b'garbage')",
    "damage without frame": """s.send(b'{"type":"damage","x":0,"y":0,"width":1,"height":1}')""",
    "unsealed frame": (
        "fd=os.memfd_create('x',os.MFD_ALLOW_SEALING);os.ftruncate(fd,64);"
        """socket.send_fds(s,[b'{"type":"frame","width":4,"height":4,"stride":16}'],[fd])"""
    ),
    "descriptor bomb": "socket.send_fds(s,[b'{}'],[0]*100)",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_viewer_is_ended_and_replaced(case: str, qtbot: QtBot) -> None:
    script = f"import os,socket,time\ns=socket.socket(fileno=0)\n{HOSTILE[case]}\ntime.sleep(60)"
    link = ViewerLink("corporate", argv=[sys.executable, "-c", script])
    reasons: list[object] = []
    link.trouble.connect(reasons.append)
    before = open_descriptors()
    link.start()
    qtbot.waitUntil(lambda: link.starts >= 2, timeout=20000)
    assert reasons
    assert link.frame is None
    link.stop()
    assert link.pid is None
    assert open_descriptors() == before

"""A stick's blocks are read as they are, from honest sticks and past lying ones, and nothing else is sent."""

from __future__ import annotations

import contextlib
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.block import scsi
from twinhull_hypervisor.block.bulkonly import BulkOnly, CheckCondition
from twinhull_hypervisor.block.disk import READ_BYTES, NotReadable, UsbDisk

from tests.lab.usb_peer.storage import BLOCK, Memory, Storage
from tests.support.stick_pipes import Scripted, StickPipes

CONTENT = b"".join(struct.pack(">Q", number) * (BLOCK // 8) for number in range(2000))
READING = {0x00, 0x03, 0x12, 0x25, 0x28, 0x88, 0x9E}
"""Operation codes of commands that bring data or none: TEST UNIT READY, REQUEST SENSE, INQUIRY, READ CAPACITY
(10), READ (10), READ (16), and READ CAPACITY (16) under SERVICE ACTION IN."""


def good(tag: int) -> bytes:
    return struct.pack("<4sIIB", b"USBS", tag, 0, 0)


def bad(tag: int) -> bytes:
    return struct.pack("<4sIIB", b"USBS", tag, 0, 1)


@pytest.mark.parametrize(
    ("place", "length"),
    [(0, 512), (0, 1), (511, 2), (512 * 7 + 3, 100_000), (0, len(CONTENT)), (len(CONTENT) - 1, 1)],
)
def test_any_stretch_is_what_the_stick_holds(place: int, length: int) -> None:
    disk = UsbDisk(StickPipes(CONTENT))
    assert disk.size == len(CONTENT)
    assert disk.read(place, length) == CONTENT[place : place + length]


def test_only_commands_that_read_are_sent_and_none_asks_for_too_much() -> None:
    pipes = StickPipes(CONTENT)
    disk = UsbDisk(pipes)
    disk.read(0, len(CONTENT))
    heads = [struct.unpack("<4sIIBBB16s", block) for block in pipes.sent]
    assert {command[0] for *_, command in heads} <= READING
    assert {flags for _, _, _, flags, *_ in heads} == {0x80}, "data comes from the device alone"
    assert max(length for _, _, length, *_ in heads) <= READ_BYTES
    assert pipes.stick.record.scsi.keys() <= READING


def test_a_disk_larger_than_two_tebibytes_takes_the_long_commands() -> None:
    assert scsi.read_command(5, 3)[0] == 0x28
    assert scsi.read_command(2**32 - 4, 3)[0] == 0x28
    wide = scsi.read_command(2**32 - 2, 3)
    assert (wide[0], struct.unpack_from(">QI", wide, 2)) == (0x88, (2**32 - 2, 3))
    assert scsi.capacity_10(struct.pack(">II", 0xFFFFFFFF, 512)) is None
    assert scsi.capacity_16(struct.pack(">QI20x", 2**33, 4096)).size == (2**33 + 1) * 4096


def test_a_stalled_transfer_is_cleared_and_the_read_fails_or_is_whole() -> None:
    pipes = StickPipes(CONTENT)
    disk = UsbDisk(pipes)
    pipes.stall_next = True
    with pytest.raises(OSError) as failed:
        disk.read(0, BLOCK)
    assert failed.value.errno == errno.EIO
    assert pipes.unstalled and pipes.resets
    assert disk.read(BLOCK, BLOCK) == CONTENT[BLOCK : 2 * BLOCK]


@pytest.mark.parametrize("said", [errno.ENODEV, errno.ESHUTDOWN, errno.ESRCH])
def test_a_stick_that_is_pulled_or_taken_back_is_gone(said: int) -> None:
    pipes = StickPipes(CONTENT)
    pipes.gone = said
    disk = UsbDisk(pipes)
    pipes.pulled = True
    with pytest.raises(OSError) as failed:
        disk.read(0, BLOCK)
    assert failed.value.errno == errno.ENODEV


class Reader(Storage):
    """A card reader: ``sense`` is what its commands but REQUEST SENSE and INQUIRY fail with."""

    sense: tuple[int, int, int] | None = None
    times = 10**9

    def _answer(self, command: bytes) -> bytes | tuple[int, int, int]:
        if self.sense is not None and command[0] not in (0x03, 0x12) and self.times:
            self.times -= 1
            return self.sense
        return super()._answer(command)


def reader(sense: tuple[int, int, int], times: int = 10**9) -> StickPipes:
    stick = Reader(Memory(CONTENT))
    stick.sense, stick.times = sense, times
    return StickPipes(stick=stick)


def test_one_that_has_to_wake_up_is_waited_for() -> None:
    assert UsbDisk(reader((6, 0x29, 0), times=2)).size == len(CONTENT)
    assert UsbDisk(reader((2, 0x04, 1), times=3)).size == len(CONTENT)


def test_a_reader_without_a_card_is_not_served() -> None:
    with pytest.raises(NotReadable, match="no medium"):
        UsbDisk(reader((2, 0x3A, 0)))


@pytest.mark.parametrize("sense", [(6, 0x28, 0), (2, 0x3A, 0)])
def test_another_card_is_never_read_as_the_first(sense: tuple[int, int, int]) -> None:
    pipes = StickPipes(stick=Reader(Memory(CONTENT)))
    disk = UsbDisk(pipes)
    assert isinstance(pipes.stick, Reader)
    pipes.stick.sense, pipes.stick.times = sense, 1
    for _ in range(2):
        with pytest.raises(OSError) as failed:
            disk.read(0, BLOCK)
        assert failed.value.errno == errno.ENODEV


def test_a_bad_block_is_an_error_and_not_the_end() -> None:
    pipes = StickPipes(stick=Reader(Memory(CONTENT)))
    disk = UsbDisk(pipes)
    assert isinstance(pipes.stick, Reader)
    pipes.stick.sense, pipes.stick.times = (3, 0x11, 0), 1
    with pytest.raises(OSError) as failed:
        disk.read(0, BLOCK)
    assert failed.value.errno == errno.EIO
    assert disk.read(0, BLOCK) == CONTENT[:BLOCK]


INQUIRY = bytes(36)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([b"\x03" + bytes(35), good(1)], "no disk"),
        ([b"\x7f" + bytes(35), good(1)], "no disk"),
        ([INQUIRY, good(2)], "what was not asked"),
        ([INQUIRY, b"USBS"], "how a command went"),
        ([INQUIRY, b"USBC" + good(1)[4:]], "what was not asked"),
        ([INQUIRY, good(1)[:12] + b"\x02"], "lost count"),
        ([INQUIRY, good(1), good(2), struct.pack(">II", 9, 0), good(3)], "0 bytes"),
        ([INQUIRY, good(1), good(2), struct.pack(">II", 9, 513), good(3)], "513 bytes"),
        ([INQUIRY, good(1), good(2), struct.pack(">II", 9, 2**31), good(3)], "bytes"),
        ([INQUIRY, good(1), good(2), b"short", good(3)], "its size"),
        (
            [INQUIRY, good(1), good(2), bytes([255] * 4 + [0, 0, 2, 0]), good(3), bytes([255] * 32), good(4)],
            "bytes",
        ),
        (
            [
                INQUIRY,
                good(1),
                good(2),
                bytes([255] * 4 + [0, 0, 2, 0]),
                good(3),
                struct.pack(">QI20x", 2**64 - 1, 512),
                good(4),
            ],
            "larger than any disk",
        ),
        ([], "No such device"),
    ],
)
def test_what_no_disk_answers_is_not_served(answers: list[bytes], reason: str) -> None:
    with pytest.raises(NotReadable, match=reason):
        UsbDisk(Scripted(answers))


@given(st.lists(st.binary(max_size=64), max_size=40), st.integers(0, 255))
def test_no_answers_whatever_do_more_than_fail(answers: list[bytes], units: int) -> None:
    pipes = Scripted(answers, units)
    try:
        disk = UsbDisk(pipes)
        assert 0 < disk.size <= scsi.MOST_BYTES
        disk.read(0, 1)
    except (NotReadable, OSError):
        pass
    assert all(block[15] in READING and block[12] == 0x80 for block in pipes.sent)


@given(st.lists(st.binary(max_size=64), max_size=10))
def test_a_command_ends_in_data_or_a_reason(answers: list[bytes]) -> None:
    with contextlib.suppress(CheckCondition, scsi.BadAnswer, OSError):
        assert len(BulkOnly(Scripted(answers)).command(scsi.INQUIRY, 36)) <= 36


def test_a_stick_that_fails_to_say_why_it_failed_is_asked_once() -> None:
    count = 2000
    pipes = Scripted([answer for tag in range(1, count) for answer in (b"", bad(tag))])
    with pytest.raises(NotReadable, match="fails to say why"):
        UsbDisk(pipes)
    assert len(pipes.sent) == 2

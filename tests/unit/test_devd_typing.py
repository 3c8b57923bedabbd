"""Boot reports, codes and bursts: the pure parts of admitting a keyboard."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.devices import usbfs
from twinhull_hypervisor.devices.bootreport import ATTEMPTS, Decoder, Entry, Key
from twinhull_hypervisor.devices.bursts import BURST_KEYS, BURST_SECONDS, Bursts, presses, watch

ENTER, ERASE, A = 0x28, 0x2A, 0x04
ROW = {str((n + 1) % 10): 0x1E + n for n in range(10)}
PAD = {str((n + 1) % 10): 0x59 + n for n in range(10)}
codes = st.text("0123456789", min_size=6, max_size=6)


def report(*usages: int, modifiers: int = 0) -> bytes:
    return bytes([modifiers, 0, *usages, *[0] * (6 - len(usages))])


def strokes(*usages: int) -> list[bytes]:
    return [one for usage in usages for one in (report(usage), report())]


def typed(code: str, *reports: bytes) -> tuple[Entry, list[str]]:
    decoder, entry = Decoder(), Entry(code)
    return entry, [entry.press(*key) for one in reports for key in decoder.feed(one)]


@given(codes, st.sampled_from([ROW, PAD]), st.integers(0, 255))
def test_a_typed_code_is_taken_from_row_and_keypad_whatever_is_held(
    code: str, keys: dict[str, int], modifiers: int
) -> None:
    reports = [r for digit in code for r in (report(keys[digit], modifiers=modifiers), report())]
    entry, progress = typed(code, *reports, *strokes(ENTER))
    assert progress == ["typed"] * 6 + ["done"]
    assert entry.wrong == 0


@given(codes, codes)
def test_another_code_is_wrong(code: str, other: str) -> None:
    entry, progress = typed(code, *strokes(*(ROW[digit] for digit in other)), *strokes(ENTER))
    assert progress[-1] == ("done" if code == other else "wrong")
    assert entry.wrong == (code != other)


def test_keys_that_overlap_are_each_one_press() -> None:
    """A fast typist holds a key while the next goes down, and a report comes twice."""
    one, two = ROW["1"], ROW["2"]
    reports = [report(one), report(one), report(one, two), report(two), report(two, one), report()]
    decoder = Decoder()
    assert [key for r in reports for key in decoder.feed(r)] == [
        ("digit", "1"),
        ("digit", "2"),
        ("digit", "1"),
    ]


def test_erase_takes_back_and_a_letter_spoils() -> None:
    code = "123456"
    keys = [ROW[digit] for digit in code]
    assert typed(code, *strokes(A, ERASE, *keys, ENTER))[1][-1] == "done"
    assert typed(code, *strokes(ERASE, *keys, ENTER))[1][-1] == "done"
    assert typed(code, *strokes(*keys, A, ENTER))[1][-1] == "wrong"
    assert typed(code, *strokes(*keys, ROW["7"], ENTER))[1][-1] == "wrong"
    assert typed(code, *strokes(ENTER))[1] == ["wrong"]


def test_three_wrong_ones_are_enough() -> None:
    entry, progress = typed("123456", *strokes(*[ENTER] * ATTEMPTS))
    assert progress == ["wrong"] * ATTEMPTS
    assert entry.given_up


def test_a_wrong_one_is_forgotten_before_the_next() -> None:
    right = [ROW[digit] for digit in "123456"]
    entry, progress = typed("123456", *strokes(A, ENTER, *right, ENTER))
    assert (progress[-1], entry.wrong, entry.given_up) == ("done", 1, False)


@pytest.mark.parametrize(
    "untrusted", [b"", b"\0\0\x1e", report(1, 1, 1, 1, 1, 1), report(3), report(0x1E, 2), bytes(7)]
)
def test_what_is_no_report_presses_nothing(untrusted: bytes) -> None:
    assert Decoder().feed(untrusted) == []


def test_rollover_does_not_forget_what_is_held() -> None:
    decoder = Decoder()
    held = report(ROW["1"])
    assert decoder.feed(held) == [("digit", "1")]
    assert decoder.feed(report(1, 1, 1, 1, 1, 1)) == []
    assert decoder.feed(held) == []


@given(st.lists(st.binary(max_size=64), max_size=50))
def test_any_bytes_are_bounded_keys(untrusted_reports: list[bytes]) -> None:
    decoder, entry = Decoder(), Entry("123456")
    for untrusted in untrusted_reports:
        keys = decoder.feed(untrusted)
        assert len(keys) <= 6
        for kind, digit in keys:
            assert (kind == "digit") == digit.isdigit()
            entry.press(kind, digit)
    assert 0 <= entry.count <= 32


def test_endless_typing_keeps_nothing() -> None:
    entry = Entry("123456")
    kind: Key = "digit"
    for _ in range(10_000):
        entry.press(kind, "1")
    assert entry.count == 32
    assert entry.press("enter", "") == "wrong"


def test_a_burst_is_so_many_presses_in_so_short_a_time() -> None:
    bursts = Bursts()
    step = BURST_SECONDS / (BURST_KEYS - 1)
    assert [bursts.press(n * step * 0.99) for n in range(BURST_KEYS)] == [False] * (BURST_KEYS - 1) + [True]


@given(st.floats(min_value=1.02, max_value=100.0))
def test_slower_than_that_is_a_person(slower: float) -> None:
    bursts = Bursts()
    step = BURST_SECONDS / (BURST_KEYS - 1) * slower
    assert not any(bursts.press(n * step) for n in range(500))


def test_only_presses_count_not_releases_nor_repetitions() -> None:
    events = b"".join(
        struct.pack("llHHi", 7, 500_000, kind, 30, value)
        for kind, value in ((1, 1), (1, 0), (1, 2), (0, 0), (4, 1), (1, 1))
    )
    assert list(presses(events)) == [7.5, 7.5]
    assert list(presses(events[:-1])) == [7.5]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[int]:
    """The writing end of what stands in for a keyboard's input node: a FIFO, found through sysfs' names."""
    (tmp_path / "sys/1-4:1.0/0003:046D:C31C.0001/input/input7/event3").mkdir(parents=True)
    os.mkfifo(tmp_path / "event3")
    fd = os.open(tmp_path / "event3", os.O_RDWR)
    yield fd
    os.close(fd)


def pressed(*times: float) -> bytes:
    return b"".join(struct.pack("llHHi", int(t), int(t % 1 * 1e6), 1, 30, 1) for t in times)


def test_a_new_keyboard_that_bursts_is_noticed(tmp_path: Path, node: int) -> None:
    os.write(node, pressed(*(1 + n / 100 for n in range(BURST_KEYS))))
    assert watch(tmp_path / "sys", tmp_path, seconds=20)


def test_a_person_typing_for_the_whole_time_is_left_alone(tmp_path: Path, node: int) -> None:
    os.write(node, pressed(*(1 + n / 10 for n in range(5 * BURST_KEYS))))
    assert not watch(tmp_path / "sys", tmp_path, seconds=0.5)


def test_watching_ends_when_the_keyboard_is_gone(tmp_path: Path) -> None:
    began = time.monotonic()
    assert not watch(tmp_path / "nothing", tmp_path, seconds=20)
    assert time.monotonic() - began < 5


def test_ioctl_numbers_are_the_kernels() -> None:
    """As <linux/usbdevice_fs.h> makes them on 64-bit; compared with a C compiler's once."""
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    assert (usbfs.CONTROL, usbfs.BULK) == (0xC0185500, 0xC0185502)
    assert (usbfs.CLAIM_INTERFACE, usbfs.RELEASE_INTERFACE) == (0x8004550F, 0x80045510)

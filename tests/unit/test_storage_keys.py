"""The key file: what opens it, what does not, and what is refused unread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twinhull_hypervisor.storage.errors import (
    BadKeyFile,
    BadPassphrase,
    LastSlot,
    NoSlot,
    OwnSlot,
    TooManyTries,
    WrongPassphrase,
    WrongRecoveryCode,
)
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.slots import Argon2Cost, Passphrase, wipe
from twinhull_hypervisor.storage.tuning import tuned
from twinhull_policy.names import Partition

QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
GOOD = b"correct horse battery"
OTHER = b"another passphrase"


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> KeyFile:
    return KeyFile(tmp_path / "keys.json", Partition.CORPORATE, clock, lambda: QUICK)


def test_what_goes_in_comes_out(file: KeyFile) -> None:
    key = file.create(GOOD)
    assert len(key) == 32
    assert file.unlock(GOOD) == key


def test_composed_and_decomposed_accents_are_one_passphrase(file: KeyFile) -> None:
    key = file.create("caf\u00e9 caf\u00e9".encode())
    assert file.unlock("cafe\u0301 cafe\u0301".encode()) == key


def test_slots(file: KeyFile) -> None:
    key = file.create(GOOD)
    (first,) = file.slots()
    second = file.add_passphrase(Passphrase(GOOD), OTHER)
    assert file.unlock(OTHER) == key
    with pytest.raises(OwnSlot):
        file.remove(first.id, Passphrase(GOOD))
    with pytest.raises(WrongPassphrase):
        file.remove(first.id, Passphrase(b"neither of the two"))
    file.remove(first.id, Passphrase(OTHER))
    with pytest.raises(WrongPassphrase):
        file.unlock(GOOD)
    with pytest.raises(LastSlot):
        file.remove(second, Passphrase(OTHER))
    with pytest.raises(NoSlot):
        file.remove("0" * 16, Passphrase(OTHER))
    file.change(OTHER, GOOD)
    assert file.unlock(GOOD) == key
    assert len(file.slots()) == 1
    with pytest.raises(WrongPassphrase):
        file.unlock(OTHER)


def test_a_bad_new_passphrase_changes_nothing(file: KeyFile, tmp_path: Path) -> None:
    file.create(GOOD)
    before = (tmp_path / "keys.json").read_bytes()
    with pytest.raises(BadPassphrase):
        file.change(GOOD, b"short")
    with pytest.raises(BadPassphrase):
        file.add_passphrase(Passphrase(GOOD), b"")
    assert (tmp_path / "keys.json").read_bytes() == before


def test_wrong_tries_are_counted_and_slow_down(file: KeyFile, clock: Clock, tmp_path: Path) -> None:
    key = file.create(GOOD)
    for _ in range(3):
        with pytest.raises(WrongPassphrase):
            file.unlock(OTHER)
    with pytest.raises(TooManyTries, match="in 2 seconds"):
        file.unlock(GOOD)
    another_process = KeyFile(tmp_path / "keys.json", Partition.CORPORATE, clock)
    with pytest.raises(TooManyTries):
        another_process.unlock(GOOD)
    clock.now += 2
    with pytest.raises(WrongPassphrase):
        file.unlock(OTHER)
    clock.now += 2
    with pytest.raises(TooManyTries, match="in 2 seconds"):
        file.unlock(GOOD)
    clock.now += 2
    assert file.unlock(GOOD) == key
    assert file.unlock(GOOD) == key


def test_a_clock_set_back_neither_frees_nor_locks_out(file: KeyFile, clock: Clock) -> None:
    file.create(GOOD)
    for _ in range(3):
        with pytest.raises(WrongPassphrase):
            file.unlock(OTHER)
    clock.now -= 100_000
    with pytest.raises(TooManyTries, match="in 2 seconds"):
        file.unlock(GOOD)
    clock.now += 2
    file.unlock(GOOD)


def test_a_new_volume_does_not_open_with_an_old_slot(file: KeyFile, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    file.create(GOOD)
    old = json.loads(path.read_bytes())
    file.create(OTHER)
    new = json.loads(path.read_bytes())
    new["slots"] = old["slots"]
    path.write_text(json.dumps(new))
    with pytest.raises(WrongPassphrase):
        file.unlock(GOOD)


def test_another_partitions_file_is_refused(file: KeyFile, tmp_path: Path) -> None:
    file.create(GOOD)
    other = KeyFile(tmp_path / "keys.json", Partition.PERSONAL)
    with pytest.raises(BadKeyFile, match="belongs to corporate"):
        other.unlock(GOOD)
    renamed = (tmp_path / "keys.json").read_text().replace('"corporate"', '"personal"')
    (tmp_path / "keys.json").write_text(renamed)
    with pytest.raises(WrongPassphrase):
        other.unlock(GOOD)


def edited(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The document with one place changed."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    target: Any = copy
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("slots", 0, "cost", "memory_kib"), 2**31),
        (("slots", 0, "cost", "memory_kib"), 1024 * 1024 + 1),
        (("slots", 0, "cost", "memory_kib"), 8),
        (("slots", 0, "cost", "iterations"), 0),
        (("slots", 0, "cost", "iterations"), 10**9),
        (("slots", 0, "cost", "lanes"), 17),
        (("slots", 0, "cost", "lanes"), -1),
        (("slots", 0, "cost", "lanes"), 1.5),
        (("slots", 0, "salt"), ""),
        (("slots", 0, "salt"), "AA=="),
        (("slots", 0, "nonce"), "not base64!"),
        (("slots", 0, "wrapped"), "AAAA"),
        (("slots", 0, "kind"), "none"),
        (("slots", 0, "id"), "../../etc"),
        (("slots",), []),
        (("version",), 2),
        (("partition",), "net"),
        (("generation",), ""),
        (("tries", "count"), -1),
        (("tries", "last"), -1.0),
        (("extra",), 1),
    ],
)
def test_absurd_files_are_refused(
    file: KeyFile, tmp_path: Path, path: tuple[str | int, ...], value: Any
) -> None:
    file.create(GOOD)
    document = json.loads((tmp_path / "keys.json").read_bytes())
    (tmp_path / "keys.json").write_text(json.dumps(edited(document, path, value)))
    with pytest.raises(BadKeyFile):
        file.unlock(GOOD)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 60_000, b"\xff" * 100, b" " * (64 * 1024 + 1), b'{"version":1,"version":1}']
)
def test_what_is_not_a_key_file_is_refused(file: KeyFile, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(BadKeyFile):
        file.unlock(GOOD)


def test_no_file_is_a_plain_error(file: KeyFile) -> None:
    with pytest.raises(BadKeyFile, match="No such file"):
        file.unlock(GOOD)


@settings(max_examples=25, deadline=None)
@given(passphrase=st.binary(max_size=64))
def test_no_other_passphrase_opens(tmp_path_factory: pytest.TempPathFactory, passphrase: bytes) -> None:
    file = KeyFile(tmp_path_factory.mktemp("keys") / "keys.json", Partition.PERSONAL, cost=lambda: QUICK)
    file.create(GOOD)
    if passphrase != GOOD:
        with pytest.raises(WrongPassphrase):
            file.unlock(passphrase)


def test_wipe_and_destroy(file: KeyFile, tmp_path: Path) -> None:
    key = file.create(GOOD)
    wipe(key)
    assert key == bytearray(32)
    file.destroy()
    assert list(tmp_path.iterdir()) == []
    file.destroy()


def test_a_file_of_before_opens(file: KeyFile, tmp_path: Path) -> None:
    """Without the fields that came later, and its slot's fields in the order of then."""
    key = file.create(GOOD)
    document = json.loads((tmp_path / "keys.json").read_bytes())
    del document["luks_slot"], document["settled"]
    slot = document["slots"][0]
    document["slots"] = [{name: slot[name] for name in ("id", "kind", "cost", "salt", "nonce", "wrapped")}]
    (tmp_path / "keys.json").write_text(json.dumps(document))
    assert file.unlock(GOOD) == key
    assert file.unsettled() is None


def test_a_new_recovery_code_voids_the_one_before(file: KeyFile) -> None:
    key = file.create(GOOD)
    first = file.add_recovery_code(Passphrase(GOOD))
    assert file.open(first) == key
    second = file.add_recovery_code(first)
    with pytest.raises(WrongRecoveryCode):
        file.open(first)
    assert file.open(second) == key
    assert [slot.kind for slot in file.slots()] == ["passphrase", "recovery-code"]


@pytest.mark.parametrize(
    ("memory_gib", "seconds", "expected"),
    [
        (4, 0.05, (128 * 1024, 16)),
        (8, 0.2, (128 * 1024, 5)),
        (16, 0.25, (256 * 1024, 4)),
        (64, 0.25, (512 * 1024, 4)),
        (64, 1.0, (512 * 1024 // 3, 3)),
        (2, 30.0, (128 * 1024, 3)),
        (1024, 0.0, (512 * 1024, 16)),
    ],
)
def test_work_suits_the_machine_and_is_never_below_the_default(
    memory_gib: int, seconds: float, expected: tuple[int, int]
) -> None:
    cost = tuned(memory_gib * 1024**2, lambda _: seconds)
    assert (cost.memory_kib, cost.iterations) == expected
    assert (cost.memory_kib, cost.iterations) >= (Argon2Cost().memory_kib, Argon2Cost().iterations)

"""Killed at every step of every change of the key slots: the old ones or the new ones, and a way in (P9)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from twinhull_hypervisor.storage import slots
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.slots import Argon2Cost, EscrowTarget, Passphrase, RecoveryCode
from twinhull_policy.errors import TwinhullError
from twinhull_policy.escrow import new_private_key
from twinhull_policy.names import Partition

from tests.support.killed import killed_before

QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
OLD, NEW, SECOND = b"the old passphrase", b"the new passphrase", b"a second passphrase"
TARGET = EscrowTarget(new_private_key()[1], "example", "laptop-1")
END = 100


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    """A passphrase is not stretched here: every step of every change derives several times."""
    monkeypatch.setattr(slots, "derive", lambda passphrase, salt, _: slots.expand(passphrase, salt))
    made = KeyFile(tmp_path / "keys.json", Partition.CORPORATE, cost=lambda: QUICK)
    made.create(OLD)
    return made


def opens(file: KeyFile, secret: Passphrase | RecoveryCode) -> bool:
    try:
        return len(file.open(secret)) == 32
    except TwinhullError:
        return False


CODE = RecoveryCode(bytes(16))


def with_code(file: KeyFile, code: RecoveryCode = CODE) -> None:
    """Give it a recovery code that the test knows."""
    original = RecoveryCode.new
    RecoveryCode.new = classmethod(lambda cls: code)  # type: ignore[method-assign, assignment]
    try:
        file.add_recovery_code(Passphrase(OLD))
    finally:
        RecoveryCode.new = original  # type: ignore[method-assign]


def extra_slot(file: KeyFile) -> str:
    return next(slot.id for slot in file.slots()[::-1])


CHANGES: dict[str, tuple[Callable[[KeyFile], object], Callable[[KeyFile], object]]] = {
    "add a passphrase": (lambda _: None, lambda file: file.add_passphrase(Passphrase(OLD), SECOND)),
    "add a code": (lambda _: None, lambda file: file.add_recovery_code(Passphrase(OLD))),
    "replace a code": (with_code, lambda file: file.add_recovery_code(Passphrase(OLD))),
    "remove": (
        lambda file: file.add_passphrase(Passphrase(OLD), SECOND),
        lambda file: file.remove(extra_slot(file), Passphrase(OLD)),
    ),
    "change": (lambda _: None, lambda file: file.change(OLD, NEW)),
    "recover": (with_code, lambda file: file.recover(CODE, NEW)),
    "escrow": (lambda _: None, lambda file: file.set_escrow(file.unlock(OLD), TARGET)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_cut_short_leaves_old_or_new(file: KeyFile, tmp_path: Path, name: str) -> None:
    prepare, change = CHANGES[name]
    prepare(file)
    old = {slot.id for slot in file.slots()}
    key = file.unlock(OLD)
    before = tmp_path.with_name(f"{tmp_path.name}-before")
    shutil.copytree(tmp_path, before)
    steps = []
    for number in range(END):
        shutil.rmtree(tmp_path)
        shutil.copytree(before, tmp_path)
        where = killed_before(number, tmp_path, lambda: change(file))
        now = {slot.id for slot in file.slots()}
        if where is None:
            assert now != old
            break
        steps.append(where)
        assert file.unlock(NEW if now != old and name in ("change", "recover") else OLD) == key, where
        change_again_or_done(file, change, done=now != old)
    assert any("os.rename" in step for step in steps)
    assert len(steps) in range(4, END - 1), steps


def change_again_or_done(file: KeyFile, change: Callable[[KeyFile], object], *, done: bool) -> None:
    """What was cut short before it took effect can be done again at once; nothing it left is in the way."""
    if not done:
        change(file)
        assert [path.name for path in file._path.parent.iterdir()] == ["keys.json"]

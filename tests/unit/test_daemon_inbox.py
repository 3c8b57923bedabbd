"""What of fetch's inbox takes effect: whole or not at all, and the last good policy stays (P5)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twinhull_hypervisor.daemon.inbox import Inbox, InboxIncomplete, InboxUnsafe, read_bounded
from twinhull_hypervisor.daemon.paths import Paths
from twinhull_hypervisor.daemon.state import Identity, Position, State
from twinhull_policy.errors import TwinhullError
from twinhull_policy.example import example_policy
from twinhull_policy.trust.documents import ImageReference, Images
from twinhull_policy.trust.envelope import envelope_hash

from tests.support.signing import DEVICE, NOW, Corporate

IMAGE = ImageReference(target="images/corporate-0.qcow2", sha256="ab" * 32, length=1000)


class Laptop:
    """An enrolled laptop's inbox in a directory, and the company that fills it."""

    def __init__(self, directory: Path) -> None:
        self.company = Corporate()
        self.paths = Paths(state=directory / "core", fetch=directory / "fetch", run=directory / "run")
        for path in (self.paths.state, self.paths.inbox / "bodies", self.paths.metadata / "root_history"):
            path.mkdir(parents=True)
        self.root = self.company.root()
        (self.paths.metadata / "root_history/1.root.json").write_bytes(self.root)
        self.state = State(self.paths.database)
        self.inbox = Inbox(self.state, self.paths)
        self.state.put(
            "identity",
            Identity(
                server="https://fleet.example",
                tenant=DEVICE.tenant,
                device_id=DEVICE.device_id,
                enrol_epoch=DEVICE.enrol_epoch,
                enrolled_at=float(NOW),
            ),
        )
        self.inbox.pin_root(hashlib.sha256(self.root).hexdigest())
        self.put_repository([IMAGE])
        self.statement = self.put(seq=1)

    def put_repository(self, images: list[ImageReference]) -> None:
        repository = self.company.repository(images)
        for name in ("timestamp", "snapshot", "targets"):
            (self.paths.metadata / f"{name}.json").write_bytes(getattr(repository, name))

    def put_body(self, **changes: object) -> str:
        policy = msgspec.structs.replace(example_policy(), **changes)
        body = self.company.body(policy)
        (self.paths.inbox / "bodies" / envelope_hash(body)).write_bytes(body)
        return envelope_hash(body)

    def put(self, **fields: Any) -> bytes:
        defaults: dict[str, Any] = {
            "policies": [self.put_body(name="first")],
            "images": Images(corporate=IMAGE),
        }
        raw = self.company.statement(**(defaults | fields))
        self.put_raw(raw)
        return raw

    def put_raw(self, raw: bytes) -> None:
        (self.paths.inbox / "statement.dsse").write_bytes(raw)


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    made = Laptop(tmp_path)
    assert made.inbox.accept(NOW)
    return made


def test_the_first_statement_is_put_in_force_and_survives_a_restart(laptop: Laptop) -> None:
    again = Inbox(laptop.state, laptop.paths)
    assert again.in_force is not None
    assert again.in_force.policy.name == "first"
    assert not again.accept(NOW)
    assert laptop.state.position().seq == 1


def test_a_newer_one_replaces_it(laptop: Laptop) -> None:
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement), policies=[laptop.put_body(name="second")])
    assert laptop.inbox.accept(NOW)
    assert laptop.inbox.in_force is not None
    assert laptop.inbox.in_force.policy.name == "second"


def _missing_body(laptop: Laptop) -> None:
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement), policies=["cd" * 32])


def _body_of_director(laptop: Laptop) -> None:
    body = laptop.company.body(example_policy(), laptop.company.director_keys)
    (laptop.paths.inbox / "bodies" / envelope_hash(body)).write_bytes(body)
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement), policies=[envelope_hash(body)])


def _body_swapped(laptop: Laptop) -> None:
    wanted = laptop.put_body(name="wanted")
    other = laptop.put_body(name="other")
    bodies = laptop.paths.inbox / "bodies"
    (bodies / wanted).write_bytes((bodies / other).read_bytes())
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement), policies=[wanted])


def _unlisted_image(laptop: Laptop) -> None:
    other = msgspec.structs.replace(IMAGE, sha256="cd" * 32)
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement), images=Images(corporate=other))


def _truncated(laptop: Laptop) -> None:
    raw = laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement))
    laptop.put_raw(raw[: len(raw) // 2])


def _endless(laptop: Laptop) -> None:
    laptop.put_raw(b"{" + b" " * 10_000_000)


def _a_link(laptop: Laptop) -> None:
    path = laptop.paths.inbox / "statement.dsse"
    path.unlink()
    path.symlink_to("/etc/passwd")


def _a_pipe(laptop: Laptop) -> None:
    path = laptop.paths.inbox / "statement.dsse"
    path.unlink()
    os.mkfifo(path)


def _old_repository(laptop: Laptop) -> None:
    repository = laptop.company.repository([IMAGE], versions=(1, 1, 1), expires=(NOW - 1, NOW - 1, NOW - 1))
    (laptop.paths.metadata / "timestamp.json").write_bytes(repository.timestamp)
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement))


ATTACKS: dict[str, Callable[[Laptop], None]] = {
    name.strip("_").replace("_", " "): attack
    for name, attack in list(globals().items())
    if name.startswith("_") and callable(attack) and not name.startswith("__")
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_refusal_keeps_the_last_good_policy_and_says_why(laptop: Laptop, name: str) -> None:
    before = laptop.inbox.in_force
    ATTACKS[name](laptop)
    with pytest.raises(TwinhullError) as caught:
        laptop.inbox.accept(NOW + 60)
    assert laptop.inbox.in_force == before
    assert laptop.state.position().seq == 1
    assert laptop.state.position().last_refusal.startswith(caught.value.code)
    assert laptop.state.read_log(1)[0].kind == "refused"
    again = Inbox(laptop.state, laptop.paths)
    assert again.in_force == before


def test_a_repeated_refusal_is_logged_once(laptop: Laptop) -> None:
    _missing_body(laptop)
    for _ in range(3):
        with pytest.raises(InboxIncomplete):
            laptop.inbox.accept(NOW)
    assert [entry.kind for entry in laptop.state.read_log(10)].count("refused") == 1


def test_a_clock_set_back_does_not_revive_what_expired(laptop: Laptop) -> None:
    expired = laptop.put(
        seq=2, prev_hash=envelope_hash(laptop.statement), issued_at=NOW - 7200, expires_at=NOW - 3600
    )
    laptop.put_raw(expired)
    with pytest.raises(TwinhullError):
        laptop.inbox.accept(NOW - 5000)
    assert laptop.state.position().time_floor == NOW


def test_a_commit_that_fails_leaves_the_old_state(laptop: Laptop) -> None:
    laptop.put(seq=2, prev_hash=envelope_hash(laptop.statement))
    laptop.state.close()
    with pytest.raises(TwinhullError):
        laptop.inbox.accept(NOW)
    reopened = State(laptop.paths.database)
    assert reopened.get("position", Position) is not None
    assert reopened.position().seq == 1
    reopened.close()


def test_bounded_reads(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    assert read_bounded(file, 100) == b"x" * 100
    with pytest.raises(InboxUnsafe):
        read_bounded(file, 99)
    with pytest.raises(InboxIncomplete):
        read_bounded(tmp_path / "nothing", 10)

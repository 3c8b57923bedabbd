"""The server's part of the corporate key: neither part opens alone, and the personal volume has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twinhull_hypervisor.storage.errors import BadKeyFile, ServerShareNeeded, WrongPassphrase
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.server_share import ServerPart
from twinhull_hypervisor.storage.slots import (
    Argon2Cost,
    EscrowTarget,
    Passphrase,
    RecoveryCode,
    Wrapper,
)
from twinhull_policy.errors import TwinhullError
from twinhull_policy.escrow import new_private_key, opened
from twinhull_policy.names import Partition

QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
GOOD, OTHER = b"correct horse battery", b"another staple entirely"


class Unreachable(TwinhullError):
    """No."""

    code = "TH-TST-001"
    next_step = "None."


class Server:
    """Shares as the company gives them out; and what the laptop keeps of them."""

    def __init__(self) -> None:
        self.here: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.reachable = True

    def held(self, generation: str) -> bytes | None:
        return self.here.get(generation)

    def ask(self, generation: str) -> bytes | None:
        self.asked.append(generation)
        if not self.reachable:
            raise Unreachable
        self.here[generation] = len(self.asked).to_bytes(32, "big")
        return self.here[generation]

    def forget(self) -> None:
        self.here.clear()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def file(path: Path, server: Server) -> KeyFile:
    return KeyFile(path, Partition.CORPORATE, cost=lambda: QUICK, shares=server)


def test_every_way_in_needs_the_servers_part(file: KeyFile, server: Server) -> None:
    key = file.create(GOOD)
    private, public = new_private_key()
    file.set_escrow(key, EscrowTarget(public, "example", "laptop-1"))
    code = file.add_recovery_code(Passphrase.of(GOOD))
    sealed = file.escrow()
    assert sealed is not None
    words = opened(json.dumps(_jsonable(sealed)).encode(), private)
    secrets = (Passphrase.of(GOOD), code, RecoveryCode.of(words.encode()))
    for secret in secrets:
        assert file.open(secret) == key
    (generation,) = server.asked
    for gone in ({}, {"0" * 32: server.here[generation]}, {generation: b"\xff" * 32}):
        kept, server.here = server.here, gone
        for secret in secrets:
            for _ in range(4):  # and none of it counts as a try
                with pytest.raises(ServerShareNeeded):
                    file.open(secret)
        with pytest.raises(ServerShareNeeded):
            file.recover(code, OTHER)
        with pytest.raises(ServerShareNeeded):
            file.change(GOOD, OTHER)
        server.here = kept
    assert file.open(code) == key


def _jsonable(sealed: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(sealed)


def test_what_is_wrapped_is_not_the_key(file: KeyFile, path: Path, server: Server) -> None:
    """Somebody who has the file and the passphrase, and strips what says that a part is missing."""
    key = file.create(GOOD)
    document = json.loads(path.read_bytes())
    server.here.clear()
    document["share"] = None
    path.write_text(json.dumps(document))
    with pytest.raises(WrongPassphrase):
        file.unlock(GOOD)
    # Also past the binding: what AES-GCM protects is another value than the key.
    part = ServerPart.of((1).to_bytes(32, "big"), document["generation"])
    assert part.applied(key) != key
    assert part.applied(part.applied(key)) == key


def test_it_is_forgotten_with_the_lease(file: KeyFile, server: Server) -> None:
    file.create(GOOD)
    file.forget_share()
    with pytest.raises(ServerShareNeeded):
        file.unlock(GOOD)


def test_it_is_forgotten_with_the_keys(file: KeyFile, server: Server) -> None:
    file.create(GOOD)
    file.destroy()
    assert server.here == {}


def test_a_new_key_has_a_new_part(file: KeyFile, server: Server) -> None:
    first = file.create(GOOD)
    rotation = file.begin_rotation(0)
    file.rotated(Passphrase.of(GOOD), rotation)
    assert len(set(server.asked)) == 2
    assert file.shared() == server.asked[1]
    del server.here[server.asked[0]]
    assert file.unlock(GOOD) == rotation.key != first


def test_without_the_server_there_is_no_new_key(file: KeyFile, path: Path, server: Server) -> None:
    server.reachable = False
    with pytest.raises(Unreachable):
        file.create(GOOD)
    assert not path.exists()
    server.reachable = True
    key = file.create(GOOD)
    before = path.read_bytes()
    server.reachable = False
    with pytest.raises(Unreachable):
        file.begin_rotation(0)
    assert path.read_bytes() == before
    assert file.unlock(GOOD) == key, "while the lease lasts no server is needed"


def test_the_personal_key_never_has_one(path: Path, server: Server) -> None:
    personal = KeyFile(path, Partition.PERSONAL, cost=lambda: QUICK, shares=server)
    key = personal.create(GOOD)
    rotation = personal.begin_rotation(0)
    assert (server.asked, rotation.server, personal.shared()) == ([], None, None)
    assert personal.unlock(GOOD) == key
    document = json.loads(path.read_bytes())
    document["share"] = "ab" * 16
    path.write_text(json.dumps(document))
    with pytest.raises(BadKeyFile):
        personal.unlock(GOOD)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_parts_are_bound_to_their_share_and_generation(one: bytes, other: bytes) -> None:
    parts = {ServerPart.of(share, name * 32) for share in (one, other) for name in "ab"}
    assert len(parts) == len({part.name for part in parts}) == len({part.mask for part in parts})
    assert len(parts) == (2 if one == other else 4)


def test_a_slot_of_another_part_opens_nothing() -> None:
    one, other = (ServerPart.of(bytes([n]) * 32, "a" * 32) for n in (1, 2))
    key, code = bytearray(range(32)), RecoveryCode.new()
    slot = Wrapper(Partition.CORPORATE, "a" * 32, one).recovery(key, code)
    assert Wrapper(Partition.CORPORATE, "a" * 32, one).unwrap(slot, code) == key
    assert Wrapper(Partition.CORPORATE, "a" * 32, other).unwrap(slot, code) is None
    assert Wrapper(Partition.CORPORATE, "a" * 32).unwrap(slot, code) is None

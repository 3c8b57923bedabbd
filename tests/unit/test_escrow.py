"""The employer's escrow: sealed by RFC 9180, bound to where it belongs, and never of the personal volume."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from twinhull_hypervisor.storage.errors import BadKeyFile, EscrowNever
from twinhull_hypervisor.storage.keys import KeyFile
from twinhull_hypervisor.storage.slots import Argon2Cost, EscrowTarget, Passphrase, RecoveryCode
from twinhull_policy.api.interface import RULES
from twinhull_policy.errors import TwinhullError
from twinhull_policy.escrow import BadEscrow, Sealed, new_private_key, opened, seal
from twinhull_policy.names import Partition
from twinhull_policy.parse import parse_policy
from twinhull_policy.recovery_code import from_words
from twinhull_policy.report import Report

from tests.support.source import ROOT

QUICK = Argon2Cost(memory_kib=64 * 1024, iterations=1, lanes=1)
PASSPHRASE = b"correct horse battery"
PRIVATE, PUBLIC = new_private_key()
BOUND = Sealed(
    tenant="example", device_id="laptop-1", slot="0123456789abcdef", generation="ab" * 16, public_key=PUBLIC
)
SECRET = bytes(range(16))
TARGET = EscrowTarget(PUBLIC, "example", "laptop-1")


def test_the_library_is_rfc_9180() -> None:
    """Its appendix A.1.1.1: base mode, X25519, HKDF-SHA256, AES-128-GCM, the first encryption."""
    private = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    )
    sender = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    sealed = "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
    decrypt: Any = openssl.hpke._decrypt_with_aad
    plain = decrypt(
        Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM),
        bytes.fromhex(sender + sealed),
        private,
        bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        b"Count-0",
    )
    assert plain == b"Beauty is truth, truth beauty"


def test_what_is_sealed_is_opened() -> None:
    document = msgspec.json.encode(seal(SECRET, BOUND))
    assert from_words(opened(document, PRIVATE).encode()) == SECRET


@pytest.mark.parametrize(
    "moved",
    [
        {"tenant": "another"},
        {"device_id": "laptop-2"},
        {"slot": "0" * 16},
        {"generation": "0" * 32},
        {"sealed": bytes(64)},
        {"sealed": b""},
        {"public_key": new_private_key()[1]},
    ],
    ids=str,
)
def test_moved_or_changed_it_opens_nothing(moved: dict[str, Any]) -> None:
    document = msgspec.structs.replace(seal(SECRET, BOUND), **moved)
    with pytest.raises(BadEscrow):
        opened(msgspec.json.encode(document), PRIVATE)


@pytest.mark.parametrize(
    "untrusted",
    [
        b"",
        b"[" * 5000,
        b"{}",
        b"x" * 10_000,
        msgspec.json.encode(seal(SECRET, BOUND)).replace(b'"corporate"', b'"personal"'),
        msgspec.json.encode(seal(SECRET, BOUND)).replace(b'"type"', b'"more":1,"type"'),
    ],
)
def test_what_is_no_sealed_escrow(untrusted: bytes) -> None:
    with pytest.raises(BadEscrow):
        opened(untrusted, PRIVATE)


@pytest.mark.parametrize("key", [b"", b"-----BEGIN PRIVATE KEY-----\n", PUBLIC.encode()])
def test_what_is_no_private_key(key: bytes) -> None:
    with pytest.raises(BadEscrow, match="private key"):
        opened(msgspec.json.encode(seal(SECRET, BOUND)), key)


def test_a_key_of_low_order_is_refused() -> None:
    """With it the shared secret would be known to everybody (RFC 9180, 7.1.4)."""
    zero = msgspec.structs.replace(BOUND, public_key="A" * 43 + "=")
    with pytest.raises(BadEscrow):
        seal(SECRET, zero)


def server(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from twinhull_policy.server.cli import main; main()"]
    environment = {"PYTHONPATH": str(ROOT / "policy"), "PATH": "/usr/bin:/bin"}
    words = [*program, "escrow", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=60)


def test_the_administrators_commands(tmp_path: Path) -> None:
    key, sealed = tmp_path / "escrow.key", tmp_path / "sealed.json"
    public = server("new", key).stdout.strip()
    assert key.stat().st_mode & 0o777 == 0o600
    assert server("new", key).returncode == 2
    sealed.write_bytes(msgspec.json.encode(seal(SECRET, msgspec.structs.replace(BOUND, public_key=public))))
    done = server("open", sealed, "--key", key)
    assert (done.returncode, from_words(done.stdout.encode())) == (0, SECRET)
    sealed.write_bytes(msgspec.json.encode(seal(SECRET, BOUND)))
    refused = server("open", sealed, "--key", key)
    assert (refused.returncode, "TH-VOL-013" in refused.stderr, refused.stdout) == (2, True, "")
    assert server("open", tmp_path / "none", "--key", key).returncode == 2


# The key file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def corporate(path: Path) -> KeyFile:
    return KeyFile(path, Partition.CORPORATE, cost=lambda: QUICK)


def test_the_employer_opens_the_corporate_volume(path: Path) -> None:
    file = corporate(path)
    key = file.create(PASSPHRASE)
    assert file.set_escrow(key, TARGET)
    assert not file.set_escrow(key, TARGET)
    sealed = file.escrow()
    assert sealed is not None
    code = RecoveryCode.of(opened(msgspec.json.encode(sealed), PRIVATE).encode())
    assert file.open(code) == key
    assert file.open(Passphrase(PASSPHRASE)) == key


@pytest.mark.parametrize(
    "target",
    [
        None,
        EscrowTarget(new_private_key()[1], "example", "laptop-1"),
        EscrowTarget(PUBLIC, "example", "laptop-2"),
    ],
)
def test_what_the_policy_says_now_replaces_what_it_said(path: Path, target: EscrowTarget | None) -> None:
    file = corporate(path)
    key = file.create(PASSPHRASE)
    file.set_escrow(key, TARGET)
    before = file.escrow()
    assert before is not None
    code = RecoveryCode.of(opened(msgspec.json.encode(before), PRIVATE).encode())
    assert file.set_escrow(key, target)
    with pytest.raises(TwinhullError, match="does not open"):
        file.open(code)
    assert (file.escrow() is None) == (target is None)
    assert len(file.slots()) == (1 if target is None else 2)


def test_recovering_seals_a_fresh_code(path: Path) -> None:
    file = corporate(path)
    key = file.create(PASSPHRASE)
    file.set_escrow(key, TARGET)
    before = file.escrow()
    assert before is not None
    code = RecoveryCode.of(opened(msgspec.json.encode(before), PRIVATE).encode())
    assert file.recover(code, b"a new passphrase")[0] == key
    after = file.escrow()
    assert after is not None
    assert (after.slot != before.slot, after.sealed != before.sealed) == (True, True)
    with pytest.raises(TwinhullError, match="does not open"):
        file.open(code)
    again = RecoveryCode.of(opened(msgspec.json.encode(after), PRIVATE).encode())
    assert file.open(again) == key


# The personal volume: no way leads to its key


def test_the_key_file_refuses_an_escrow_of_the_personal_volume(path: Path) -> None:
    file = KeyFile(path, Partition.PERSONAL, cost=lambda: QUICK)
    key = file.create(PASSPHRASE)
    before = path.read_bytes()
    with pytest.raises(EscrowNever):
        file.set_escrow(key, TARGET)
    with pytest.raises(EscrowNever):
        file.escrow()
    assert path.read_bytes() == before


def test_a_personal_key_file_with_an_escrow_slot_is_no_key_file(path: Path) -> None:
    """As somebody would write it who can write files: the slot is not there to be opened, or handed out."""
    other = path.with_name("corporate.json")
    file = corporate(other)
    file.set_escrow(file.create(PASSPHRASE), TARGET)
    path.write_bytes(
        other.read_bytes().replace(b'"partition":"corporate","gen', b'"partition":"personal","gen')
    )
    assert path.read_bytes() != other.read_bytes()
    with pytest.raises(BadKeyFile, match="only the corporate volume"):
        KeyFile(path, Partition.PERSONAL).open(Passphrase(PASSPHRASE))


def test_no_policy_can_ask_for_it(example: dict[str, Any]) -> None:
    """Neither beside the corporate partition's key nor anywhere else."""
    for place in ((), ("partition",), ("host",), ("lease",)):
        document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(example))
        section = document
        for part in place:
            section = section.setdefault(part, {})
        for name in (
            "personal",
            "personal_escrow_key",
            "escrow_keys",
            *([] if place == ("partition",) else ["escrow_key"]),
        ):
            with pytest.raises(TwinhullError):
                parse_policy(msgspec.json.encode({**document, **nested(place, {**section, name: PUBLIC})}))


@pytest.fixture
def example() -> dict[str, Any]:
    from twinhull_policy.example import example_policy

    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(example_policy()))
    return decoded


def nested(place: tuple[str, ...], section: dict[str, Any]) -> dict[str, Any]:
    return {place[0]: section} if place else section


def test_no_report_has_a_field_for_a_key() -> None:
    """What laptops send is this closed struct and nothing else (docs/report.schema.json)."""
    schema = msgspec.json.encode(msgspec.json.schema(Report)).decode().lower()
    assert [word for word in ("escrow", "wrapped", "passphrase", "recovery", "slot") if word in schema] == []


def test_the_bus_has_one_method_that_hands_out_an_escrow() -> None:
    assert [name for name in RULES if "escrow" in name] == ["get_escrow"]
    assert "key" not in inspect.signature(KeyFile.escrow).parameters

"""What twinhull-diskd takes from a caller, and which headers it would ever open."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twinhull_hypervisor.disk import settings
from twinhull_hypervisor.disk.container import Container
from twinhull_hypervisor.disk.errors import BadDiskArgument, ContainerMissing
from twinhull_hypervisor.disk.header import (
    BINARY_BYTES,
    FIXED,
    HEADER_BYTES,
    METADATA_BYTES,
    SUM_OFFSET,
    BadHeader,
    parse,
)
from twinhull_hypervisor.disk.service import Diskd
from twinhull_hypervisor.settings import BadSettings
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

SLOT: dict[str, Any] = {
    "type": "luks2",
    "key_size": 64,
    "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"},
    "area": {
        "type": "raw",
        "offset": "32768",
        "size": "258048",
        "encryption": "aes-xts-plain64",
        "key_size": 64,
    },
    "kdf": {"type": "argon2id", "time": 4, "memory": 32, "cpus": 1, "salt": "c2FsdA=="},
}
SEGMENT: dict[str, Any] = {
    "type": "crypt",
    "offset": "4194304",
    "size": "dynamic",
    "iv_tweak": "0",
    "encryption": "aes-xts-plain64",
    "sector_size": 4096,
}
DIGEST: dict[str, Any] = {
    "type": "pbkdf2",
    "keyslots": ["0"],
    "segments": ["0"],
    "hash": "sha256",
    "iterations": 1000,
    "salt": "c2FsdA==",
    "digest": "ZGlnZXN0",
}
OURS: dict[str, Any] = {
    "keyslots": {"0": SLOT},
    "tokens": {},
    "segments": {"0": SEGMENT},
    "digests": {"0": DIGEST},
    "config": {"json_size": "12288", "keyslots_size": "4161536"},
}


def header(metadata: object, **changed: object) -> bytes:
    """A header that says this, with the right checksum (LUKS2 On-Disk Format 1.1.1, 2.1)."""
    fields: dict[str, Any] = {
        "magic": b"LUKS\xba\xbe", "version": 2, "size": METADATA_BYTES, "sequence": 1, "label": b"",
        "algorithm": b"sha256", "salt": b"s", "uuid": b"u", "subsystem": b"", "offset": 0,
        "padding": b"", "sum": b"",
    } | changed  # fmt: skip
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    area = bytearray(FIXED.pack(*fields.values()).ljust(BINARY_BYTES, b"\0") + text)
    area = area.ljust(METADATA_BYTES, b"\0")
    area[SUM_OFFSET : SUM_OFFSET + 32] = hashlib.sha256(area).digest()
    return bytes(area).ljust(HEADER_BYTES, b"\0")


def merged(path: str, value: object) -> dict[str, Any]:
    """Ours, with one field another."""
    changed: dict[str, Any] = json.loads(json.dumps(OURS))
    *parents, last = path.split("/")
    inner = changed
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return changed


def test_one_of_ours_is_read() -> None:
    assert parse(header(OURS)).slots == (0,)
    two = merged("keyslots/3", {**SLOT, "area": {**SLOT["area"], "offset": "290816"}})
    assert parse(header(two)).slots == (0, 3)
    assert parse(header(two)).name != parse(header(OURS)).name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("segments/0/encryption", "cipher_null-ecb"),
        ("segments/0/encryption", "aes-cbc-plain64"),
        ("segments/0/type", "linear"),
        ("segments/0/sector_size", 512),
        ("segments/0/offset", "0"),
        ("segments/0/size", "4096"),
        ("segments/0/flags", ["backup-final"]),
        ("segments/1", SEGMENT),
        ("segments", {}),
        ("keyslots", {}),
        ("keyslots/8", SLOT),
        ("keyslots/1", SLOT),
        ("keyslots/0/type", "reencrypt"),
        ("keyslots/0/area/encryption", "cipher_null-ecb"),
        ("keyslots/0/area/offset", "0"),
        ("keyslots/0/area/offset", "-1"),
        ("keyslots/0/area/offset", "9" * 30),
        ("keyslots/0/area/size", "0"),
        ("keyslots/0/area/size", "4194304"),
        ("keyslots/0/kdf/memory", 2**30),
        ("keyslots/0/kdf/time", 2**31),
        ("keyslots/0/kdf/type", "pbkdf2"),
        ("tokens/0", "x"),
        ("digests/0/iterations", 2**31),
        ("config/requirements", {"mandatory": ["online-reencrypt"]}),
        ("config/flags", ["allow-discards"]),
        ("more", 1),
    ],
)
def test_what_says_anything_else_is_no_header_of_ours(path: str, value: object) -> None:
    with pytest.raises(BadHeader):
        parse(header(merged(path, value)))


@pytest.mark.parametrize(
    "untrusted",
    [
        bytes(HEADER_BYTES),
        header(OURS)[:-1],
        header(OURS, magic=b"SKUL\xba\xbe"),
        header(OURS, version=1),
        header(OURS, size=2**40),
        header(OURS, offset=METADATA_BYTES),
        header(OURS, algorithm=b"sha1"),
        header(b"[" * 10_000),
        header(b""),
        header(OURS).replace(b'"sector_size": 4096', b'"sector_size": 4095'),
    ],
    ids=range(10),
)
def test_what_is_laid_out_otherwise_is_none(untrusted: bytes) -> None:
    with pytest.raises(BadHeader):
        parse(untrusted)


@given(st.integers(0, METADATA_BYTES - 1), st.integers(1, 255))
@example(SUM_OFFSET + 63, 1)
def test_a_changed_byte_is_seen(place: int, change: int) -> None:
    changed = bytearray(header(OURS))
    changed[place] ^= change
    with pytest.raises(BadHeader):
        parse(bytes(changed))


@given(st.binary(max_size=METADATA_BYTES - BINARY_BYTES))
def test_any_text_is_a_header_or_none(text: bytes) -> None:
    try:
        parse(header(text))
    except BadHeader:
        return


@contextmanager
def memory(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, content, 0)
        yield fd
    finally:
        os.close(fd)


def asked(directory: Path, verb: str, arguments: dict[str, Any], fds: list[int]) -> str:
    """The code that diskd refuses with; its containers are files that are not there."""
    medium = settings.Medium()
    containers = {name: Container(name, medium, directory, 0, 0) for name in Partition}
    with socket.socket() as connection:
        handlers = Diskd(containers, lambda: None).handlers(connection)
    with pytest.raises(TwinhullError) as refused:
        handlers[verb](arguments, [os.dup(fd) for fd in fds])
    return refused.value.report().code


@pytest.mark.parametrize(
    ("verb", "arguments", "count"),
    [
        ("open", {"partition": "net"}, 1),
        ("open", {"partition": "../personal"}, 1),
        ("open", {"partition": "personal", "path": "/dev/sda"}, 1),
        ("open", {"partition": "personal", "discard": True}, 1),
        ("open", {}, 1),
        ("open", {"partition": "personal"}, 0),
        ("open", {"partition": "personal"}, 2),
        ("close", {"partition": "personal"}, 1),
        ("grow", {"partition": "personal", "gib": 5}, 0),
        ("add_key", {"partition": "personal", "slot": 8}, 2),
        ("erase_key", {"partition": "personal", "slot": -1}, 0),
        ("erase_key", {"partition": "personal"}, 0),
        ("put_header", {"partition": "personal"}, 1),
        ("opens", {"partition": "personal"}, 2),
    ],
)
def test_a_caller_names_a_partition_and_nothing_else(
    tmp_path: Path, verb: str, arguments: dict[str, Any], count: int
) -> None:
    with memory(bytes(32)) as fd:
        assert asked(tmp_path, verb, arguments, [fd] * count) == BadDiskArgument.code


def test_a_container_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with memory(bytes(32)) as fd:
        assert asked(tmp_path, "open", {"partition": "personal"}, [fd]) == ContainerMissing.code


@pytest.mark.parametrize(
    "text",
    [
        b'{"personal": {"device": "/etc/passwd"}}',
        b'{"personal": {"device": "/dev/../etc/passwd"}}',
        b'{"personal": {"device": "/dev/sda"}, "corporate": {"device": "/dev/sda"}}',
        b'{"personal": {"gib": -1}}',
        b'{"personal": {"options": "x"}}',
        b'{"net": {}}',
        b"[" * 1000,
    ],
)
def test_settings_that_are_not_understood_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "diskd.json"
    path.write_bytes(text)
    with pytest.raises(BadSettings):
        settings.load(path)


def test_the_documented_settings_are_understood(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/disks.md").read_text("utf-8")
    (shown,) = [block.partition("```")[0] for block in page.split("```json\n")[1:]]
    path = tmp_path / "diskd.json"
    path.write_text(shown, "utf-8")
    read = settings.load(path)
    assert read == msgspec.json.decode(shown, type=settings.DiskdSettings)
    assert read.personal.discard and read.corporate.gib == 60

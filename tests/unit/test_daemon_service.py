"""The bus service: every method guarded, every argument bounded, every secret read with limits."""

from __future__ import annotations

import inspect
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from sdbus.dbus_proxy_async_method import DbusMethodAsync
from twinhull_hypervisor.daemon.secret import SecretUnreadable, read_secret, wipe
from twinhull_hypervisor.daemon.service import DaemonService, UnknownPartition, _partition
from twinhull_policy.api.interface import RULES, SECRET_LIMIT, DaemonInterface


def methods_of_interface() -> set[str]:
    members = vars(DaemonInterface).items()
    return {name for name, member in members if isinstance(member, DbusMethodAsync)}


def test_every_method_has_a_rule_and_every_rule_a_method() -> None:
    assert methods_of_interface() == set(RULES)


def test_every_method_is_served_guarded() -> None:
    for name in methods_of_interface():
        served: Any = inspect.getattr_static(DaemonService, name)
        assert served.original_method.__wrapped__, name


@pytest.mark.parametrize(
    "untrusted_name",
    ["", "Corporate", "corporate ", "../personal", "personal\0", "</name>", "net", "x" * 10_000],
)
def test_only_the_two_names_are_partitions(untrusted_name: str) -> None:
    with pytest.raises(UnknownPartition) as caught:
        _partition(untrusted_name)
    assert caught.value.message.isprintable()


def pipe_with(content: bytes) -> int:
    reading, writing = os.pipe()

    def write() -> None:
        try:
            os.write(writing, content)
        finally:
            os.close(writing)

    threading.Thread(target=write).start()
    return reading


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"", b""),
        (b"a\n\n", b"a\n"),
        (b"x" * 1024, b"x" * 1024),
    ],
)
def test_a_secret_is_read_whole(sent: bytes, read: bytes) -> None:
    fd = pipe_with(sent)
    try:
        assert bytes(read_secret(fd)) == read
    finally:
        os.close(fd)


def test_a_secret_that_is_too_long_or_no_pipe_is_refused(tmp_path: Path) -> None:
    fd = pipe_with(b"x" * (SECRET_LIMIT + 1))
    with pytest.raises(SecretUnreadable):
        read_secret(fd)
    os.close(fd)
    file = tmp_path / "file"
    file.write_bytes(b"secret")
    with file.open("rb") as opened, pytest.raises(SecretUnreadable):
        read_secret(opened.fileno())


def test_a_writer_that_never_writes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinhull_hypervisor.daemon.secret.SECRET_SECONDS", 0.05)
    reading, writing = os.pipe()
    with pytest.raises(SecretUnreadable):
        read_secret(reading)
    os.close(reading)
    os.close(writing)


def test_wiping_overwrites_in_place() -> None:
    secret = bytearray(b"secret")
    alias = memoryview(secret)
    wipe(secret)
    assert bytes(alias) == bytes(6)

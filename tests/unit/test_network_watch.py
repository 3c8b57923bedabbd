"""The two threads of netd, when what they ask goes wrong: the watch pulls, the keeper goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from twinhull_hypervisor.network import namespaces
from twinhull_hypervisor.network.errors import NetworkChangeFailed
from twinhull_hypervisor.network.keeper import Keeper
from twinhull_hypervisor.network.watch import DriftWatch


@pytest.mark.parametrize(
    "error", [NetworkChangeFailed(reason="x"), PermissionError(13, "x"), ValueError("x")]
)
def test_a_look_that_fails_in_any_way_pulls_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    pulled: list[str] = []
    came = threading.Event()

    def pull(_: DriftWatch, why: str) -> None:
        pulled.append(why)
        came.set()

    def why_not() -> str:
        raise error

    monkeypatch.setattr(namespaces, "path", lambda _: Path("/proc/self/ns/net"))
    monkeypatch.setattr(namespaces, "DIRECTORY", tmp_path)
    monkeypatch.setattr(namespaces, "enter", lambda _: None)
    monkeypatch.setattr(DriftWatch, "_pull", pull)
    watch = DriftWatch("own", "tap", why_not, threading.RLock())
    assert came.wait(60)
    assert watch.alive()
    watch.stop()
    assert pulled


@pytest.mark.parametrize(
    "error", [NetworkChangeFailed(reason="x"), PermissionError(13, "x"), ValueError("x")]
)
def test_a_keeper_looks_again_after_a_look_that_failed(error: Exception) -> None:
    first, again = threading.Event(), threading.Event()

    def look(_: bool) -> float:
        if first.is_set():
            again.set()
            return 60.0
        first.set()
        raise error

    keeper = Keeper("", look)
    try:
        assert first.wait(60)
        keeper.wake()
        assert again.wait(60)
    finally:
        keeper.stop()

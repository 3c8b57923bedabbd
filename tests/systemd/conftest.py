"""One container with systemd for all tests, and Twinhull installed in it by the quickstart."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from .container import QUICKSTART, Container, container

INSTALL_SECONDS = 1500.0
UP = ("--small", "--headless", "--yes")


def say(sentence: str) -> None:
    """Progress past pytest's capture: making the container takes minutes the first time."""
    print(sentence, file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def installed() -> Iterator[Container]:
    """The container with a laptop made by the quickstart, as installed once for all tests."""
    with container(say) as started:
        done = started.run(QUICKSTART, *UP, seconds=INSTALL_SECONDS)
        assert "Done in" in done.stdout
        yield started

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
def started() -> Iterator[Container]:
    """The container, booted."""
    with container(say) as booted:
        yield booted


@pytest.fixture(scope="session")
def before(started: Container) -> set[str]:
    """What there is of Twinhull before: the libraries that a machine without a network needs."""
    return started.traces()


@pytest.fixture(scope="session")
def installed(started: Container, before: set[str]) -> Container:
    """The container with a laptop made by the quickstart, as installed once for all tests."""
    assert "/opt/twinhull/venv" not in before
    done = started.run(QUICKSTART, *UP, seconds=INSTALL_SECONDS)
    assert "Done in" in done.stdout
    return started
